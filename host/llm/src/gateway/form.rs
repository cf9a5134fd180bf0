//! The shapes in which the three surfaces say that something is wrong, and that they are alive.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use roughneck_jobs::{
    budget::{OverBudget, Renewal},
    clock::Millis,
    ports::gateway::{CODE, CallRoute, Form, Reply, ReplyBody},
};
use serde_json::{Value, json};

pub(crate) const JSON: &str = "application/json; charset=utf-8";
const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

/// Seconds after which a client may ask again that found the queue full or Ollama away.
const RETRY_AFTER_S: &str = "10";

/// An error before anything was answered.
pub(crate) fn refusal(form: Form, status: u16, message: &str) -> Reply {
    let mut headers = vec![("content-type", JSON.to_owned())];
    if matches!(status, 429 | 503) {
        headers.push(("retry-after", RETRY_AFTER_S.to_owned()));
    }
    let body = ReplyBody::Whole(error(form, status, message, None).into());
    Reply { status, headers, body }
}

/// The same for a call that a budget has no room for, with the headers that clients of the surface look at.
pub(crate) fn over_budget(form: Form, message: &str, over: &OverBudget, now: Millis) -> Reply {
    let mut headers = vec![("content-type", JSON.to_owned()), (CODE, over.code().to_owned())];
    let wait_s = match over.renewal {
        Renewal::At(at) => Some(at.since_ms(now).div_ceil(1000).to_string()),
        Renewal::Soon => Some(RETRY_AFTER_S.to_owned()),
        Renewal::Never => None,
    };
    if let Some(wait_s) = &wait_s {
        headers.push(("retry-after", wait_s.clone()));
    }
    if over.renewal != Renewal::Soon {
        // Their libraries would try again in a moment.
        headers.push(("x-should-retry", "false".to_owned()));
    }
    let (limit, remaining) = (over.limit.to_string(), over.remaining().to_string());
    match (form, over.renewal) {
        (Form::Native | Form::OpenAi, _) => {
            headers.push(("x-ratelimit-limit-tokens", limit));
            headers.push(("x-ratelimit-remaining-tokens", remaining));
            headers.extend(wait_s.map(|wait_s| ("x-ratelimit-reset-tokens", format!("{wait_s}s"))));
        }
        (Form::Anthropic, renewal) => {
            headers.push(("anthropic-ratelimit-tokens-limit", limit));
            headers.push(("anthropic-ratelimit-tokens-remaining", remaining));
            if let Renewal::At(at) = renewal {
                headers.push(("anthropic-ratelimit-tokens-reset", at.to_string()));
            }
        }
    }
    let body = ReplyBody::Whole(error(form, 429, message, Some(over.code())).into());
    Reply { status: 429, headers, body }
}

