//! Whether, and how long, a model thinks before it answers.

use serde_json::Value;

use super::answer::MARK;
use super::wire::Refusal;
use super::words::{opening, subject};

/// How much a model thinks. Without a word from the client it does not: upstream's default differs by model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effort {
    Off,
    Low,
    /// `true` and `"medium"`.
    Medium,
    High,
    Max,
}

impl Effort {
    /// Reads the `think` of a native request.
    pub(super) fn parse(think: Option<&Value>) -> Result<Self, Refusal> {
        match think {
            None | Some(Value::Null | Value::Bool(false)) => Ok(Self::Off),
            Some(Value::Bool(true)) => Ok(Self::Medium),
            Some(Value::String(level)) => Self::level(level).ok_or_else(|| {
                Refusal::new(
                    400,
                    format!(
                        "invalid think value: {level:?} (must be \"high\", \"medium\", \"low\", \"max\", true, or false)"
                    ),
                )
            }),
            Some(Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(Refusal::new(
                400,
                "think must be a boolean or string (\"high\", \"medium\", \"low\", \"max\", true, or false)",
            )),
        }
    }

    fn level(level: &str) -> Option<Self> {
        match level {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "max" => Some(Self::Max),
            _ => None,
        }
    }

    /// What the model thinks about `prompt` before it says [`super::answer::compose`]'s text: the more, the harder.
    pub(super) fn thoughts(self, prompt: &str) -> String {
        if self == Self::Off {
            return String::new();
        }
        let about = opening(&subject(prompt), 6);
        let mut thoughts = format!("{MARK} The prompt begins with \"{about}\".");
        if self >= Self::Medium {
            thoughts.push_str(" I am a simulator and need no more.");
        }
        if self >= Self::High {
            thoughts.push_str(" I was asked to think hard, so I say it twice.");
        }
        if self >= Self::Max {
            thoughts.push_str(" And once more.");
        }
        thoughts
    }
}

/// The `think` that an effort of OpenAI's means: it clamps what is past the ends of Ollama's own scale.
pub(super) fn of_openai(effort: &str) -> Result<Option<Value>, Refusal> {
    match effort {
        "" => Ok(None),
        "none" => Ok(Some(Value::Bool(false))),
        "minimal" => Ok(Some(Value::from("low"))),
        "low" | "medium" | "high" | "max" => Ok(Some(Value::from(effort))),
        "xhigh" | "ultra" => Ok(Some(Value::from("max"))),
        _ => Err(Refusal::new(
            400,
            format!(
                "invalid reasoning value: {effort:?} (must be \"minimal\", \"low\", \"medium\", \"high\", \"xhigh\", \"ultra\", \"max\", or \"none\")"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn more_effort_is_more_thought() {
        let lengths = [json!(false), json!("low"), json!(true), json!("high"), json!("max")]
            .map(|think| Effort::parse(Some(&think)).unwrap().thoughts("Why?").len());
        assert!(lengths.is_sorted() && lengths[0] == 0 && lengths[1] > 0, "{lengths:?}");
        assert_eq!(Effort::parse(Some(&json!("medium"))), Effort::parse(Some(&json!(true))));
    }

    #[test]
    fn what_is_no_effort_is_refused_in_upstreams_words() {
        let refused = Effort::parse(Some(&json!("hard"))).unwrap_err();
        assert_eq!(
            refused.message,
            r#"invalid think value: "hard" (must be "high", "medium", "low", "max", true, or false)"#
        );
        assert!(Effort::parse(Some(&json!(3))).unwrap_err().message.starts_with("think must be"));
    }

    #[test]
    fn openais_scale_is_clamped_to_ollamas() {
        assert_eq!(of_openai("minimal"), Ok(Some(json!("low"))));
        assert_eq!(of_openai("ultra"), Ok(Some(json!("max"))));
        assert_eq!(of_openai("none"), Ok(Some(json!(false))));
        assert_eq!(of_openai(""), Ok(None));
        assert!(of_openai("very").is_err());
    }
}
