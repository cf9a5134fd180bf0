//! What a request says, as messages of a chat.

use serde_json::Value;

use crate::ollama::openai::messages::base64_of;
use crate::ollama::request::Message;
use crate::ollama::wire::Refusal;

/// The messages that `input` stands for, after the instructions.
pub(super) fn messages(
    instructions: Option<String>,
    input: Option<Value>,
) -> Result<Vec<Message>, Refusal> {
    let text = |role: &str, text: String| Message {
        role: Some(role.to_owned()),
        content: Some(text),
        images: None,
    };
    let instructions = instructions.filter(|instructions| !instructions.is_empty());
    let mut messages: Vec<Message> =
        instructions.into_iter().map(|instructions| text("system", instructions)).collect();
    match input {
        None | Some(Value::Null) => {}
        Some(Value::String(input)) => messages.push(text("user", input)),
        Some(Value::Array(items)) => {
            for (place, item) in items.iter().enumerate() {
                let message = message(item).map_err(|refusal| {
                    let message = format!("input[{place}]: {}", refusal.message);
                    Refusal { message, ..refusal }
                })?;
                messages.extend(message);
            }
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(Refusal::new(400, "input must be a string or array"));
        }
    }
    Ok(messages)
}

/// The message that an item stands for; none if it only tells what happened before.
fn message(item: &Value) -> Result<Option<Message>, Refusal> {
    let role = item.get("role").and_then(Value::as_str);
    let kind = item.get("type").and_then(Value::as_str).or(role.and(Some("message")));
    match kind {
        Some("message") => {
            let (content, images) = content(item.get("content"))?;
            Ok(Some(Message { role: role.map(str::to_owned), content: Some(content), images }))
        }
        Some("function_call") => {
            Ok(Some(Message { role: Some("assistant".to_owned()), ..Message::default() }))
        }
        Some("function_call_output") => {
            let (content, images) = content(item.get("output"))?;
            Ok(Some(Message { role: Some("tool".to_owned()), content: Some(content), images }))
        }
        Some("reasoning" | "web_search_call") => Ok(None),
        Some(other) => Err(Refusal::new(400, format!("unknown input item type: {other:?}"))),
        None => Err(Refusal::new(400, "input item missing required 'type' field")),
    }
}

/// Text and images of a message: a text, or parts.
fn content(content: Option<&Value>) -> Result<(String, Option<Vec<String>>), Refusal> {
    let mut text = String::new();
    let mut images = Vec::new();
    if let Some(Value::String(all)) = content {
        text.push_str(all);
    }
    for part in content.and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| part.get(name).and_then(Value::as_str).unwrap_or_default();
        match field("type") {
            "input_text" | "output_text" => text.push_str(field("text")),
            "input_image" if field("image_url").is_empty() => {}
            "input_image" => images.push(base64_of(field("image_url"))?),
            "input_file" => {
                return Err(Refusal::new(400, "file inputs are not currently supported"));
            }
            other => return Err(Refusal::new(400, format!("unknown content type: {other}"))),
        }
    }
    Ok((text, (!images.is_empty()).then_some(images)))
}
