//! What Ollama would refuse anyway: said at once, in its words, such a call costs neither a place in the queue nor a
//! load. Only what is certain is said here; Ollama itself refuses the rest.

use bytes::Bytes;
use roughneck_jobs::{
    model::{Resolved, Site},
    ports::gateway::{CallRoute, Form},
};
use serde_json::{Value, value::RawValue};

use super::{
    Waits,
    asked::{Asked, Wish},
    envelope::Envelope,
};
use crate::{lane::Shared, model_name, report::Installed, resolve};

/// Most alternatives of a token that can be asked for.
const TOP_LOGPROBS_MAX: i64 = 20;

/// What is wrong with a request, whatever its model can.
pub(super) fn to_request(route: CallRoute, envelope: &Envelope) -> Result<(), String> {
    // Absent is zero. What is no number is refused in other words.
    let number = |name| envelope.field::<i64>(name).map(Option::unwrap_or_default);
    let words = match route {
        // On Ollama's own routes that means to load the model. On these it is looked at before anything else.
        CallRoute::ChatCompletions if envelope.is_empty("messages") => {
            "[] is too short - 'messages'"
        }
        CallRoute::OpenAiEmbeddings if !envelope.has_any("input") => "invalid input",
        CallRoute::Generate | CallRoute::Chat | CallRoute::ChatCompletions
            if number("top_logprobs").is_ok_and(|top| !(0..=TOP_LOGPROBS_MAX).contains(&top)) =>
        {
            "top_logprobs must be between 0 and 20"
        }
        CallRoute::Messages if number("max_tokens").is_ok_and(|tokens| tokens <= 0) => {
            "max_tokens is required and must be positive"
        }
        CallRoute::Messages if envelope.is_empty("messages") => "messages is required",
        CallRoute::Embed if !envelope.raw("input").is_none_or(is_text_or_texts) => {
            "invalid input type"
        }
        CallRoute::Generate
        | CallRoute::Chat
        | CallRoute::Embed
        | CallRoute::Embeddings
        | CallRoute::ChatCompletions
        | CallRoute::Completions
        | CallRoute::OpenAiEmbeddings
        | CallRoute::Responses
        | CallRoute::Messages => return Ok(()),
    };
    Err(words.to_owned())
}

fn is_text_or_texts(input: &[u8]) -> bool {
    match input {
        b"null" | [b'"', ..] => true,
        [b'[', ..] => serde_json::from_slice::<Vec<&RawValue>>(input)
            .is_ok_and(|texts| texts.iter().all(|text| text.get().starts_with('"'))),
        _ => false,
    }
}

/// Begins with Ollama's own words.
pub(super) const SEARCH_IS_OFF: &str = "ollama cloud is disabled: web search is unavailable; a search would leave this \
    machine, which needs `cloud = true` under [ollama] in roughneck.toml";

/// Whether a request has a tool that Ollama runs itself, by asking elsewhere. Those of the other routes are their client's.
pub(super) fn searches_the_web(route: CallRoute, envelope: &Envelope) -> bool {
    let is_search = match route {
        CallRoute::Messages => is_search_of_anthropic,
        CallRoute::Responses => is_search_of_openai,
        CallRoute::Generate
        | CallRoute::Chat
        | CallRoute::Embed
        | CallRoute::Embeddings
        | CallRoute::ChatCompletions
        | CallRoute::Completions
        | CallRoute::OpenAiEmbeddings => return false,
    };
    envelope.all("tools").any(|tools| has_one(tools, is_search))
}

/// Whether there is a tool of such a type. What is no list of objects, Ollama refuses. What it could read and this host
/// could not, is taken for the worst.
fn has_one(tools: &[u8], is_such: fn(&[u8]) -> bool) -> bool {
    let tools: Vec<&RawValue> = serde_json::from_slice(tools).unwrap_or_default();
    let mut objects = tools.into_iter().map(RawValue::get).filter(|tool| tool.starts_with('{'));
    objects.any(|tool| {
        let tool = Envelope::read(Bytes::copy_from_slice(tool.as_bytes()));
        tool.map_or(true, |tool| tool.all("type").any(is_such))
    })
}

/// Anthropic's types go on with a date (`hasWebSearchTool` in Ollama's `server/cloud_proxy.go`).
fn is_search_of_anthropic(r#type: &[u8]) -> bool {
    match serde_json::from_slice(r#type) {
        Ok(Value::String(name)) => name.trim_start().starts_with("web_search"),
        Ok(_) => false,
        Err(_) => true,
    }
}

