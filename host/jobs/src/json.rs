//! JSON of others: what is submitted and returned is kept to the byte, and can be read by whoever gets it.

use serde::{Deserialize as _, Deserializer, de::IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};

/// Deepest nesting of what is submitted or returned. Many readers stop at 128 or not much below, and an input or a
/// result stands some levels deep in what they read.
pub const DEPTH_MAX: usize = 100;

/// Why a text is not taken for JSON.
#[derive(Debug, thiserror::Error)]
pub enum NotJson {
    /// It is none.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// It is, and few could read it.
    #[error("it is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Whether the text is JSON that can be passed on.
///
/// # Errors
/// [`NotJson`].
pub fn check(text: &str) -> Result<(), NotJson> {
    serde_json::from_str::<IgnoredAny>(text)?;
    if is_too_deep(text) { Err(NotJson::TooDeep) } else { Ok(()) }
}

/// Reads a field that is there: `null` is what was sent, and not that nothing was.
pub(crate) fn sent<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// Whether JSON is nested deeper than [`DEPTH_MAX`].
#[must_use]
pub fn is_too_deep(json: &str) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' if depth == DEPTH_MAX => return true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// JSON as it stands. Text that is none becomes a string.
#[must_use]
pub fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).or_else(|_| to_raw_value(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn what_is_nested_too_deep_is_told_from_what_is_no_json() {
        assert!(check(&nested(DEPTH_MAX)).is_ok());
        assert!(matches!(check(&nested(DEPTH_MAX + 1)), Err(NotJson::TooDeep)));
        assert!(matches!(check("[1"), Err(NotJson::Syntax(_))));
    }

    #[test]
    fn only_brackets_outside_of_texts_count_and_only_those_that_are_open() {
        let text = format!(r#""{}""#, r#"[\"{\\"#.repeat(DEPTH_MAX));
        assert!(check(&text).is_ok());
        assert!(check(&format!("[{0},{0}]", nested(DEPTH_MAX - 1))).is_ok());
        assert!(is_too_deep(&format!(r#"["\\",{}]"#, nested(DEPTH_MAX))));
    }

    #[test]
    fn json_stays_as_it_is_and_other_text_becomes_a_string() {
        for (text, json) in
            [(r#"{"z": 1.0}"#, r#"{"z": 1.0}"#), ("no \"json\"", r#""no \"json\"""#)]
        {
            assert_eq!(raw(text).unwrap().get(), json);
        }
    }
}
