//! What a client asks for, as far as the lane must know it.

use std::time::Duration;

use bytes::Bytes;
use roughneck_jobs::{
    budget::{Answer, Demand, Payer},
    ports::gateway::{CallRoute, ClientCall, KIND, Origin},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    envelope::{Edits, Envelope},
    keep_alive::{self, KeepAlive},
    objection,
    refused::Refused,
};
use crate::{
    config::Config,
    demand, model_name,
    option::{self, NUM_PREDICT},
};

/// One of the names would be looked at here, and the other one perhaps be asked.
pub(crate) const NAMED_TWICE: &str = "the request names its model more than once";

/// A call that was read.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) route: CallRoute,
    pub(crate) origin: Origin,
    /// The name as the client wrote it.
    pub(crate) model: String,
    pub(crate) wish: Wish,
    /// Whether the client wants its answer in pieces.
    pub(crate) streams: bool,
    /// Whether it wants a last piece with the usage; OpenAI's clients must ask for it.
    pub(crate) wants_usage: bool,
    /// Ollama's `options`. OpenAI's routes have none.
    pub(crate) options: Map<String, Value>,
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Whether a full context is to drop its oldest tokens, on the routes that have a field for it.
    pub(crate) shift: Option<bool>,
    pub(crate) user_agent: Option<String>,
    pub(crate) payer: Payer,
    /// The most tokens that the client wants to be answered.
    pub(crate) answer_max: Option<u64>,
    envelope: Envelope,
}

/// What is wanted of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An answer.
    Answer,
    /// To be loaded: nothing was asked.
    Load,
    /// To be unloaded: nothing was asked and it is to be kept for no time. `ollama stop` sends this.
    Unload,
}

/// What goes to Ollama instead of what came.
pub(crate) struct Changes<'a> {
    /// The name of the model that is meant.
    pub(crate) model: &'a str,
    /// Another time to keep the model loaded, JSON.
    pub(crate) keep_alive: Option<String>,
    /// The context to pin, if the client names none.
    pub(crate) num_ctx: Option<u64>,
    /// Where an answer has to end that nobody can stop.
    pub(crate) answer_max: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

impl Asked {
    /// Reads a call.
    ///
    /// # Errors
    /// What is wrong with it, in Ollama's words where it has some.
    pub(crate) fn read(call: ClientCall) -> Result<Self, Refused> {
        let ClientCall { route, body, user_agent, caller, origin, job } = call;
        let envelope = Envelope::read(body)?;
        if envelope.repeats("model") {
            return Err(NAMED_TWICE.to_owned().into());
        }
        let model: Option<String> = envelope.field("model")?;
        let model = model.filter(|model| !model.trim().is_empty());
        let model = model.ok_or_else(|| Refused::nameless(route))?;
        objection::to_request(route, &envelope)?;
        let stream: Option<bool> = envelope.field("stream")?;
        let is_native = is_native(route);
        let (options, keep_alive) = if has_options(route) {
            let keep_alive = envelope.field("keep_alive")?;
            let keep_alive = keep_alive.map(|value| keep_alive::read(&value)).transpose()?;
            (envelope.field("options")?.unwrap_or_default(), keep_alive)
        } else {
            (Map::new(), None)
        };
        let named = match limit_field(route) {
            Some(field) => envelope.field::<Value>(field)?,
            None => options.get(NUM_PREDICT).cloned(),
        };
        let usage: Option<StreamOptions> = match route {
            CallRoute::ChatCompletions | CallRoute::Completions => {
                envelope.field("stream_options")?
            }
            CallRoute::Generate
            | CallRoute::Chat
            | CallRoute::Embed
            | CallRoute::Embeddings
            | CallRoute::OpenAiEmbeddings
            | CallRoute::Responses
            | CallRoute::Messages => None,
        };
        Ok(Self {
            wish: wish(&envelope, route, keep_alive),
            // Absent means yes on Ollama's own routes and no on the others.
            streams: origin == Origin::Client && can_stream(route) && stream.unwrap_or(is_native),
            wants_usage: usage.unwrap_or_default().include_usage,
            shift: if is_native { envelope.field("shift")? } else { None },
            route,
            origin,
            model,
            options,
            keep_alive,
            user_agent,
            payer: Payer { kind: KIND.to_owned(), caller, job },
            answer_max: option::tokens(named.as_ref()),
            envelope,
        })
    }

