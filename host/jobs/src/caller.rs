//! Who has a job done, as far as they say: an opaque name, on whose token budget the job goes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name of a caller, in bytes.
pub const CALLER_BYTES_MAX: usize = 128;

/// The name of a caller. It can be shown on a line, and has no space around it: ` alice` would have a budget of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Caller(String);

/// A text that names nobody.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`caller` names whom a job is for in 1 to {CALLER_BYTES_MAX} bytes, without control characters and without spaces around them"
)]
pub struct NotACaller;

impl Caller {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Caller {
    type Error = NotACaller;

    fn try_from(text: String) -> Result<Self, NotACaller> {
        let is_name = (1..=CALLER_BYTES_MAX).contains(&text.len())
            && text.trim().len() == text.len()
            && !text.chars().any(char::is_control);
        if is_name { Ok(Self(text)) } else { Err(NotACaller) }
    }
}

impl FromStr for Caller {
    type Err = NotACaller;

    fn from_str(text: &str) -> Result<Self, NotACaller> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_a_short_text_on_one_line_without_space_around_it() {
        let longest = "c".repeat(CALLER_BYTES_MAX);
        for name in ["alice", "tenant 7/ä", "7", &longest] {
            assert_eq!(name.parse::<Caller>().unwrap().as_str(), name);
        }
        let too_long = "c".repeat(CALLER_BYTES_MAX + 1);
        for text in ["", " ", " alice", "alice\n", "a\u{7f}b", "a\tb", &too_long] {
            assert_eq!(text.parse::<Caller>(), Err(NotACaller), "{text:?}");
        }
    }

    #[test]
    fn in_json_it_is_a_text_and_what_names_nobody_is_refused_with_the_rule() {
        let caller: Caller = serde_json::from_str("\"alice\"").unwrap();
        assert_eq!(serde_json::to_string(&caller).unwrap(), "\"alice\"");
        let refused = serde_json::from_str::<Caller>("\"\"").unwrap_err().to_string();
        assert!(
            refused.starts_with("`caller` names whom a job is for in 1 to 128 bytes"),
            "{refused}"
        );
    }
}
