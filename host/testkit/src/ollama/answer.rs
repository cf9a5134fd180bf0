//! What the simulator says.

use serde_json::value::RawValue;

use super::schema::Schema;
use super::structured;
use super::wire::Refusal;
use super::words::{opening, sentences, subject};

/// How every free text begins, so that nobody takes it for a model's.
pub(super) const MARK: &str = "[simulated]";

/// The form of the answer that a request wants.
#[derive(Debug)]
pub(super) enum Format {
    Text,
    /// Any JSON object.
    Json,
    /// A value that follows this schema.
    Schema(Box<Schema>),
}

impl Format {
    /// Reads the `format` of a request: absent, `""`, `"json"` or a schema.
    pub(super) fn parse(raw: Option<&RawValue>) -> Result<Self, Refusal> {
        let Some(raw) = raw.map(RawValue::get) else {
            return Ok(Self::Text);
        };
        match raw {
            r#""""# => Ok(Self::Text),
            r#""json""# => Ok(Self::Json),
            _ if raw.starts_with('{') => {
                serde_json::from_str(raw).map(|schema| Self::Schema(Box::new(schema))).map_err(
                    |error| Refusal::new(500, format!("invalid JSON schema in format: {error}")),
                )
            }
            _ => Err(Refusal::new(
                500,
                format!("invalid format: {raw}; expected \"json\" or a valid JSON Schema object"),
            )),
        }
    }
}

/// The answer to `prompt`: the same prompt always gets the same. `length_words` is about how long a free text is.
pub(super) fn compose(prompt: &str, format: &Format, length_words: usize) -> String {
    let about = subject(prompt);
    match format {
        Format::Schema(schema) => structured::write(schema, &about),
        Format::Json => {
            let text = serde_json::Value::from(free_text(&about, length_words));
            format!(r#"{{"simulated":true,"answer":{text}}}"#)
        }
        Format::Text => free_text(&about, length_words),
    }
}

fn free_text(about: &str, length_words: usize) -> String {
    let quoted = opening(about, 10);
    let mut words: Vec<String> =
        format!("{MARK} No model ran. The prompt begins with \"{quoted}\".")
            .split(' ')
            .map(str::to_owned)
            .collect();
    let mut sentences = sentences(about);
    sentences.push("This sentence only fills the answer up to its length.".to_owned());
    let echo = sentences.iter().flat_map(|sentence| sentence.split(' ')).cycle();
    let missing = length_words.saturating_sub(words.len());
    words.extend(echo.take(missing).map(str::to_owned));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_text_is_marked_as_long_as_asked_and_always_the_same() {
        let text = compose("Why is the sky blue?", &Format::Text, 40);
        assert!(
            text.starts_with(
                "[simulated] No model ran. The prompt begins with \"Why is the sky blue\"."
            ),
            "{text}"
        );
        assert_eq!(text.split(' ').count(), 40);
        assert_eq!(text, compose("Why is the sky blue?", &Format::Text, 40));
    }

    #[test]
    fn only_the_formats_of_ollama_are_taken() {
        let parse = |json: &str| {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            Format::parse(Some(&raw))
        };
        assert!(matches!(parse(r#""""#), Ok(Format::Text)));
        assert!(matches!(parse(r#""json""#), Ok(Format::Json)));
        assert!(matches!(parse(r#"{"type":"object"}"#), Ok(Format::Schema(_))));
        let refusal = parse(r#""xml""#).unwrap_err();
        assert_eq!(
            refusal.message,
            r#"invalid format: "xml"; expected "json" or a valid JSON Schema object"#
        );
    }
}
