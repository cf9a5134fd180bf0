//! Messages of a chat in OpenAI's shape, translated into Ollama's. Upstream makes a message of its own of every part.

use serde::Deserialize;
use serde_json::Value;

use crate::ollama::request::Message;
use crate::ollama::wire::Refusal;

/// One message of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    role: Option<String>,
    /// A text, or parts; nothing only beside calls of tools.
    content: Option<Value>,
    tool_calls: Option<Vec<Value>>,
}

/// Kinds of images that a data URL may hold. Without one it is any.
const IMAGES: [&str; 5] = [
    "data:;base64,",
    "data:image/jpeg;base64,",
    "data:image/jpg;base64,",
    "data:image/png;base64,",
    "data:image/webp;base64,",
];

/// All messages of a request as Ollama's own.
pub(super) fn translated(messages: Vec<Said>) -> Result<Vec<Message>, Refusal> {
    let mut all = Vec::new();
    for Said { role, content, tool_calls } in messages {
        let message = |content, images| Message { role: role.clone(), content, images };
        match content {
            Some(Value::String(text)) => all.push(message(Some(text), None)),
            Some(Value::Array(parts)) => {
                for part in &parts {
                    all.push(match part_of(part)? {
                        Part::Text(text) => message(Some(text), None),
                        Part::Image(base64) => message(None, Some(vec![base64])),
                    });
                }
            }
            _ if tool_calls.is_some() => all.push(message(None, None)),
            None | Some(Value::Null) => return refuse("invalid message content type: <nil>"),
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
                return refuse("invalid message content type");
            }
        }
    }
    Ok(all)
}

enum Part {
    Text(String),
    Image(String),
}

fn part_of(part: &Value) -> Result<Part, Refusal> {
    let text = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| Refusal::new(400, "invalid message format"))
    };
    match part.get("type").and_then(Value::as_str) {
        Some("text") => text(part.get("text")).map(Part::Text),
        Some("image_url") => {
            let url = part.get("image_url");
            let url = url.and_then(|url| url.get("url")).or(url);
            base64_of(&text(url)?).map(Part::Image)
        }
        Some(_) | None => refuse("invalid message format"),
    }
}

/// What stands in a data URL.
pub(super) fn base64_of(url: &str) -> Result<String, Refusal> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return refuse(
            "image URLs are not currently supported, please use base64 encoded data instead",
        );
    }
    match IMAGES.iter().find_map(|prefix| url.strip_prefix(prefix)) {
        Some(base64) => Ok(base64.to_owned()),
        None => refuse("invalid image input"),
    }
}

fn refuse<T>(message: &str) -> Result<T, Refusal> {
    Err(Refusal::new(400, message))
}
