//! The shapes in which the three surfaces say that something is wrong, and that they are alive.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use roughneck_jobs::ports::gateway::{CallRoute, Form, Reply, ReplyBody};
use serde_json::{Value, json};

pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// Seconds after which a client may ask again that found the queue full or Ollama away.
const RETRY_AFTER_S: &str = "10";

/// An error before anything was answered.
pub(crate) fn refusal(form: Form, status: u16, message: &str) -> Reply {
    let mut headers = vec![("content-type", JSON.to_owned())];
    if matches!(status, 429 | 503) {
        headers.push(("retry-after", RETRY_AFTER_S.to_owned()));
    }
    let body = ReplyBody::Whole(error(form, status, message).into());
    Reply { status, headers, body }
}

/// The body of an error. The order of the keys is that of upstream.
pub(crate) fn error(form: Form, status: u16, message: &str) -> String {
    let message = Value::from(message);
    match form {
        Form::Native => format!("{{\"error\":{message}}}"),
        Form::OpenAi => {
            let r#type = match status {
                404 => "not_found_error",
                429 => "rate_limit_error",
                400..=499 => "invalid_request_error",
                _ => "api_error",
            };
            format!(
                "{{\"error\":{{\"message\":{message},\"type\":\"{type}\",\"param\":null,\"code\":null}}}}"
            )
        }
        Form::Anthropic => {
            let r#type = match status {
                400 => "invalid_request_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                503 => "overloaded_error",
                _ => "api_error",
            };
            let number = ERRORS.fetch_add(1, Ordering::Relaxed);
            format!(
                "{{\"type\":\"error\",\"error\":{{\"type\":\"{type}\",\"message\":{message}}},\
                 \"request_id\":\"req_{number:024x}\"}}"
            )
        }
    }
}

/// Anthropic's errors have an id, by which people find them again. Nothing is decided by it.
static ERRORS: AtomicU64 = AtomicU64::new(1);

/// The last piece of an answer that breaks off: its status was 200 long before. Upstream says nothing
/// on the OpenAI routes, so that clients take half an answer for a whole one; with this their libraries
/// raise an error.
pub(crate) fn broken_off(form: Form, message: &str) -> Bytes {
    let error = error(form, 500, message);
    match form {
        Form::Native => format!("{error}\n"),
        Form::OpenAi => format!("data: {error}\n\n"),
        Form::Anthropic => format!("event: error\ndata: {error}\n\n"),
    }
    .into()
}

/// The type of an answer in pieces.
pub(crate) fn stream_type(form: Form) -> &'static str {
    match form {
        Form::Native => "application/x-ndjson",
        Form::OpenAi | Form::Anthropic => "text/event-stream",
    }
}

/// The answer to a client that wants a model unloaded: upstream says so before it happens.
pub(crate) fn unloaded(route: CallRoute, model: &str, now: &str) -> Bytes {
    let answer = match route {
        CallRoute::Chat => {
            json!({"model": model, "created_at": now, "done": true, "done_reason": "unload",
            "message": {"role": "assistant", "content": ""}})
        }
        _ => {
            json!({"model": model, "created_at": now, "done": true, "done_reason": "unload", "response": ""})
        }
    };
    answer.to_string().into()
}

/// A piece that means nothing, for a client that waits: proxies and HTTP libraries give up on a
/// connection that stays silent. Never a blank line, on which Ollama's own libraries break; they pass over a
/// field that they do not know, which tells others the place in the queue, from 1, and 0 after it.
pub(crate) fn sign_of_life(route: CallRoute, model: &str, now: &str, position: usize) -> Bytes {
    let form = route.form();
    match (form, route) {
        (Form::Native, CallRoute::Chat) => {
            let message = json!({"role": "assistant", "content": ""});
            let chunk = json!({"model": model, "created_at": now, "message": message, "done": false,
                "roughneck": {"position": position}});
            format!("{chunk}\n")
        }
        (Form::Native, _) => {
            let chunk = json!({"model": model, "created_at": now, "response": "", "done": false,
                "roughneck": {"position": position}});
            format!("{chunk}\n")
        }
        (Form::OpenAi, _) => format!(": queued, position {position}\n\n"),
        (Form::Anthropic, _) => "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned(),
    }
    .into()
}

/// A sign of life in an answer that comes in one piece: JSON may begin with as many as one likes.
pub(crate) fn space() -> Bytes {
    Bytes::from_static(b" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reply: &Reply) -> String {
        match &reply.body {
            ReplyBody::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            ReplyBody::Stream(_) => panic!("a refusal is whole"),
        }
    }

    #[test]
    fn each_surface_says_in_its_own_shape_what_is_wrong() {
        let full = refusal(Form::Native, 503, "busy");
        assert_eq!((full.status, body(&full).as_str()), (503, r#"{"error":"busy"}"#));
        assert!(full.headers.contains(&("retry-after", "10".to_owned())));
        assert_eq!(
            body(&refusal(Form::OpenAi, 404, "gone")),
            r#"{"error":{"message":"gone","type":"not_found_error","param":null,"code":null}}"#
        );
        let anthropic = body(&refusal(Form::Anthropic, 400, "no"));
        let start = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"},"request_id":"req_"#;
        assert!(anthropic.starts_with(start), "{anthropic}");
    }

    #[test]
    fn a_sign_of_life_is_a_valid_piece_that_says_nothing() {
        let chat = sign_of_life(CallRoute::Chat, "m", "t", 3);
        let chunk: Value = serde_json::from_slice(&chat).unwrap();
        assert_eq!((&chunk["message"]["content"], &chunk["done"]), (&json!(""), &json!(false)));
        assert_eq!(chunk["roughneck"]["position"], 3);
        assert!(chat.ends_with(b"}\n"));
        let comment = sign_of_life(CallRoute::Responses, "m", "t", 3);
        assert_eq!(comment, ": queued, position 3\n\n");
    }
}