    /// Whether the answer has to have a form.
    pub(crate) fn has_format(&self) -> bool {
        self.envelope.raw("format").is_some()
    }

    /// Whether the model is to think, as far as one of Ollama's own routes says so.
    pub(crate) fn thinks(&self) -> bool {
        match self.envelope.field("think") {
            Ok(Some(Value::Bool(thinks))) => thinks,
            Ok(Some(Value::String(effort))) => !effort.is_empty(),
            // Whatever else it is, Ollama says what is wrong with it.
            Ok(_) | Err(_) => false,
        }
    }

    /// Whether the model may call tools.
    pub(crate) fn has_tools(&self) -> bool {
        !self.envelope.is_empty("tools")
    }

    /// Whether Ollama itself would search the web for it, wherever its model answers.
    pub(crate) fn searches_the_web(&self) -> bool {
        objection::searches_the_web(self.route, &self.envelope)
    }

    /// Whether Ollama is asked for pieces. It always is where this host can put them together again:
    /// only then does it see the first token, and Ollama a client that has left.
    pub(crate) fn streams_upstream(&self) -> bool {
        self.streams || (self.wish == Wish::Answer && is_native(self.route))
    }

    /// How long Ollama may take to begin its answer. One that comes in one piece is over then.
    pub(crate) fn patience(&self, config: &Config) -> Duration {
        if self.comes_whole() { config.whole_answer } else { config.first_byte }
    }

    /// Whether Ollama is silent until it has the whole answer.
    pub(crate) fn comes_whole(&self) -> bool {
        self.wish == Wish::Answer && !self.streams_upstream() && !self.route.embeds()
    }

    /// How many tokens it may need, with the options that it goes out with.
    pub(crate) fn demand(&self, options: &Map<String, Value>) -> Demand {
        let answer = match self.answer_max {
            Some(_) | None if self.route.embeds() => Answer::None,
            Some(tokens) => Answer::Limited(tokens),
            None if self.streams_upstream() => Answer::Watched,
            None => Answer::Whole,
        };
        Demand { prompt: demand::prompt_of(self.request(), options), answer }
    }

    /// The bytes for Ollama.
    pub(crate) fn body(&self, changes: &Changes<'_>) -> Bytes {
        let mut edits = Edits::default();
        let envelope = &self.envelope;
        let model = self.echoed(changes.model);
        if model != self.model {
            envelope.set(&mut edits, "model", &json(model));
        }
        if can_stream(self.route) && self.says_stream() != self.streams_upstream() {
            let streams = if self.streams_upstream() { "true" } else { "false" };
            envelope.set(&mut edits, "stream", streams);
        }
        if self.adds_usage() {
            // The rest of these options is lost, of which OpenAI has none that Ollama reads.
            envelope.set(&mut edits, "stream_options", "{\"include_usage\":true}");
        }
        if let Some(keep_alive) = &changes.keep_alive {
            envelope.set(&mut edits, "keep_alive", keep_alive);
        }
        if let (Some(tokens), Some(field)) = (changes.answer_max, limit_field(self.route))
            && !self.streams_upstream()
            && self.answer_max.is_none()
        {
            envelope.set(&mut edits, field, &tokens.to_string());
        }
        if let Some(num_ctx) = changes.num_ctx.filter(|_| self.can_pin()) {
            // Their order means nothing to Ollama.
            let options = Value::from(option::with_context(&self.options, num_ctx));
            envelope.set(&mut edits, "options", &options.to_string());
        }
        envelope.edited(edits)
    }

    /// The name of this model that Ollama is asked by, and repeats in its answer: as the client wrote it, if Ollama
    /// knows the model by that.
    pub(crate) fn echoed<'a>(&'a self, model: &'a str) -> &'a str {
        let is_known = self.model.trim() == self.model && model_name::is_same(&self.model, model);
        if is_known { &self.model } else { model }
    }

    /// Whether the route has fields for options and for how long the model is to be kept.
    pub(crate) fn has_options(&self) -> bool {
        has_options(self.route)
    }

    /// Whether the client wants the model unloaded after it.
    pub(crate) fn unloads(&self) -> bool {
        self.keep_alive == Some(KeepAlive::None)
    }

