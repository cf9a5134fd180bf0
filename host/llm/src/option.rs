//! The options of requests that the host itself looks at or sets, by Ollama's own words for them.

use serde_json::{Map, Value};

/// The context of a model, in tokens.
pub(crate) const NUM_CTX: &str = "num_ctx";

/// The most tokens of an answer.
pub(crate) const NUM_PREDICT: &str = "num_predict";

/// Whether there is a context among these. Null is none, to Go as well.
pub(crate) fn names_context(options: &Map<String, Value>) -> bool {
    options.get(NUM_CTX).is_some_and(|tokens| !tokens.is_null())
}

/// The same options with this context.
pub(crate) fn with_context(options: &Map<String, Value>, tokens: u64) -> Map<String, Value> {
    let mut options = options.clone();
    options.insert(NUM_CTX.to_owned(), tokens.into());
    options
}

/// A number of tokens, as which Ollama takes neither zero nor anything below.
pub(crate) fn tokens(value: Option<&Value>) -> Option<u64> {
    value.and_then(Value::as_u64).filter(|tokens| *tokens > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_is_a_number_of_tokens_and_anything_else_is_none() {
        for (limit, number) in [
            (json!(7), Some(7)),
            (json!(0), None),
            (json!(-1), None),
            (json!(-2), None),
            (json!("7"), None),
            (json!(null), None),
        ] {
            assert_eq!(tokens(Some(&limit)), number, "{limit}");
        }
    }
}
