//! What to accept from the model.

use roughneck_sdk::{Failure, llm};
use serde::{Deserialize, Serialize};

/// The finish reason of an answer that was cut off.
const CUT_OFF: &str = "length";

/// The result of a job.
#[derive(Debug, Serialize, PartialEq)]
pub struct Output {
    title: String,
    summary: String,
    key_points: Vec<String>,
    /// What really answered.
    model: String,
}

#[derive(Deserialize)]
struct Answer {
    title: String,
    summary: String,
    key_points: Vec<String>,
}

/// Checks the answer against what was asked. Surplus points are dropped, because they cost nothing;
/// a missing part is a retry.
pub(crate) fn check(
    text: &str,
    finish_reason: &str,
    model: String,
    points_max: usize,
) -> Result<Output, Failure> {
    if finish_reason == CUT_OFF {
        return Err(Failure::invalid_output(
            "The model's answer was cut off at its token limit: give the model a larger context, or \
             send less text.",
        ));
    }
    let answer: Answer = llm::json(text)?;
    let title = filled("title", &answer.title)?;
    let summary = filled("summary", &answer.summary)?;
    let key_points: Vec<String> = answer
        .key_points
        .iter()
        .map(|point| point.trim())
        .filter(|point| !point.is_empty())
        .take(points_max)
        .map(str::to_owned)
        .collect();
    if key_points.is_empty() {
        return Err(Failure::invalid_output("The model's answer has no key points."));
    }
    Ok(Output { title, summary, key_points, model })
}

fn filled(name: &str, value: &str) -> Result<String, Failure> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Failure::invalid_output(format!("The model's answer has an empty {name}.")));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use roughneck_sdk::{Disposition, Failure};

    use super::{Output, check};

    fn accept(text: &str) -> Result<Output, Failure> {
        check(text, "stop", "m:1b".to_owned(), 2)
    }

    #[test]
    fn a_good_answer_is_trimmed_and_names_its_model() {
        let output = accept(r#" {"title":" T ","summary":"S","key_points":["a"," b"]} "#).unwrap();
        assert_eq!(
            serde_json::to_value(&output).unwrap(),
            serde_json::json!({
                "title": "T", "summary": "S", "key_points": ["a", "b"], "model": "m:1b",
            })
        );
    }

    #[test]
    fn surplus_and_empty_points_are_dropped() {
        let output =
            accept(r#"{"title":"T","summary":"S","key_points":["", "a","b","c"]}"#).unwrap();
        assert_eq!(output.key_points, ["a", "b"]);
    }

    #[test]
    fn every_answer_that_lacks_something_is_retried() {
        for text in [
            "not json",
            r#"{"title":"T","summary":"S"}"#,
            r#"{"title":"","summary":"S","key_points":["a"]}"#,
            r#"{"title":"T","summary":" ","key_points":["a"]}"#,
            r#"{"title":"T","summary":"S","key_points":[" "]}"#,
            r#"{"title":"T","summary":"S","key_points":"a"}"#,
        ] {
            let failure = accept(text).unwrap_err();
            assert_eq!(
                (failure.disposition, failure.code.as_str()),
                (Disposition::Retry, "invalid-output"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_that_was_cut_off_is_not_parsed_even_if_it_could_be() {
        let text = r#"{"title":"T","summary":"S","key_points":["a"]}"#;
        let failure = check(text, "length", "m".to_owned(), 2).unwrap_err();
        assert!(failure.message.contains("cut off"), "{}", failure.message);
    }
}