/// The body of an error. The order of the keys is that of upstream, and so is the type that a status means: upstream
/// tells OpenAI's clients fewer of them apart than OpenAI does (`NewError` in its packages `openai` and `anthropic`).
pub(crate) fn error(form: Form, status: u16, message: &str, code: Option<&str>) -> String {
    let (message, code) = (Value::from(message), Value::from(code));
    match form {
        Form::Native => format!("{{\"error\":{message}}}"),
        Form::OpenAi => {
            let r#type = match status {
                400 => "invalid_request_error",
                404 => "not_found_error",
                _ => "api_error",
            };
            format!(
                "{{\"error\":{{\"message\":{message},\"type\":\"{type}\",\"param\":null,\"code\":{code}}}}}"
            )
        }
        Form::Anthropic => {
            let r#type = match status {
                400 => "invalid_request_error",
                401 => "authentication_error",
                403 => "permission_error",
                404 => "not_found_error",
                // Anthropic's own word for it; Ollama takes a body of any size.
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
pub(crate) fn broken_off(form: Form, message: &str, over: Option<&OverBudget>) -> Bytes {
    let status = if over.is_some() { 429 } else { 500 };
    let error = error(form, status, message, over.map(OverBudget::code));
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
        Form::Native => LINES,
        Form::OpenAi | Form::Anthropic => EVENTS,
    }
}

/// Whether an answer of this type comes in pieces.
pub(crate) fn is_stream(r#type: &str) -> bool {
    [LINES, EVENTS].iter().any(|stream| r#type.starts_with(stream))
}

/// An answer that came whole, as a piece of a stream that was begun before.
pub(crate) fn piece(form: Form, whole: &Bytes) -> Bytes {
    let whole = whole.trim_ascii();
    match form {
        Form::Native => [whole, b"\n"].concat(),
        Form::OpenAi | Form::Anthropic => [b"data: ", whole, b"\n\n"].concat(),
    }
    .into()
}

/// The answer to a client that wants a model unloaded: upstream says so before it happens.
pub(crate) fn unloaded(route: CallRoute, model: &str, now: &str) -> Bytes {
    let nothing = match route {
        CallRoute::Chat => r#""message":{"role":"assistant","content":""}"#,
        CallRoute::Generate
        | CallRoute::Embed
        | CallRoute::Embeddings
        | CallRoute::ChatCompletions
        | CallRoute::Completions
        | CallRoute::OpenAiEmbeddings
        | CallRoute::Responses
        | CallRoute::Messages => r#""response":"""#,
    };
    let (model, now) = (Value::from(model), Value::from(now));
    let end = r#""done":true,"done_reason":"unload""#;
    format!("{{\"model\":{model},\"created_at\":{now},{nothing},{end}}}").into()
}

/// A piece that means nothing, for a client that waits: proxies and HTTP libraries give up on a
/// connection that stays silent. Never a blank line, on which Ollama's own libraries break; they pass over a
/// field that they do not know, which tells others the place in the queue, from 1, and 0 after it.
pub(crate) fn sign_of_life(route: CallRoute, model: &str, now: &str, position: usize) -> Bytes {
    let piece = |field: &str, nothing: Value| {
        let piece = json!({"model": model, "created_at": now, field: nothing, "done": false,
            "roughneck": {"position": position}});
        format!("{piece}\n")
    };
    match route {
        CallRoute::Chat => piece("message", json!({"role": "assistant", "content": ""})),
        CallRoute::Generate | CallRoute::Embed | CallRoute::Embeddings => {
            piece("response", json!(""))
        }
        CallRoute::ChatCompletions
        | CallRoute::Completions
        | CallRoute::OpenAiEmbeddings
        | CallRoute::Responses => format!(": queued, position {position}\n\n"),
        CallRoute::Messages => "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned(),
    }
    .into()
}

/// A sign of life in an answer that comes in one piece: JSON may begin with as many as one likes.
pub(crate) fn space() -> Bytes {
    Bytes::from_static(b" ")
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::budget::Whose;

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
    fn a_status_means_the_type_that_it_means_to_ollama() {
        let r#type = |form, status| {
            let error: Value = serde_json::from_str(&error(form, status, "no", None)).unwrap();
            error["error"]["type"].as_str().unwrap().to_owned()
        };
        for (status, openai, anthropic) in [
            (400, "invalid_request_error", "invalid_request_error"),
            (401, "api_error", "authentication_error"),
            (403, "api_error", "permission_error"),
            (404, "not_found_error", "not_found_error"),
            (408, "api_error", "api_error"),
            (413, "api_error", "request_too_large"),
            (422, "api_error", "api_error"),
            (429, "api_error", "rate_limit_error"),
            (499, "api_error", "api_error"),
            (500, "api_error", "api_error"),
            (502, "api_error", "api_error"),
            (503, "api_error", "overloaded_error"),
        ] {
            assert_eq!(r#type(Form::OpenAi, status), openai, "{status}");
            assert_eq!(r#type(Form::Anthropic, status), anthropic, "{status}");
        }
    }

    #[test]
    fn a_call_over_budget_is_told_when_there_is_more_in_the_headers_of_its_surface() {
        let over = |renewal| OverBudget {
            whose: Whose::Caller("alice".to_owned()),
            limit: 100,
            spent: 70,
            reserved: 20,
            needs: 50,
            renewal,
        };
        let until = over(Renewal::At(Millis(90_500)));
        let native = over_budget(Form::Native, "used up", &until, Millis(0));
        assert_eq!((native.status, body(&native).as_str()), (429, r#"{"error":"used up"}"#));
        for header in [
            ("x-roughneck-code", "over-budget"),
            ("retry-after", "91"),
            ("x-should-retry", "false"),
            ("x-ratelimit-limit-tokens", "100"),
            ("x-ratelimit-remaining-tokens", "10"),
            ("x-ratelimit-reset-tokens", "91s"),
        ] {
            assert!(native.headers.contains(&(header.0, header.1.to_owned())), "{header:?}");
        }
        let openai = over_budget(Form::OpenAi, "used up", &until, Millis(0));
        assert_eq!(
            body(&openai),
            r#"{"error":{"message":"used up","type":"api_error","param":null,"code":"over-budget"}}"#
        );
        let anthropic = over_budget(Form::Anthropic, "used up", &until, Millis(0));
        assert!(body(&anthropic).contains(r#""type":"rate_limit_error""#));
        let reset = ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:01:30.500Z".to_owned());
        assert!(anthropic.headers.contains(&reset));

        let has = |reply: &Reply, name: &str| reply.headers.iter().any(|(known, _)| *known == name);
        let soon = over_budget(Form::OpenAi, "reserved", &over(Renewal::Soon), Millis(0));
        assert!(soon.headers.contains(&("retry-after", "10".to_owned())));
        assert!(!has(&soon, "x-should-retry"));
        let never = over_budget(Form::OpenAi, "too much", &over(Renewal::Never), Millis(0));
        assert!(!has(&never, "retry-after") && has(&never, "x-should-retry"));

        let last = broken_off(Form::OpenAi, "used up", Some(&until));
        assert!(last.starts_with(b"data: {") && last.ends_with(b"\"code\":\"over-budget\"}}\n\n"));
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
