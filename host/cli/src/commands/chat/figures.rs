//! What an answer has cost, in one line.

use std::fmt::Write as _;

use crate::{
    client::{Job, Piece},
    span::span,
};

/// The tokens of the last piece, and what the job knows on top.
pub(super) fn line(last: &Piece, job: Option<&Job>) -> String {
    let mut line = format!("tokens: {} in, {} out", last.prompt_eval_count, last.eval_count);
    let Some(job) = job else { return line };
    let usage = &job.usage;
    if let Some(rate) = usage.tokens_per_second {
        let _infallible = write!(line, ", {rate:.1} tokens/s");
    }
    let _infallible =
        write!(line, "; waited {}, loaded {}", span(usage.queue_ms), span(usage.load_ms));
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::told;

    #[test]
    fn the_tokens_are_those_of_the_answer_and_the_times_those_of_its_job() {
        let last = json!({"done": true, "prompt_eval_count": 9, "eval_count": 61});
        let last: Piece = serde_json::from_value(last).unwrap();
        assert_eq!(line(&last, None), "tokens: 9 in, 61 out");
        let usage = json!({"calls": 1, "input_tokens": 9, "output_tokens": 61,
            "tokens_per_second": 34.96, "queue_ms": 1200, "load_ms": 0, "prompt_ms": 10,
            "generate_ms": 1744, "first_token_ms": 40});
        let job = told(&json!({ "usage": usage }));
        assert_eq!(
            line(&last, Some(&job)),
            "tokens: 9 in, 61 out, 35.0 tokens/s; waited 1.2s, loaded 0ms"
        );
    }
}
