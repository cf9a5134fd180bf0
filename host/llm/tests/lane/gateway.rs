//! Ollama's surface: what clients send, what Ollama gets, and what comes back.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    intake::INPUT_BYTES_MAX,
    ports::{
        attended::{Attended, Halt},
        gateway::{
            CallRoute, ClientCall, Gateway as _, Origin, PassRoute, Passage, Place, Reply,
            ReplyBody, VIA,
        },
        llm::Llm as _,
        runner::{Outcome, Supervisor},
    },
    priority::Priority,
};
use roughneck_llm::{Config, Record};
use roughneck_testkit::{
    eventually,
    ollama::{self, Page},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::stage::{QWEN, SOON, Stage, Witness};

/// A job whose books nobody keeps.
pub(crate) struct Visitor {
    witness: Arc<Witness>,
    ended: Mutex<Vec<Outcome>>,
    pub(crate) cancelled: Notify,
}

#[async_trait]
impl Attended for Visitor {
    fn id(&self) -> JobId {
        "01J00000000000000000000000".parse().unwrap()
    }
    fn supervisor(&self) -> Arc<dyn Supervisor> {
        Arc::clone(&self.witness) as _
    }
    fn begin(&self) {}
    async fn halted(&self) -> Halt {
        self.cancelled.notified().await;
        Halt::Cancelled
    }
    fn end(&self, outcome: Outcome) {
        self.ended.lock().unwrap().push(outcome);
    }
}

impl Visitor {
    pub(crate) fn of(stage: &Stage) -> Arc<Self> {
        let witness = Arc::clone(&stage.witness);
        Arc::new(Self { witness, ended: Mutex::default(), cancelled: Notify::new() })
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.notify_waiters();
        self.cancelled.notify_one();
    }

    /// How the job ended, in one word.
    pub(crate) fn ended(&self) -> Vec<String> {
        let ended = self.ended.lock().unwrap();
        let word = |outcome: &Outcome| match outcome {
            Outcome::Done { output } => output.clone(),
            Outcome::Failed(failure) | Outcome::Postponed(failure) => failure.code.clone(),
            Outcome::Awaits(_) => "waits".to_owned(),
        };
        ended.iter().map(word).collect()
    }
}

pub(crate) fn client_call(route: CallRoute, body: Bytes) -> ClientCall {
    let (user_agent, caller, job) = (None, None, None);
    ClientCall { route, body, user_agent, caller, origin: Origin::Client, job }
}

impl Stage {
    pub(crate) async fn send(&self, route: CallRoute, body: &Value) -> (Reply, Arc<Visitor>) {
        let visitor = Visitor::of(self);
        let reply = self.send_as(Arc::clone(&visitor), Priority::HIGH, route, body).await;
        (reply, visitor)
    }

    pub(crate) async fn send_as(
        &self,
        visitor: Arc<Visitor>,
        priority: Priority,
        route: CallRoute,
        body: &Value,
    ) -> Reply {
        let body = Bytes::from(body.to_string());
        let call = client_call(route, body);
        let place = Place { rank: priority.rank(Millis(0)), priority };
        match self.lane.admit(call).await {
            Ok(admitted) => admitted.run(place, visitor).await,
            Err(reply) => reply,
        }
    }

    /// What a client gets that talks to Ollama itself.
    pub(crate) async fn direct(&self, path: &str, body: &Value) -> (u16, String) {
        let url = format!("{}{path}", self.ollama.url());
        let http = reqwest::Client::new();
        let response = http.post(url).body(body.to_string()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

pub(crate) fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let found = reply.headers.iter().find(|(known, _)| *known == name)?;
    Some(&found.1)
}

pub(crate) async fn text(reply: Reply) -> String {
    let bytes = match reply.body {
        ReplyBody::Whole(bytes) => bytes.to_vec(),
        ReplyBody::Stream(stream) => {
            stream.map(Result::unwrap).collect::<Vec<Bytes>>().await.concat()
        }
    };
    String::from_utf8(bytes).unwrap()
}

/// The text without what differs from call to call.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let (prefix, json) = line.split_at(line.find('{').unwrap_or(line.len()));
        steady.push_str(prefix);
        match serde_json::from_str::<Value>(json) {
            Ok(mut value) => {
                if let Some(object) = value.as_object_mut() {
                    object.retain(|key, _| {
                        !key.ends_with("_duration")
                            && !["created_at", "created", "id"].contains(&key.as_str())
                    });
                }
                steady.push_str(&value.to_string());
            }
            Err(_) => steady.push_str(json),
        }
        steady.push('\n');
    }
    steady
}

pub(crate) fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream})
}