    /// Whether a context can be put into the request. The other routes have no place for it.
    pub(crate) fn can_pin(&self) -> bool {
        self.has_options() && !option::names_context(&self.options)
    }

    /// Whether the usage is asked for although the client did not: it costs one more piece, which is
    /// taken out again.
    pub(crate) fn adds_usage(&self) -> bool {
        let has = matches!(self.route, CallRoute::ChatCompletions | CallRoute::Completions);
        has && self.streams && !self.wants_usage
    }

    /// How large the request is, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.envelope.len()
    }

    /// The whole request, as it came.
    pub(crate) fn request(&self) -> &Bytes {
        self.envelope.bytes()
    }

    /// Whether Ollama would take the request as it came to ask for pieces.
    fn says_stream(&self) -> bool {
        let said = self.envelope.field("stream").unwrap_or_default();
        said.unwrap_or(is_native(self.route))
    }
}

fn wish(envelope: &Envelope, route: CallRoute, keep_alive: Option<KeepAlive>) -> Wish {
    let is_empty = match route {
        CallRoute::Generate => envelope.is_empty("prompt"),
        CallRoute::Chat => envelope.is_empty("messages"),
        CallRoute::Embed => envelope.is_empty("input"),
        CallRoute::Embeddings
        | CallRoute::ChatCompletions
        | CallRoute::Completions
        | CallRoute::OpenAiEmbeddings
        | CallRoute::Responses
        | CallRoute::Messages => false,
    };
    match (is_empty, keep_alive) {
        (false, _) => Wish::Answer,
        (true, Some(KeepAlive::None)) if is_native(route) => Wish::Unload,
        (true, _) => Wish::Load,
    }
}

/// The field that limits an answer, on the routes that have it outside of Ollama's options.
fn limit_field(route: CallRoute) -> Option<&'static str> {
    match route {
        CallRoute::ChatCompletions | CallRoute::Completions | CallRoute::Messages => {
            Some("max_tokens")
        }
        CallRoute::Responses => Some("max_output_tokens"),
        CallRoute::Generate
        | CallRoute::Chat
        | CallRoute::Embed
        | CallRoute::Embeddings
        | CallRoute::OpenAiEmbeddings => None,
    }
}

fn is_native(route: CallRoute) -> bool {
    matches!(route, CallRoute::Generate | CallRoute::Chat)
}

/// Ollama's own routes do. The others read no options, and keep the model as long as Ollama likes.
fn has_options(route: CallRoute) -> bool {
    is_native(route) || is_native_embed(route)
}

fn is_native_embed(route: CallRoute) -> bool {
    matches!(route, CallRoute::Embed | CallRoute::Embeddings)
}

fn can_stream(route: CallRoute) -> bool {
    match route {
        CallRoute::Generate
        | CallRoute::Chat
        | CallRoute::ChatCompletions
        | CallRoute::Completions
        | CallRoute::Responses
        | CallRoute::Messages => true,
        CallRoute::Embed | CallRoute::Embeddings | CallRoute::OpenAiEmbeddings => false,
    }
}