/// OpenAI has others that begin so, such as `web_search_preview`, which Ollama hands to its model as functions of the
/// client's (`isWebSearchTool` in its `openai/responses.go`). What this host cannot read is not this word to Ollama either.
fn is_search_of_openai(r#type: &[u8]) -> bool {
    matches!(serde_json::from_slice(r#type), Ok(Value::String(name)) if name == "web_search")
}

impl Shared {
    /// What its model cannot do of what a call asks of it. A call waits outside until that is sure; if there is no room for
    /// it, what is known must do.
    pub(super) async fn objection(
        &self,
        asked: &Asked,
        model: &Resolved,
        waits: &mut Waits,
    ) -> Option<String> {
        let of = |models: &[Installed]| to_model(asked, resolve::find(models, &model.name)?);
        let known = of(&self.inventory.models()?)?;
        if waits.outside(self.queue_of(asked.route, model), asked.origin).is_err() {
            return Some(known);
        }
        // It may have been made anew since the last look.
        of(&self.inventory.make_sure().await.ok()?)
    }
}

/// Ollama looks at these in this order. Where a model runs elsewhere, and where it makes images, it asks other questions.
fn to_model(asked: &Asked, model: &Installed) -> Option<String> {
    let capabilities = model.capabilities.as_ref().filter(|_| model.site() == Site::Here)?;
    let can = |what: &str| capabilities.iter().any(|capability| capability == what);
    let unloads = asked.wish == Wish::Unload;
    if unloads || asked.route.embeds() || can("image") {
        return None;
    }
    let named = Value::from(asked.model.as_str());
    let form = asked.route.form();
    if form == Form::Native && asked.thinks() && !can("thinking") {
        return Some(format!("{named} does not support thinking"));
    }
    if !can("completion") {
        let what = match asked.route {
            CallRoute::Generate | CallRoute::Completions => "generate",
            CallRoute::Chat
            | CallRoute::ChatCompletions
            | CallRoute::Responses
            | CallRoute::Messages
            | CallRoute::Embed
            | CallRoute::Embeddings
            | CallRoute::OpenAiEmbeddings => "chat",
        };
        return Some(format!("{named} does not support {what}"));
    }
    let is_chat = matches!(asked.route, CallRoute::Chat | CallRoute::ChatCompletions);
    let lacks_tools = is_chat && asked.has_tools() && !can("tools");
    lacks_tools.then(|| format!("{} does not support tools", model_name::whole(&model.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::installed;
    use roughneck_jobs::ports::gateway::{ClientCall, Origin};
    use serde_json::json;

    fn asked(route: CallRoute, body: &Value) -> Result<Asked, String> {
        read(route, body.to_string())
    }

    fn read(route: CallRoute, body: String) -> Result<Asked, String> {
        let body = Bytes::from(body);
        let (user_agent, caller, job) = (None, None, None);
        let origin = Origin::Client;
        let asked = Asked::read(ClientCall { route, body, user_agent, caller, origin, job });
        asked.map_err(|refused| refused.message)
    }

    #[test]
    fn requests_that_make_no_sense_to_any_model_are_refused_in_ollama_s_words() {
        let logprobs = "top_logprobs must be between 0 and 20";
        let max_tokens = "max_tokens is required and must be positive";
        let no_messages = "[] is too short - 'messages'";
        for (route, body, words) in [
            (CallRoute::Chat, json!({"model": "m", "top_logprobs": 21}), Some(logprobs)),
            (CallRoute::Generate, json!({"model": "m", "top_logprobs": -1}), Some(logprobs)),
            (CallRoute::Chat, json!({"model": "m", "top_logprobs": 20}), None),
            (CallRoute::Messages, json!({"model": "m", "messages": [{}]}), Some(max_tokens)),
            (
                CallRoute::Messages,
                json!({"model": "m", "max_tokens": 1, "messages": []}),
                Some("messages is required"),
            ),
            (CallRoute::Messages, json!({"model": "m", "max_tokens": 1, "messages": [{}]}), None),
            (CallRoute::ChatCompletions, json!({"model": "m", "messages": []}), Some(no_messages)),
            (
                CallRoute::ChatCompletions,
                json!({"model": "m", "top_logprobs": 21}),
                Some(no_messages),
            ),
            (CallRoute::ChatCompletions, json!({"model": "m", "messages": [{}]}), None),
            (CallRoute::Chat, json!({"model": "m", "messages": []}), None),
            (
                CallRoute::OpenAiEmbeddings,
                json!({"model": "m", "input": []}),
                Some("invalid input"),
            ),
            (CallRoute::OpenAiEmbeddings, json!({"model": "m"}), Some("invalid input")),
            (CallRoute::OpenAiEmbeddings, json!({"model": "m", "input": ""}), None),
            (CallRoute::Embed, json!({"model": "m", "input": 1}), Some("invalid input type")),
            (
                CallRoute::Embed,
                json!({"model": "m", "input": ["a", 1]}),
                Some("invalid input type"),
            ),
            (CallRoute::Embed, json!({"model": "m", "input": ["a"]}), None),
            (CallRoute::Embed, json!({"model": "m", "input": null}), None),
        ] {
            assert_eq!(asked(route, &body).err().as_deref(), words, "{body}");
        }
    }

    #[test]
    fn a_tool_that_ollama_runs_is_found_however_it_is_written() {
        for (tools, of_anthropic, of_openai) in [
            (r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, true, false),
            (r#""tools":[{"type":"function"},{"TYPE":" web_search_preview"}]"#, true, false),
            (r#""tools":[{"type":"web_search"}],"Tools":[]"#, true, true),
            (r#""tools":[{"type":"web_search","type":null}]"#, true, true),
            (r#""tools":[{"type":"web\u005fsearch"}]"#, true, true),
            // Half a character, which Go reads as another one.
            (r#""tools":[{"type":"web_search\ud800"}]"#, true, false),
            (r#""tools":[{"type":"web_search","\ud800":1}]"#, true, true),
            // Go takes this letter for an s.
            (r#""tool\u017f":[{"type":"web_search"}]"#, true, true),
            (
                r#""tools":[null,7,{"type":7},{"name":"web_search"},{"type":"custom"}]"#,
                false,
                false,
            ),
            (r#""tools":{"type":"web_search"}"#, false, false),
            (r#""metadata":{"tools":[{"type":"web_search"}]}"#, false, false),
        ] {
            let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{}}],{tools}}}"#);
            for (route, searches) in [
                (CallRoute::Messages, of_anthropic),
                (CallRoute::Responses, of_openai),
                (CallRoute::Chat, false),
                (CallRoute::ChatCompletions, false),
            ] {
                let asked = read(route, body.clone()).unwrap();
                assert_eq!(asked.searches_the_web(), searches, "{route:?} {tools}");
            }
        }
    }

    #[test]
    fn a_model_is_asked_only_for_what_it_can_do_as_far_as_that_is_known() {
        let known = installed(json!([
            {"name": "chatty", "capabilities": ["completion"]},
            {"name": "embedder", "capabilities": ["embedding"]},
            {"name": "painter", "capabilities": ["image"]},
            {"name": "unknown"},
            {"name": "stub", "capabilities": [], "remote_host": "https://ollama.com"},
        ]));
        let tools = json!({"model": "Chatty", "messages": [{}], "tools": [{}]});
        let thinks = json!({"model": "Chatty", "prompt": "x", "think": "low"});
        for (route, body, words) in [
            (
                CallRoute::Chat,
                tools.clone(),
                Some("registry.ollama.ai/library/chatty:latest does not support tools"),
            ),
            (
                CallRoute::Messages,
                json!({"model": "chatty", "messages": [{}], "tools": [{}], "max_tokens": 1}),
                None,
            ),
            (CallRoute::Generate, thinks, Some(r#""Chatty" does not support thinking"#)),
            (CallRoute::Generate, json!({"model": "chatty", "prompt": "x", "think": false}), None),
            (
                CallRoute::Chat,
                json!({"model": "embedder"}),
                Some(r#""embedder" does not support chat"#),
            ),
            (
                CallRoute::Responses,
                json!({"model": "embedder"}),
                Some(r#""embedder" does not support chat"#),
            ),
            (
                CallRoute::Generate,
                json!({"model": "embedder"}),
                Some(r#""embedder" does not support generate"#),
            ),
            (CallRoute::Generate, json!({"model": "embedder", "keep_alive": 0}), None),
            (CallRoute::Embed, json!({"model": "chatty", "input": "x"}), None),
            (CallRoute::Generate, json!({"model": "painter", "prompt": "x"}), None),
            (CallRoute::Chat, json!({"model": "unknown", "tools": [{}]}), None),
            (CallRoute::Chat, json!({"model": "stub", "tools": [{}]}), None),
        ] {
            let asked = asked(route, &body).unwrap();
            let model = resolve::find(&known, &asked.model).unwrap();
            assert_eq!(to_model(&asked, model).as_deref(), words, "{body}");
        }
    }
}
