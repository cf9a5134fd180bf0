//! The bodies of requests, with their fields in the order of Ollama's documentation. Schemas and
//! tool arguments go out as they came in: their key order shapes the answer.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use roughneck_jobs::model::{Call, LlmError, Message, Role, Tool, ToolCall};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{load::Way, option::NUM_PREDICT, runner_key::RunnerKey};

#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    options: &'a Map<String, Value>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<Value>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: Role,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct WireToolCall<'a> {
    id: &'a str,
    function: CalledFunction<'a>,
}

#[derive(Serialize)]
struct CalledFunction<'a> {
    name: &'a str,
    arguments: Box<RawValue>,
}

#[derive(Serialize)]
struct WireTool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: Box<RawValue>,
}

#[derive(Serialize)]
struct Load<'a> {
    model: &'a str,
    /// Nothing, for the route that insists on something.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: &'a BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<bool>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<Value>,
}

/// The body of `/api/chat` for `call` with these options, to the model of this name. Always streamed: only then does
/// the host see the first token, and Ollama a client that has left.
///
/// # Errors
/// [`LlmError::Invalid`] if something that must be a JSON object is none.
pub(crate) fn chat(
    call: &Call,
    options: &Map<String, Value>,
    model: &str,
    keep_alive: Option<&str>,
) -> Result<Vec<u8>, LlmError> {
    let schema = call.response_schema.as_deref();
    let body = Chat {
        model,
        messages: call
            .messages
            .iter()
            .map(|message| wire_message(message, &call.messages))
            .collect::<Result<_, _>>()?,
        tools: call.tools.iter().map(wire_tool).collect::<Result<_, _>>()?,
        format: schema.map(|schema| object(schema, "the response schema")).transpose()?,
        options,
        stream: true,
        keep_alive: keep_alive.map(keep_alive_value),
    };
    written(&body)
}

/// The body that loads a model and asks nothing: without a prompt Ollama only makes the model ready.
///
/// # Errors
/// [`LlmError::Invalid`] if an option cannot be written.
pub(crate) fn load(
    model: &str,
    way: Way,
    key: &RunnerKey,
    keep_alive: Option<&str>,
) -> Result<Vec<u8>, LlmError> {
    let keep_alive = keep_alive.map(keep_alive_value);
    let input = match way {
        Way::Generate => None,
        Way::Embed => Some(""),
    };
    let (options, shift) = (key.options(), key.shift());
    written(&Load { model, input, options, shift, stream: false, keep_alive })
}

#[derive(Serialize)]
struct OneToken<'a> {
    model: &'a str,
    prompt: &'static str,
    options: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<bool>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<Value>,
}

/// The body that asks for one token of a model that was loaded by this key.
///
/// # Errors
/// [`LlmError::Invalid`] if an option cannot be written.
pub(crate) fn one_token(
    model: &str,
    key: &RunnerKey,
    keep_alive: Option<Value>,
) -> Result<Vec<u8>, LlmError> {
    let mut options = key.options().clone();
    options.insert(NUM_PREDICT.to_owned(), 1.into());
    let shift = key.shift();
    written(&OneToken { model, prompt: "Hi", options, shift, stream: false, keep_alive })
}

fn written(body: &impl Serialize) -> Result<Vec<u8>, LlmError> {
    serde_json::to_vec(body).map_err(|error| LlmError::Invalid(error.to_string()))
}

fn wire_message<'a>(
    message: &'a Message,
    conversation: &'a [Message],
) -> Result<WireMessage<'a>, LlmError> {
    let id = message.tool_call_id.as_deref();
    Ok(WireMessage {
        role: message.role,
        content: &message.text,
        images: message.images.iter().map(|image| STANDARD.encode(image)).collect(),
        tool_calls: message.tool_calls.iter().map(wire_call).collect::<Result<_, _>>()?,
        // Templates of most models print the tool's name and not the id.
        tool_name: id.and_then(|id| {
            let mut calls = conversation.iter().flat_map(|message| &message.tool_calls);
            calls.find(|call| call.id == id).map(|call| call.name.as_str())
        }),
        tool_call_id: id,
    })
}

fn wire_call(call: &ToolCall) -> Result<WireToolCall<'_>, LlmError> {
    let what = format!("the arguments of the call `{}`", call.id);
    let arguments = object(&call.arguments_json, &what)?;
    Ok(WireToolCall { id: &call.id, function: CalledFunction { name: &call.name, arguments } })
}

