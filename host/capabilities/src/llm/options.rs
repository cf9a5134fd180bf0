//! The options of Ollama that a guest may set. What shapes the runner beyond the context length
//! (`num_gpu`, `num_batch`, `use_mmap`, …) belongs to the operator: it decides what is loaded and
//! what has to be reloaded.

use serde_json::{Number, Value};

use crate::{HostError, clip};

/// What the keys of `set-option` begin with.
const PREFIX: &str = "ollama.";

enum Range {
    Whole(i64, i64),
    Real(f64, f64),
}

/// Name and range; a value outside is clamped.
const ALLOWED: [(&str, Range); 12] = [
    ("frequency_penalty", Range::Real(-2.0, 2.0)),
    ("min_p", Range::Real(0.0, 1.0)),
    ("num_ctx", Range::Whole(512, 1 << 20)),
    ("num_predict", Range::Whole(1, 1 << 20)),
    ("presence_penalty", Range::Real(-2.0, 2.0)),
    ("repeat_last_n", Range::Whole(-1, 1 << 20)),
    ("repeat_penalty", Range::Real(0.0, 10.0)),
    ("seed", Range::Whole(0, i64::MAX)),
    ("temperature", Range::Real(0.0, 2.0)),
    ("top_k", Range::Whole(0, 1000)),
    ("top_p", Range::Real(0.0, 1.0)),
    ("typical_p", Range::Real(0.0, 1.0)),
];

/// Name and value of the option `key` of `set-option`.
pub(super) fn read(key: &str, text: &str) -> Result<(&'static str, Value), HostError> {
    let found = key
        .strip_prefix(PREFIX)
        .and_then(|name| ALLOWED.iter().find(|(allowed, _)| *allowed == name));
    let Some((name, range)) = found else {
        let allowed: Vec<String> =
            ALLOWED.iter().map(|(name, _)| format!("{PREFIX}{name}")).collect();
        return Err(HostError::fatal(
            "option-not-allowed",
            format!(
                "the option `{}` may not be set by a plugin; allowed are {}",
                clip(key, 64),
                allowed.join(", ")
            ),
        ));
    };
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let value = number.and_then(|number| clamped(number, text.trim(), range));
    value.map(|value| (*name, value)).ok_or_else(|| {
        HostError::fatal(
            "invalid-request",
            format!("the option `{PREFIX}{name}` is a number, not `{}`", clip(text, 64)),
        )
    })
}

/// Temperature, seed and token limit have setters of their own, which come here.
pub(super) fn number(name: &'static str, number: f64) -> Option<Value> {
    let (_, range) = ALLOWED.iter().find(|(allowed, _)| *allowed == name)?;
    clamped(number, "", range)
}

/// Whole numbers are read from their text when they can be, since an `f64` cannot hold every seed.
fn clamped(number: f64, text: &str, range: &Range) -> Option<Value> {
    match range {
        Range::Real(min, max) => Number::from_f64(number.clamp(*min, *max)).map(Value::Number),
        Range::Whole(min, max) => {
            #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, then clamps")]
            let whole = text.parse::<i64>().unwrap_or(number as i64);
            Some(Value::from(whole.clamp(*min, *max)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_numbers_within_their_range() {
        let table = [
            ("ollama.num_ctx", "32768", json!(32_768)),
            ("ollama.num_ctx", "99999999999", json!(1 << 20)),
            ("ollama.num_ctx", "-5", json!(512)),
            ("ollama.temperature", "0.5", json!(0.5)),
            ("ollama.temperature", "1e300", json!(2.0)),
            ("ollama.seed", "9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("ollama.top_k", "40.9", json!(40)),
        ];
        for (key, text, expected) in table {
            assert_eq!(read(key, text).unwrap().1, expected, "{key} {text}");
        }
    }

    #[test]
    fn other_options_and_other_values_are_refused() {
        for key in ["ollama.num_gpu", "num_ctx", "ollama.", "openai.seed", "ollama.num_ctx "] {
            let error = read(key, "1").unwrap_err();
            assert_eq!(error.code, "option-not-allowed");
            assert!(error.message.contains("allowed are ollama.frequency_penalty"), "{error}");
        }
        for text in ["", "warm", "NaN", "inf", "[1]"] {
            assert_eq!(read("ollama.temperature", text).unwrap_err().code, "invalid-request");
        }
    }
}