/// A text as JSON.
pub(crate) fn json(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(route: CallRoute, body: &'static str) -> Result<Asked, Refused> {
        let body = Bytes::from_static(body.as_bytes());
        let (user_agent, caller, job) = (None, None, None);
        Asked::read(ClientCall { route, body, user_agent, caller, origin: Origin::Client, job })
    }

    fn sent(route: CallRoute, body: &'static str, num_ctx: Option<u64>) -> Bytes {
        let changes = Changes { model: "m", keep_alive: None, num_ctx, answer_max: None };
        read(route, body).unwrap().body(&changes)
    }

    #[test]
    fn what_is_right_already_goes_on_byte_for_byte() {
        for (route, body) in [
            (CallRoute::Chat, r#"{"model":"m", "messages":[{"role":"user","content":"x"}]}"#),
            (
                CallRoute::Generate,
                r#"{"prompt":"x","model":"m","stream":true,"unknown":{"b":1,"a":2}}"#,
            ),
            (CallRoute::Embed, r#"{"model":"m","input":["x"]}"#),
            (CallRoute::ChatCompletions, r#"{"model":"m","messages":[{}]}"#),
            (CallRoute::Messages, r#"{"model":"m","stream":true,"max_tokens":1,"messages":[{}]}"#),
        ] {
            assert_eq!(sent(route, body, None), body);
        }
    }

    #[test]
    fn a_whole_answer_is_asked_for_in_pieces_where_they_can_be_put_together() {
        let body = r#"{"model":"m","prompt":"x","stream":false}"#;
        assert_eq!(
            sent(CallRoute::Generate, body, None),
            r#"{"model":"m","prompt":"x","stream":true}"#
        );
        // A load has no pieces.
        let load = r#"{"model":"m","stream":false}"#;
        assert_eq!(sent(CallRoute::Generate, load, None), load);
    }

    #[test]
    fn a_name_is_another_one_only_if_ollama_does_not_know_the_model_by_it() {
        let named = |model| {
            let changes = Changes { model, keep_alive: None, num_ctx: None, answer_max: None };
            read(CallRoute::Embed, r#"{"model":"M","input":"x"}"#).unwrap().body(&changes)
        };
        assert_eq!(named("m:latest"), r#"{"model":"M","input":"x"}"#);
        assert_eq!(named("other:1b"), r#"{"model":"other:1b","input":"x"}"#);
        let spaced = r#"{"model":" m","input":"x"}"#;
        assert_eq!(sent(CallRoute::Embed, spaced, None), r#"{"model":"m","input":"x"}"#);
    }

    #[test]
    fn the_usage_of_a_stream_is_asked_for() {
        let body = r#"{"model":"m","stream":true}"#;
        assert_eq!(
            sent(CallRoute::Completions, body, None),
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#
        );
        let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        assert!(read(CallRoute::Completions, asked).unwrap().wants_usage);
        assert_eq!(sent(CallRoute::Completions, asked, None), asked);
    }

    #[test]
    fn a_context_is_pinned_only_where_none_is_named() {
        for (body, sent_on) in [
            (
                r#"{"model":"m","prompt":"x"}"#,
                r#"{"options":{"num_ctx":8192},"model":"m","prompt":"x"}"#,
            ),
            (
                r#"{"model":"m","options":{},"prompt":"x"}"#,
                r#"{"model":"m","options":{"num_ctx":8192},"prompt":"x"}"#,
            ),
            (
                r#"{"model":"m","options":{"seed":1},"prompt":"x"}"#,
                r#"{"model":"m","options":{"num_ctx":8192,"seed":1},"prompt":"x"}"#,
            ),
            (
                r#"{"model":"m","options":{"num_ctx":4},"prompt":"x"}"#,
                r#"{"model":"m","options":{"num_ctx":4},"prompt":"x"}"#,
            ),
            // Which Go reads as if it were not there.
            (
                r#"{"model":"m","options":{"num_ctx":null,"seed":1},"prompt":"x"}"#,
                r#"{"model":"m","options":{"num_ctx":8192,"seed":1},"prompt":"x"}"#,
            ),
        ] {
            assert_eq!(sent(CallRoute::Generate, body, Some(8192)), sent_on);
        }
    }

    #[test]
    fn only_an_answer_that_nobody_can_stop_is_given_a_limit() {
        let limited = |route, body: &'static str| {
            let changes =
                Changes { model: "m", keep_alive: None, num_ctx: None, answer_max: Some(9) };
            read(route, body).unwrap().body(&changes)
        };
        for (route, body, sent_on) in [
            (
                CallRoute::ChatCompletions,
                r#"{"model":"m","messages":[{}]}"#,
                r#"{"max_tokens":9,"model":"m","messages":[{}]}"#,
            ),
            (
                CallRoute::Responses,
                r#"{"model":"m","input":"x"}"#,
                r#"{"max_output_tokens":9,"model":"m","input":"x"}"#,
            ),
            (
                CallRoute::Messages,
                r#"{"model":"m","max_tokens":5,"messages":[{}]}"#,
                r#"{"model":"m","max_tokens":5,"messages":[{}]}"#,
            ),
            (
                CallRoute::Responses,
                r#"{"model":"m","stream":true}"#,
                r#"{"model":"m","stream":true}"#,
            ),
            (
                CallRoute::Chat,
                r#"{"model":"m","messages":[{}]}"#,
                r#"{"model":"m","messages":[{}]}"#,
            ),
            (CallRoute::Embed, r#"{"model":"m","input":"x"}"#, r#"{"model":"m","input":"x"}"#),
        ] {
            assert_eq!(limited(route, body), sent_on);
        }
    }

    #[test]
    fn what_an_answer_may_need_is_what_the_client_says_or_what_can_be_watched() {
        for (route, body, answer) in [
            (CallRoute::Chat, r#"{"model":"m","options":{"num_predict":7}}"#, Answer::Limited(7)),
            (CallRoute::Chat, r#"{"model":"m","options":{"num_predict":-1}}"#, Answer::Watched),
            // The pieces of a whole answer of Ollama's own are put together here.
            (CallRoute::Chat, r#"{"model":"m","messages":[{}],"stream":false}"#, Answer::Watched),
            (CallRoute::Completions, r#"{"model":"m","max_tokens":7}"#, Answer::Limited(7)),
            (CallRoute::Completions, r#"{"model":"m","stream":true}"#, Answer::Watched),
            (CallRoute::Completions, r#"{"model":"m"}"#, Answer::Whole),
            (CallRoute::Responses, r#"{"model":"m","max_output_tokens":7}"#, Answer::Limited(7)),
            (CallRoute::Embed, r#"{"model":"m","input":"x"}"#, Answer::None),
            (
                CallRoute::OpenAiEmbeddings,
                r#"{"input":"x","model":"m","max_tokens":7}"#,
                Answer::None,
            ),
        ] {
            assert_eq!(read(route, body).unwrap().demand(&Map::new()).answer, answer, "{body}");
        }
    }

    #[test]
    fn loads_and_unloads_are_told_from_questions() {
        for (route, body, wish) in [
            (CallRoute::Generate, r#"{"model":"m"}"#, Wish::Load),
            (CallRoute::Generate, r#"{"model":"m","prompt":"","keep_alive":0}"#, Wish::Unload),
            (CallRoute::Generate, r#"{"model":"m","prompt":"","keep_alive":"0s"}"#, Wish::Unload),
            (CallRoute::Generate, r#"{"model":"m","prompt":"x","keep_alive":0}"#, Wish::Answer),
            // Ollama looks at the prompt and at nothing else.
            (CallRoute::Generate, r#"{"model":"m","images":["x"],"keep_alive":0}"#, Wish::Unload),
            (CallRoute::Generate, r#"{"model":"m","_debug_render_only":true}"#, Wish::Load),
            (CallRoute::Chat, r#"{"model":"m","messages":[]}"#, Wish::Load),
            (CallRoute::Chat, r#"{"model":"m","messages":[],"keep_alive":0}"#, Wish::Unload),
            (CallRoute::Embed, r#"{"model":"m","input":""}"#, Wish::Load),
            (CallRoute::Completions, r#"{"model":"m"}"#, Wish::Answer),
        ] {
            assert_eq!(read(route, body).unwrap().wish, wish, "{body}");
        }
    }

    #[test]
    fn what_is_missing_is_said_in_ollama_s_words() {
        let refused = |route, body| {
            let refused = read(route, body).unwrap_err();
            (refused.status, refused.message)
        };
        for (route, status, words) in [
            (CallRoute::Chat, 400, "model is required"),
            (CallRoute::Messages, 400, "model is required"),
            (CallRoute::Completions, 404, "model '' not found"),
            (CallRoute::Embed, 404, "model '' not found"),
        ] {
            for body in ["{}", r#"{"model":" "}"#] {
                assert_eq!(refused(route, body), (status, words.to_owned()), "{route:?}");
            }
        }
        let (status, words) = refused(CallRoute::Chat, "");
        assert_eq!((status, words.as_str()), (400, "missing request body"));
        let (status, words) = refused(CallRoute::Chat, r#"{"model":"m","keep_alive":"5"}"#);
        assert!(status == 400 && words.contains("missing unit"), "{words}");
        for twice in [r#"{"model":"m","model":"m"}"#, r#"{"MODEL":"m","model":"n:cloud"}"#] {
            let (status, words) = refused(CallRoute::Chat, twice);
            assert!(status == 400 && words.contains("more than once"), "{words}");
        }
    }
}