fn wire_tool(tool: &Tool) -> Result<WireTool<'_>, LlmError> {
    let parameters = object(
        &tool.parameters_schema,
        &format!("the parameters schema of the tool `{}`", tool.name),
    )?;
    let function = Function { name: &tool.name, description: &tool.description, parameters };
    Ok(WireTool { r#type: "function", function })
}

/// JSON as it was written, if it is an object.
fn object(json: &str, what: &str) -> Result<Box<RawValue>, LlmError> {
    let raw: Box<RawValue> = serde_json::from_str(json)
        .map_err(|error| LlmError::Invalid(format!("{what} is not JSON: {error}")))?;
    if raw.get().starts_with('{') {
        Ok(raw)
    } else {
        Err(LlmError::Invalid(format!("{what} must be a JSON object")))
    }
}

/// Ollama takes seconds as a number and Go durations as text; `"5"` is neither and refused.
pub(crate) fn keep_alive_value(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use roughneck_jobs::{budget::Payer, clock::Millis, model::Delivery, priority::Priority};
    use serde_json::json;

    fn message(role: Role, text: &str) -> Message {
        Message {
            role,
            text: text.to_owned(),
            images: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }

    fn call(messages: Vec<Message>) -> Call {
        Call {
            plugin: "test".to_owned(),
            payer: Payer::of("test"),
            rank: Millis(0),
            priority: Priority::NORMAL,
            model: "default".to_owned(),
            messages,
            tools: Vec::new(),
            response_schema: None,
            options: Map::new(),
            delivery: Delivery::Whole,
        }
    }

    fn text(body: Result<Vec<u8>, LlmError>) -> String {
        String::from_utf8(body.unwrap()).unwrap()
    }

    #[test]
    fn a_plain_call_says_no_more_than_it_must() {
        let call = call(vec![message(Role::User, "hi")]);
        let body = text(chat(&call, &call.options, "m:1b", None));
        let plain = r#"{"model":"m:1b","messages":[{"role":"user","content":"hi"}],"stream":true}"#;
        assert_eq!(body, plain);
        assert_eq!(
            text(load("m:1b", Way::Generate, &RunnerKey::default(), None)),
            r#"{"model":"m:1b","stream":false}"#
        );
    }

    #[test]
    fn schemas_tools_and_arguments_keep_the_order_of_their_keys() {
        let schema = r#"{"zebra": 1, "apple": {"y": 2, "x": 3}}"#;
        let asked = ToolCall {
            id: "call-0".to_owned(),
            name: "look".to_owned(),
            arguments_json: r#"{"z":1,"a":2}"#.to_owned(),
        };
        let conversation = vec![
            Message { images: vec![b"png".to_vec()], ..message(Role::User, "see") },
            Message { tool_calls: vec![asked], ..message(Role::Assistant, "") },
            Message { tool_call_id: Some("call-0".to_owned()), ..message(Role::Tool, "ok") },
        ];
        let options = json!({"num_ctx": 8192}).as_object().unwrap().clone();
        let tool = Tool {
            name: "look".to_owned(),
            description: "Looks.".to_owned(),
            parameters_schema: schema.to_owned(),
        };
        let call = Call {
            tools: vec![tool],
            response_schema: Some(schema.to_owned()),
            options,
            ..call(conversation)
        };
        let expected = [
            r#"{"model":"m","messages":[{"role":"user","content":"see","images":["cG5n"]},"#,
            r#"{"role":"assistant","content":"","tool_calls":[{"id":"call-0","#,
            r#""function":{"name":"look","arguments":{"z":1,"a":2}}}]},"#,
            r#"{"role":"tool","content":"ok","tool_name":"look","tool_call_id":"call-0"}],"#,
            r#""tools":[{"type":"function","function":{"name":"look","description":"Looks.","#,
            r#""parameters":{"zebra": 1, "apple": {"y": 2, "x": 3}}}}],"#,
            r#""format":{"zebra": 1, "apple": {"y": 2, "x": 3}},"options":{"num_ctx":8192},"#,
            r#""stream":true,"keep_alive":"10m"}"#,
        ];
        assert_eq!(text(chat(&call, &call.options, "m", Some("10m"))), expected.concat());
    }

    #[test]
    fn what_is_no_json_object_is_refused_before_it_is_sent() {
        for (schema, said) in [
            ("[]", "the request cannot be sent: the response schema must be a JSON object"),
            ("{", "the request cannot be sent: the response schema is not JSON: EOF"),
        ] {
            let call = Call { response_schema: Some(schema.to_owned()), ..call(Vec::new()) };
            let error = chat(&call, &call.options, "m", None).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn keep_alive_is_a_number_of_seconds_or_a_go_duration() {
        assert_eq!(
            ["-1", "300", "10m"].map(keep_alive_value),
            [json!(-1), json!(300), json!("10m")]
        );
    }
}
