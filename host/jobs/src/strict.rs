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
///
/// A stranger may have sent megabytes of `wrong`. Texts differ by as much as their lengths do, so one that is much
/// longer or shorter is not even compared, which would take the product of both.
#[must_use]
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = wrong.chars().count();
    let distance = |candidate: &str| {
        let known = candidate.chars().count();
        let distance_max = 1 + known / 4;
        let compared = known.abs_diff(length) <= distance_max;
        let distance = compared.then(|| strsim::damerau_levenshtein(wrong, candidate))?;
        (distance <= distance_max).then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(candidate)?, candidate)))
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
    fn a_name_of_megabytes_is_compared_with_nothing() {
        let (wrong, known) = ("a".repeat(8 << 20), "a".repeat(64));
        // Compared, they would take hours.
        assert_eq!(nearest(&wrong, vec![known.as_str(); 2_000]), None);
        assert_eq!(nearest(&"a".repeat(80), [known.as_str()]), Some(known.as_str()));
        assert_eq!(nearest(&"a".repeat(82), [known.as_str()]), None);
    }

    #[test]
    fn a_key_like_nothing_gets_the_list() {
        let error = from_toml::<Probe>("colour = 1").unwrap_err();
        assert_eq!(error.to_string(), "line 1: unknown key `colour`; known here: listen, plugins");
    }
}
