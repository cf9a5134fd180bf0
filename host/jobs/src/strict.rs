//! Strict TOML for people: an unknown key is an error that suggests the right one.

use serde::de::DeserializeOwned;

/// What is wrong with a TOML text, and where.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}{message}", line.map(|n| format!("line {n}: ")).unwrap_or_default())]
pub struct TomlError {
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// One sentence.
    pub message: String,
}

/// Reads `text` into `T`, which should deny unknown fields.
///
/// # Errors
/// [`TomlError`] names the line, and for an unknown key the one that was probably meant.
pub fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, TomlError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or_default();
            before.matches('\n').count() + 1
        });
        TomlError { line, message: explain(error.message()) }
    })
}

/// The name in `candidates` that `wrong` probably means, if one is near enough.
#[must_use]
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// serde says "unknown field `x`, expected one of `a`, `b`"; the names are in backticks.
fn explain(message: &str) -> String {
    if !message.starts_with("unknown field") {
        return message.to_owned();
    }
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let Some((wrong, known)) = names.split_first() else { return message.to_owned() };
    match nearest(wrong, known.iter().copied()) {
        Some(right) => format!("unknown key `{wrong}`; did you mean `{right}`?"),
        None if known.is_empty() => format!("unknown key `{wrong}`; remove it"),
        None => format!("unknown key `{wrong}`; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Probe {
        #[expect(dead_code, reason = "only its name matters")]
        listen: Option<String>,
        #[expect(dead_code, reason = "only its name matters")]
        plugins: Option<String>,
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_key_that_was_meant() {
        let error = from_toml::<Probe>("plugins = \"p\"\nlisten_ = \"x\"\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: unknown key `listen_`; did you mean `listen`?");
    }

    #[test]
    fn a_key_like_nothing_gets_the_list() {
        let error = from_toml::<Probe>("colour = 1").unwrap_err();
        assert_eq!(error.to_string(), "line 1: unknown key `colour`; known here: listen, plugins");
    }
}
