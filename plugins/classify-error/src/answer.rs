//! What to accept from the model.

use roughneck_sdk::{Failure, llm};
use serde::{Deserialize, Serialize};

use crate::taxonomy;

/// The result of a job.
#[derive(Debug, Serialize, PartialEq)]
pub struct Output {
    category: &'static str,
    reason: String,
    confidence: &'static str,
    /// What really answered.
    model: String,
}

#[derive(Deserialize)]
struct Answer {
    category: String,
    reason: String,
    confidence: String,
}

/// Checks the answer. Models that do not enforce the schema invent categories; such an answer is a
/// retry.
pub(crate) fn check(text: &str, model: String) -> Result<Output, Failure> {
    let answer: Answer = llm::json(text)?;
    let category = one_of("category", &answer.category, taxonomy::names())?;
    let confidence =
        one_of("confidence", &answer.confidence, taxonomy::CONFIDENCES.iter().copied())?;
    let reason = answer.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(Failure::invalid_output("The model's answer gives no reason."));
    }
    Ok(Output { category, reason, confidence, model })
}

fn one_of(
    field: &str,
    value: &str,
    known: impl IntoIterator<Item = &'static str>,
) -> Result<&'static str, Failure> {
    known.into_iter().find(|name| *name == value.trim()).ok_or_else(|| {
        Failure::invalid_output(format!(
            "The model's answer has a {field} outside the list: `{}`.",
            value.trim()
        ))
    })
}

#[cfg(test)]
mod tests {
    use roughneck_sdk::Disposition;

    use super::check;
    use crate::taxonomy::CATEGORIES;

    #[test]
    fn every_category_of_the_taxonomy_is_accepted() {
        for category in CATEGORIES {
            let answer = serde_json::json!({
                "category": category.name, "reason": " why ", "confidence": "high",
            });
            let output = check(&answer.to_string(), "m".to_owned()).unwrap();
            assert_eq!(output.category, category.name);
            assert_eq!(output.reason, "why");
        }
    }

    #[test]
    fn an_answer_outside_the_lists_or_without_a_reason_is_retried() {
        for (text, part) in [
            (
                r#"{"category":"gremlins","reason":"r","confidence":"high"}"#,
                "category outside the list: `gremlins`",
            ),
            (
                r#"{"category":"bug","reason":"r","confidence":"sure"}"#,
                "confidence outside the list: `sure`",
            ),
            (r#"{"category":"bug","reason":"","confidence":"high"}"#, "gives no reason"),
            (r#"{"category":"bug"}"#, "missing field"),
            ("It is a bug.", "not the JSON"),
        ] {
            let failure = check(text, "m".to_owned()).unwrap_err();
            assert_eq!(
                (failure.disposition, failure.code.as_str()),
                (Disposition::Retry, "invalid-output")
            );
            assert!(failure.message.contains(part), "{}", failure.message);
        }
    }
}