#[tokio::test]
async fn every_surface_answers_as_ollama_does_in_pieces_and_whole() {
    let stage = Stage::new().await;
    for stream in [false, true] {
        for (route, body) in [
            (CallRoute::Chat, chat(QWEN, stream)),
            (CallRoute::Generate, json!({"model": QWEN, "prompt": "hello", "stream": stream})),
            (CallRoute::ChatCompletions, chat(QWEN, stream)),
        ] {
            let (reply, visitor) = stage.send(route, &body).await;
            assert_eq!(reply.status, 200);
            assert_eq!(header(&reply, "x-roughneck-job-id"), Some("01J00000000000000000000000"));
            let ours = text(reply).await;
            let (_, theirs) = stage.direct(route.path(), &body).await;
            assert_eq!(steady(&ours), steady(&theirs), "{} {stream}", route.path());
            assert_eq!(visitor.ended().len(), 1, "{} {stream}", route.path());
        }
    }
}

#[tokio::test]
async fn a_model_is_called_in_the_answer_what_its_client_calls_it() {
    let stage = Stage::new().await;
    let name = "Qwen3:4B";
    for (route, body) in [
        (CallRoute::Chat, chat(name, false)),
        (CallRoute::Generate, json!({"model": name, "prompt": "hello"})),
        (CallRoute::Generate, json!({"model": name})),
        (CallRoute::ChatCompletions, chat(name, true)),
        (CallRoute::Embed, json!({"model": "nomic-embed-text", "input": "x"})),
    ] {
        let (reply, _) = stage.send(route, &body).await;
        let ours = text(reply).await;
        let (_, theirs) = stage.direct(route.path(), &body).await;
        assert_eq!(steady(&ours), steady(&theirs), "{}", route.path());
    }
}

