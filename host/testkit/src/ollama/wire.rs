//! Bytes as Ollama's Go server writes and reads them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::ser::Formatter;

pub(super) const JSON: &str = "application/json; charset=utf-8";
/// What the routes that translate say, which write their bodies themselves and end them with a line feed.
pub(super) const TRANSLATED_JSON: &str = "application/json";
pub(super) const NDJSON: &str = "application/x-ndjson";
pub(super) const SSE: &str = "text/event-stream";

/// The bytes of a streamed body. An error cuts the connection.
pub(super) type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What a route answers.
pub(super) enum Answer {
    /// Everything at once. An empty content type is not sent.
    Whole { status: u16, content_type: &'static str, body: Bytes },
    /// Piece by piece, with 200.
    Stream { content_type: &'static str, body: ByteStream },
    /// Nothing: the connection is cut.
    HangUp,
}

impl Answer {
    pub(super) fn json(value: &impl Serialize) -> Self {
        Self::Whole { status: 200, content_type: JSON, body: Bytes::from(go_json(value)) }
    }

    /// A body of a route that translates.
    pub(super) fn translated(status: u16, value: &impl Serialize) -> Self {
        let body = Bytes::from(json_line(value));
        Self::Whole { status, content_type: TRANSLATED_JSON, body }
    }

    /// A status, and nothing else.
    pub(super) fn nothing(status: u16) -> Self {
        Self::text(status, "", "")
    }

    pub(super) fn text(status: u16, content_type: &'static str, text: &'static str) -> Self {
        Self::Whole { status, content_type, body: Bytes::from_static(text.as_bytes()) }
    }
}

/// An error before the first byte: a status and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// In the shape of the native routes.
    pub(super) fn into_native(self) -> Answer {
        Answer::Whole {
            status: self.status,
            content_type: JSON,
            body: Bytes::from(error_json(&self.message)),
        }
    }
}

/// `{"error":"…"}`, the body of a native error and the last line of a stream that failed.
pub(super) fn error_json(message: &str) -> Vec<u8> {
    go_json(&ErrorBody { error: message })
}

/// Serialises as Go's `encoding/json` does: compact, fields in the order of the struct, and `<`, `>`, `&` and the two
/// line separators of JavaScript escaped.
pub(super) fn go_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, GoStrings);
    // Only a map with keys that are no strings could fail, and there is none.
    let _infallible = value.serialize(&mut serializer);
    bytes
}

/// The same, and a line feed, as Go's `Encoder` does.
pub(super) fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = go_json(value);
    bytes.push(b'\n');
    bytes
}

struct GoStrings;

impl Formatter for GoStrings {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        const ESCAPED: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];
        let mut escaped = String::with_capacity(fragment.len());
        for c in fragment.chars() {
            if ESCAPED.contains(&c) {
                let _infallible = write!(escaped, "\\u{:04x}", u32::from(c));
            } else {
                escaped.push(c);
            }
        }
        writer.write_all(escaped.as_bytes())
    }
}

/// Decodes the first JSON value of a body and ignores what follows, as Go's `Decoder` does. Bytes that are not UTF-8 are
/// U+FFFD. The sentences for bad JSON
/// are Go's for the common cases; for a value of the wrong type only the beginning is.
pub(super) fn first_value<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    if body.trim_ascii().is_empty() {
        return Err(Refusal::new(400, "missing request body"));
    }
    let body = &as_utf8(body);
    let mut decoder = serde_json::Deserializer::from_slice(body);
    T::deserialize(&mut decoder).map_err(|error| Refusal::new(400, in_words_of_go(&error, body)))
}

/// Go counts each byte that belongs to no character.
fn as_utf8(body: &[u8]) -> Cow<'_, [u8]> {
    if str::from_utf8(body).is_ok() {
        return Cow::Borrowed(body);
    }
    let replaced = |invalid: &[u8]| "\u{fffd}".repeat(invalid.len());
    let chunks = body.utf8_chunks();
    let text: String =
        chunks.map(|chunk| format!("{}{}", chunk.valid(), replaced(chunk.invalid()))).collect();
    Cow::Owned(text.into_bytes())
}

fn in_words_of_go(error: &serde_json::Error, body: &[u8]) -> String {
    match error.classify() {
        Category::Eof | Category::Io => "unexpected EOF".to_owned(),
        Category::Data => format!("json: cannot unmarshal: {error}"),
        Category::Syntax => {
            let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
            let byte = line
                .and_then(|line| line.get(error.column().saturating_sub(1)))
                .map_or('?', |byte| char::from(*byte));
            let wanted = if error.to_string().starts_with("key must be a string") {
                "object key string"
            } else {
                "value"
            };
            format!("invalid character {byte:?} looking for beginning of {wanted}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn bytes_that_are_not_utf_8_are_read_as_go_reads_them() {
        let read = first_value::<String>(b"\"Gr\xfc\xdfe \xe2\x82\"").unwrap();
        assert_eq!(read, "Gr\u{fffd}\u{fffd}e \u{fffd}\u{fffd}");
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let json = go_json(&"a<b> & \u{2028}\"é");
        assert_eq!(String::from_utf8(json).unwrap(), r#""a\u003cb\u003e \u0026 \u2028\"é""#);
    }

    #[test]
    fn only_the_first_value_of_a_body_is_read() {
        let value = first_value::<Value>(br#" {"a":1} trailing rubbish"#);
        assert_eq!(value, Ok(serde_json::json!({"a": 1})));
    }

    #[test]
    fn bad_bodies_are_refused_in_the_words_of_go() {
        let table: [(&[u8], &str); 5] = [
            (b"", "missing request body"),
            (b" \n", "missing request body"),
            (b"{\"model\":", "unexpected EOF"),
            (b"hello", "invalid character 'h' looking for beginning of value"),
            (b"{bad}", "invalid character 'b' looking for beginning of object key string"),
        ];
        for (body, expected) in table {
            assert_eq!(first_value::<Value>(body), Err(Refusal::new(400, expected)));
        }
    }
}