#[tokio::test]
async fn who_only_wants_to_see_the_prompt_gets_the_one_object_that_ollama_sends() {
    let quick = |config: &mut Config| config.quiet_for = Duration::from_millis(20);
    let stage = Stage::with(ollama::Config::instant(), quick).await;
    for stream in [false, true] {
        for (route, mut body) in [
            (CallRoute::Chat, chat(QWEN, stream)),
            (CallRoute::Generate, json!({"model": QWEN, "prompt": "hello", "stream": stream})),
        ] {
            body["_debug_render_only"] = json!(true);
            let (reply, visitor) = stage.send(route, &body).await;
            let json = "application/json; charset=utf-8";
            assert_eq!((reply.status, header(&reply, "content-type")), (200, Some(json)));
            let ours = text(reply).await;
            let (_, theirs) = stage.direct(route.path(), &body).await;
            assert_eq!(steady(&ours), steady(&theirs), "{} {stream}", route.path());
            assert!(ours.contains("_debug_info"), "{ours}");
            assert_eq!(visitor.ended(), [r#"{"status":200}"#]);
        }
    }
    // One who waits has been told that lines come.
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let (running, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let mut body = chat(QWEN, true);
    body["_debug_render_only"] = json!(true);
    let (waiting, _) = stage.send(CallRoute::Chat, &body).await;
    drop(running);
    let said = text(waiting).await;
    assert!(
        said.ends_with("}\n") && said.lines().last().unwrap().contains("_debug_info"),
        "{said}"
    );
}

#[tokio::test]
async fn the_last_piece_with_the_usage_is_for_those_who_asked_for_it() {
    let stage = Stage::new().await;
    let mut body = chat(QWEN, true);
    let (reply, _) = stage.send(CallRoute::ChatCompletions, &body).await;
    let plain = text(reply).await;
    assert!(!plain.contains("\"usage\"") && plain.ends_with("data: [DONE]\n\n"), "{plain}");
    let sent = stage.bodies("/v1/chat/completions");
    assert!(sent[0].contains(r#""stream_options":{"include_usage":true}"#), "{sent:?}");
    body["stream_options"] = json!({"include_usage": true});
    let (reply, _) = stage.send(CallRoute::ChatCompletions, &body).await;
    assert!(text(reply).await.contains("\"usage\""));
    // Of a completion every chunk has one if any was asked for.
    let body = json!({"model": QWEN, "prompt": "hello", "stream": true});
    let (reply, _) = stage.send(CallRoute::Completions, &body).await;
    let (_, theirs) = stage.direct("/v1/completions", &body).await;
    assert_eq!(steady(&text(reply).await), steady(&theirs));
    let output = r#"roughneck_tokens_total{model="qwen3:4b",type="output"}"#;
    assert!(stage.metric(output).is_some_and(|tokens| tokens > 0.0));
}

#[tokio::test]
async fn a_model_that_is_not_there_is_refused_in_ollama_s_words() {
    let stage = Stage::new().await;
    for (route, body, words) in [
        (CallRoute::Chat, chat("nope", true), r#"{"error":"model 'nope' not found"}"#),
        (
            CallRoute::Embed,
            json!({"model": "nope", "input": "x"}),
            r#"{"error":"model \"nope\" not found, try pulling it first"}"#,
        ),
    ] {
        let (reply, visitor) = stage.send(route, &body).await;
        assert_eq!(reply.status, 404);
        assert_eq!(text(reply).await, words);
        assert!(visitor.ended().is_empty(), "there was no job yet");
    }
    let (reply, _) = stage.send(CallRoute::ChatCompletions, &chat("nope", false)).await;
    let error: Value = serde_json::from_str(&text(reply).await).unwrap();
    assert_eq!(error["error"]["type"], "not_found_error");
}

#[tokio::test]
async fn a_client_that_sends_nonsense_does_not_cast_doubt_on_what_is_loaded() {
    let stage = Stage::unwatched().await;
    stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    stage.until_looked().await;
    let looks = stage.bodies("/api/ps").len();
    let nonsense = r#"{"error":"\"qwen3:4b\" does not support tools"}"#.to_owned();
    stage.ollama.script([ollama::Reply::Status(400, nonsense)]);
    let (reply, _) = stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    assert_eq!(reply.status, 400);
    stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    assert_eq!(stage.bodies("/api/ps").len(), looks);
}

#[tokio::test]
async fn an_alias_stands_for_its_model_and_is_listed() {
    let stage = Stage::new().await;
    let (reply, _) = stage.send(CallRoute::Chat, &chat("fast", false)).await;
    assert_eq!(reply.status, 200);
    assert!(stage.bodies("/api/chat")[0].contains("llama3.2:3b"));
    let passage = Passage {
        route: PassRoute::Tags,
        method: "GET".to_owned(),
        path: "/api/tags".to_owned(),
        headers: Vec::new(),
        body: Box::pin(futures_util::stream::empty()),
    };
    let listed = text(stage.lane.pass(passage).await).await;
    for alias in ["fast", "default"] {
        assert!(listed.contains(&format!("\"name\":\"{alias}\"")), "{listed}");
        let shown = stage.pass(PassRoute::Show, "POST", &json!({"model": alias})).await;
        assert_eq!(shown.status, 200, "{alias}");
    }
    for (name, status, start) in [
        ("fast", 200, r#"{"id":"fast","object":"model""#),
        ("default", 200, r#"{"id":"default","object":"model""#),
        (QWEN, 200, r#"{"id":"qwen3:4b""#),
        ("slow", 404, r#"{"error":{"message":"#),
    ] {
        let passage = Passage {
            route: PassRoute::Model,
            method: "GET".to_owned(),
            path: format!("/v1/models/{name}?x=1"),
            headers: Vec::new(),
            body: Box::pin(futures_util::stream::empty()),
        };
        let reply = stage.lane.pass(passage).await;
        assert_eq!(reply.status, status, "{name}");
        let model = text(reply).await;
        assert!(model.starts_with(start), "{model}");
    }
}

#[tokio::test]
async fn a_call_that_is_larger_than_an_input_may_be_is_recorded_without_its_words() {
    let full = |config: &mut Config| config.record = Record::Full;
    let stage = Stage::with(ollama::Config::instant(), full).await;
    // The second fits, but not beside what else is told of it.
    for (bytes, is_kept) in [(1 << 10, true), (INPUT_BYTES_MAX - 60, false), (5 << 20, false)] {
        let body = json!({"model": QWEN, "prompt": "x".repeat(bytes)}).to_string();
        let call = client_call(CallRoute::Generate, body.clone().into());
        let record = stage.lane.admit(call).await.ok().unwrap().record();
        assert!(record.len() <= INPUT_BYTES_MAX);
        let record: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(record["bytes"], body.len());
        assert_eq!(record["body"].is_object(), is_kept);
        assert_eq!(record["words"] == "too large to keep", !is_kept);
    }
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_no_objection_as_with_ollama() {
    let stage = Stage::new().await;
    let body = b"{\"model\":\"qwen3:4b\",\"stream\":false,\"prompt\":\"Gr\xfc\xdfe\"}";
    let call = client_call(CallRoute::Generate, Bytes::from_static(body));
    let admitted = stage.lane.admit(call).await.ok().unwrap();
    let place = Place { rank: Millis(0), priority: Priority::NORMAL };
    assert_eq!(admitted.run(place, Visitor::of(&stage)).await.status, 200);
    let asked = stage.bodies("/api/generate").pop().unwrap();
    assert!(asked.contains("Gr\u{fffd}\u{fffd}e"), "{asked}");
}

#[tokio::test]
async fn a_line_that_is_no_json_breaks_an_answer_that_is_put_together() {
    let stage = Stage::new().await;
    let page = Page {
        status: 200,
        r#type: "application/x-ndjson",
        body: "{\"message\":{\"content\":\"a\"},\"done\":false}\nrubbish\n\
               {\"message\":{\"content\":\"\"},\"done\":true}\n",
    };
    stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    stage.ollama.faults().intercept(Some(page));
    let (reply, visitor) = stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    let (status, said) = (reply.status, text(reply).await);
    assert!(said.contains("a line is not what Ollama sends"), "{said}");
    assert_eq!((status, &*visitor.ended()[0]), (502, "ollama-broke-off"));
    // Whoever reads the lines is shown what Ollama wrote.
    let (reply, visitor) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    assert_eq!(text(reply).await, page.body);
    assert_eq!(visitor.ended().len(), 1);
}

#[tokio::test]
async fn whatever_is_sent_to_ollama_bears_the_mark_of_a_host() {
    let stage = Stage::new().await;
    stage.ask(crate::call(QWEN)).await.unwrap();
    for stream in [true, false] {
        text(stage.send(CallRoute::Chat, &chat(QWEN, stream)).await.0).await;
    }
    let passage = Passage {
        route: PassRoute::Ps,
        method: "GET".to_owned(),
        path: "/api/ps".to_owned(),
        headers: Vec::new(),
        body: Box::pin(futures_util::stream::empty()),
    };
    text(stage.lane.pass(passage).await).await;
    let log = stage.ollama.log();
    for path in ["/api/tags", "/api/generate", "/api/chat", "/api/ps"] {
        assert!(log.iter().any(|request| request.path == path), "{path} was asked");
    }
    for request in log {
        assert_eq!(request.headers.get("via").unwrap(), VIA, "{}", request.path);
    }
}

#[tokio::test]
async fn what_changes_the_inventory_is_refused_unless_the_operator_allows_it() {
    let stage = Stage::new().await;
    let passage = Passage {
        route: PassRoute::Pull,
        method: "POST".to_owned(),
        path: "/api/pull".to_owned(),
        headers: Vec::new(),
        body: Box::pin(futures_util::stream::empty()),
    };
    let reply = stage.lane.pass(passage).await;
    assert_eq!(reply.status, 403);
    assert!(text(reply).await.contains("admin = true"));
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_generation_and_lets_the_next_one_go() {
    let stage = Stage::with(ollama::Config::demo(), |_| {}).await;
    let (reply, visitor) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let ReplyBody::Stream(mut stream) = reply.body else { panic!("it streams") };
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let seen = async || stage.ollama.log().iter().any(|call| call.client_left);
    eventually("Ollama sees that the client has left", SOON, seen).await.unwrap();
    assert!(visitor.ended().is_empty(), "the engine hears of it by the drop");
    let cancelled = r#"roughneck_requests_total{model="qwen3:4b",outcome="cancelled"}"#;
    assert_eq!(stage.metric(cancelled), Some(1.0));
    let (reply, _) = stage.send(CallRoute::Generate, &json!({"model": QWEN})).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_cancelled_job_tells_its_client_so_in_the_middle_of_the_answer() {
    let stage = Stage::with(ollama::Config::demo(), |_| {}).await;
    let (reply, visitor) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    visitor.cancel();
    let said = text(reply).await;
    let last = said.lines().last().unwrap();
    assert_eq!(last, r#"{"error":"request canceled: the job was cancelled"}"#);
    assert_eq!(visitor.ended(), ["cancelled"]);
}

#[tokio::test]
async fn a_client_that_waits_long_gets_signs_of_life_and_then_its_answer() {
    let quick = |config: &mut Config| config.quiet_for = Duration::from_millis(20);
    let stage = Stage::with(ollama::Config::demo(), quick).await;
    let (first, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    // The first one has the lane for as long as nobody reads it to its end.
    let (second, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    assert_eq!(header(&second, "x-queue-position"), Some("1"));
    assert_eq!(header(&second, "x-accel-buffering"), Some("no"));
    let ReplyBody::Stream(mut waiting) = second.body else { panic!("it streams") };
    let sign = waiting.next().await.unwrap().unwrap();
    let sign: Value = serde_json::from_slice(&sign).unwrap();
    assert_eq!((&sign["message"]["content"], &sign["done"]), (&json!(""), &json!(false)));
    assert_eq!(sign["roughneck"]["position"], 1);
    drop(first);
    let rest: Vec<Bytes> = waiting.map(Result::unwrap).collect().await;
    let rest = String::from_utf8(rest.concat()).unwrap();
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(last["done"], true, "{rest}");
}

#[tokio::test]
async fn a_full_queue_is_told_in_ollama_s_words() {
    let stage = Stage::with(ollama::Config::demo(), |config| config.waiting_max = 0).await;
    let (first, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let (reply, visitor) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("10")));
    assert_eq!(header(&reply, "x-roughneck-job-id"), Some("01J00000000000000000000000"));
    let busy = "server busy, please try again.  maximum pending requests exceeded";
    assert_eq!(text(reply).await, json!({"error": busy}).to_string());
    assert_eq!(visitor.ended(), ["queue-full"]);
    drop(first);
}

#[tokio::test]
async fn one_client_s_zero_does_not_unload_what_others_wait_for() {
    let stage = Stage::with(ollama::Config::demo(), |_| {}).await;
    let unload = json!({"model": QWEN, "keep_alive": 0});
    let (running, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let (reply, _) = stage.send(CallRoute::Generate, &unload).await;
    assert!(text(reply).await.contains(r#""done_reason":"unload""#));
    let unloads = || {
        let sent = stage.bodies("/api/generate");
        sent.iter().filter(|body| body.contains("\"keep_alive\":0")).count()
    };
    assert_eq!(unloads(), 0, "the model is in use");
    drop(running);
    let (reply, _) = stage.send(CallRoute::Generate, &unload).await;
    assert!(text(reply).await.contains(r#""done_reason":"unload""#));
    assert_eq!(unloads(), 1, "nobody needs it any more");
}

#[tokio::test]
async fn a_model_is_unloaded_whatever_it_was_loaded_with_and_is_never_loaded_for_it() {
    let stage = Stage::new().await;
    let unload = json!({"model": QWEN, "keep_alive": 0});
    let mut roomy = chat(QWEN, true);
    roomy["options"] = json!({"num_ctx": 2048});
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let (running, _) = stage.send(CallRoute::Chat, &roomy).await;
    let (reply, _) = stage.send(CallRoute::Generate, &unload).await;
    assert!(text(reply).await.contains(r#""done_reason":"unload""#));
    let unloads = || {
        let sent = stage.bodies("/api/generate");
        sent.iter().filter(|body| body.contains("\"keep_alive\":0")).count()
    };
    assert_eq!(unloads(), 0, "the model is in use");
    drop(running);
    // The second one finds nothing to unload.
    for told in 1..=2 {
        let (reply, _) = stage.send(CallRoute::Generate, &unload).await;
        assert!(text(reply).await.contains(r#""done_reason":"unload""#));
        assert_eq!(unloads(), told);
    }
    assert_eq!(stage.ollama.loads().len(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_so_on_every_surface() {
    let stage = Stage::new().await;
    for (route, end) in
        [(CallRoute::Chat, "{\"error\":\""), (CallRoute::ChatCompletions, "data: {\"error\":{")]
    {
        stage.ollama.script([ollama::Reply::Truncate { after_tokens: 2 }]);
        let (reply, visitor) = stage.send(route, &chat(QWEN, true)).await;
        let said = text(reply).await;
        let last = said.trim_end().lines().last().unwrap();
        assert!(last.starts_with(end), "{said}");
        assert_eq!(visitor.ended(), ["ollama-broke-off"]);
    }
}

#[tokio::test]
async fn who_wants_it_in_one_piece_gets_the_status_that_ollama_has_for_its_failures() {
    let stage = Stage::new().await;
    let fails = || ollama::Reply::MidStreamError { after_tokens: 2, message: "boom".to_owned() };
    stage.ollama.script([fails(), fails()]);
    let body = chat(QWEN, false);
    let (reply, visitor) = stage.send(CallRoute::Chat, &body).await;
    let ours = (reply.status, text(reply).await);
    assert_eq!(ours, stage.direct("/api/chat", &body).await);
    assert_eq!(ours, (500, r#"{"error":"boom"}"#.to_owned()));
    assert_eq!(visitor.ended().first().unwrap(), "ollama-broke-off");
}

#[tokio::test]
async fn the_first_piece_does_not_wait_for_those_that_came_with_it() {
    let stage = Stage::new().await;
    let asked = json!({"model": QWEN, "messages": [{"role": "user", "content": "why?"}]});
    let (reply, _) = stage.send(CallRoute::Chat, &asked).await;
    let ReplyBody::Stream(mut body) = reply.body else { panic!("it comes in pieces") };
    let ended = async || {
        stage.ollama.log().iter().any(|call| call.path == "/api/chat" && call.ended_at.is_some())
    };
    eventually("Ollama has said all", SOON, ended).await.unwrap();
    let first = body.next().await.unwrap().unwrap();
    assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 1);
    // A server that is told to wait writes what it has.
    assert!(body.next().now_or_never().is_none());
    let rest = body.map(Result::unwrap).collect::<Vec<Bytes>>().await.concat();
    assert!(String::from_utf8(rest).unwrap().contains(r#""done":true"#));
}

#[tokio::test]
async fn what_came_in_one_piece_with_the_break_reaches_the_client_before_it() {
    let stage = Stage::new().await;
    stage.ollama.faults().gather(true);
    let message = "boom".to_owned();
    stage.ollama.script([ollama::Reply::MidStreamError { after_tokens: 2, message }]);
    let (reply, visitor) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let said = text(reply).await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines.last()), (3, Some(&r#"{"error":"boom"}"#)), "{said}");
    assert_eq!(visitor.ended(), ["ollama-broke-off"]);
}

#[tokio::test]
async fn jobs_are_told_which_model_is_loaded_by_all_of_its_names() {
    let stage = Stage::new().await;
    assert_eq!(stage.lane.preference(), None, "nothing is loaded");
    let (reply, _) = stage.send(CallRoute::Chat, &chat("fast", false)).await;
    assert_eq!(reply.status, 200);
    let preference = stage.lane.preference().unwrap();
    // It is the newest that can chat, and nobody has configured what `default` means.
    let names: Vec<String> = preference.models.into_iter().collect();
    assert_eq!(names, ["default", "fast", "llama3.2:3b"]);
    assert!(preference.until > preference.urgent_until);
}

#[tokio::test]
async fn a_pinned_context_keeps_clients_and_plugins_on_one_runner() {
    let pin = |config: &mut Config| {
        config.pins.insert("QWEN3:4b".to_owned(), 8192);
    };
    let stage = Stage::with(ollama::Config::instant(), pin).await;
    let (reply, _) = stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    assert_eq!(reply.status, 200);
    stage.ask(crate::stage::call(QWEN)).await.unwrap();
    assert!(stage.bodies("/api/chat").iter().all(|body| body.contains(r#""num_ctx":8192"#)));
    assert_eq!(stage.ollama.loads().len(), 1, "{:?}", stage.ollama.loads());
    assert_eq!(stage.metric(r#"roughneck_prompt_tokens_count{model="qwen3:4b"}"#), Some(2.0));
    let waited = r#"roughneck_queue_wait_seconds_count{priority="high"}"#;
    assert_eq!(stage.metric(waited), Some(1.0));
}

#[tokio::test]
async fn the_embedder_that_has_room_answers_beside_a_call_that_holds_the_lane() {
    const EMBEDDER: &str = "nomic-embed-text";
    let beside = |config: &mut Config| {
        config.aliases.insert("embed".to_owned(), EMBEDDER.to_owned());
        config.embedder = Some("embed".to_owned());
        config.waiting_max = 0;
    };
    let stage = Stage::with(ollama::Config::instant(), beside).await;
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let (running, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let embed = json!({"model": EMBEDDER, "input": "x"});
    let body = Bytes::from(embed.to_string());
    let call = client_call(CallRoute::Embed, body);
    let admitted = stage.lane.admit(call).await.ok().unwrap();
    let place = Place { rank: Millis(0), priority: Priority::NORMAL };
    let embedding = tokio::spawn(admitted.run(place, Visitor::of(&stage)));
    // The simulated Ollama has room for one model only, so that much is to be seen: it was asked.
    let asked = async || stage.bodies("/api/embed").len() == 1;
    eventually("Ollama is asked for an embedding", SOON, asked).await.unwrap();
    let (other, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    assert_eq!(other.status, 503, "the lane is still held");
    drop(running);
    assert_eq!(embedding.await.unwrap().status, 200);
}
