//! Models that answer elsewhere: nothing goes there unless the operator says so, and then beside the lane.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use roughneck_jobs::{
    clock::Millis,
    model::{Completion, Health, LlmError, Piece},
    ports::{
        gateway::{
            CODE, CallRoute, ClientCall, Form, Gateway as _, Origin, PassRoute, Passage, Place,
            Reply,
        },
        llm::Llm as _,
    },
    priority::Priority,
};
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, Model},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    gateway::{Visitor, chat, client_call, header, text},
    stage::{QWEN, SOON, Stage, call, failed},
};

/// Pulled, with a name that says where it answers.
const PULLED: &str = "huge:120b-cloud";
/// Made of it, with a name that says nothing.
const MINE: &str = "mine:latest";
/// Known to the cloud, and not installed.
const UNSEEN: &str = "kimi:cloud";

/// Of this machine.
const SMALL: &str = "llama3.2:3b";

/// An Ollama that would pass on whatever it is asked.
fn willing() -> ollama::Config {
    let mut config = ollama::Config::instant();
    config.models.push(Model::stub(PULLED, "huge:120b"));
    config.models.push(Model::stub(MINE, "huge:120b"));
    config.cloud = Some(vec![Model::chat("huge:120b"), Model::chat("kimi")]);
    for model in config.models.iter_mut().chain(config.cloud.iter_mut().flatten()) {
        model.decode_tokens_per_s = None;
    }
    config
}

fn with_alias(config: &mut Config) {
    config.aliases = BTreeMap::from([("big".to_owned(), UNSEEN.to_owned())]);
}

fn allowed(config: &mut Config) {
    with_alias(config);
    config.cloud = true;
    config.cloud_concurrency = 2;
}

fn body(route: CallRoute, model: &str) -> Value {
    let words = json!("hello");
    let messages = json!([{"role": "user", "content": words}]);
    match route {
        CallRoute::Generate | CallRoute::Embeddings | CallRoute::Completions => {
            json!({"model": model, "prompt": words})
        }
        CallRoute::Embed | CallRoute::OpenAiEmbeddings | CallRoute::Responses => {
            json!({"model": model, "input": words})
        }
        CallRoute::Chat | CallRoute::ChatCompletions => {
            json!({"model": model, "messages": messages})
        }
        CallRoute::Messages => json!({"model": model, "messages": messages, "max_tokens": 9}),
    }
}

impl Stage {
    async fn look_at(&self, route: PassRoute, path: &str) -> Reply {
        let passage = Passage {
            route,
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Box::pin(futures_util::stream::empty()),
        };
        self.lane.pass(passage).await
    }

    /// What Ollama was asked, apart from what it has on this machine and how that is made.
    fn asked(&self) -> Vec<String> {
        let looks = ["/api/version", "/api/tags", "/api/ps"];
        let here = ollama::Config::instant().models.into_iter();
        let here: Vec<String> =
            here.map(|model| json!({"model": model.name}).to_string()).collect();
        let is_look = |path: &str, body: &[u8]| {
            let is_shown = here.iter().any(|model| model.as_bytes() == body);
            looks.contains(&path) || (path == "/api/show" && is_shown)
        };
        let log = self.ollama.log().into_iter();
        let asked = log.filter(|request| !is_look(&request.path, &request.body));
        asked.map(|request| request.path).collect()
    }
}

#[tokio::test]
async fn what_would_leave_the_machine_is_refused_before_anything_is_asked_or_queued() {
    let stage = Stage::with(willing(), with_alias).await;
    let mut refused = 0.0;
    for model in [PULLED, "Huge:120B-CLOUD", "mine", UNSEEN, "big"] {
        let calls = CallRoute::ALL.into_iter().map(|route| (route, body(route, model)));
        let load = (CallRoute::Generate, json!({"model": model}));
        let unload = (CallRoute::Chat, json!({"model": model, "messages": [], "keep_alive": 0}));
        for (route, body) in calls.chain([load, unload]) {
            let (reply, visitor) = stage.send(route, &body).await;
            assert_eq!((reply.status, header(&reply, CODE)), (403, Some("cloud-disabled")));
            let words = text(reply).await;
            let (start, marks) = match route.form() {
                Form::Native => (r#"{"error":"ollama cloud is disabled: remote model is"#, ""),
                Form::OpenAi => (r#"{"error":{"message":"ollama"#, r#""code":"cloud-disabled""#),
                Form::Anthropic => (r#"{"type":"error""#, r#""type":"permission_error""#),
            };
            assert!(words.starts_with(start) && words.contains(marks), "{words}");
            assert!(words.contains("needs `cloud = true` under [ollama]"), "{words}");
            assert!(visitor.ended().is_empty(), "there was no job yet");
            refused += 1.0;
        }
        let error = failed(stage.ask(call(model)).await);
        assert_eq!((error.code(), error.is_retryable()), ("cloud-disabled", false));
        assert_eq!(stage.lane.resolve(model).await.unwrap_err(), error);
        refused += 1.0;
    }
    let series = r#"roughneck_requests_total{outcome="rejected"}"#;
    assert_eq!(stage.metric(series), Some(refused));
    // What Ollama itself would look at, it would look at one, and then ask the other one.
    let twice = json!({"MODEL": QWEN, "model": UNSEEN, "messages": []});
    assert_eq!(stage.send(CallRoute::ChatCompletions, &twice).await.0.status, 400);
    assert_eq!(stage.asked(), [""; 0]);
    assert_eq!(stage.send(CallRoute::Chat, &chat(QWEN, false)).await.0.status, 200);
}

#[tokio::test]
async fn a_search_that_ollama_would_make_leaves_the_machine_as_well() {
    let with = |route, tools| {
        let mut body = body(route, QWEN);
        body["tools"] = tools;
        body
    };
    let input =
        |route: CallRoute, body: &Value| json!({"path": route.path(), "body": body}).to_string();
    let searches = [
        (CallRoute::Messages, with(CallRoute::Messages, json!([{"type": "web_search_20250305"}]))),
        (CallRoute::Responses, with(CallRoute::Responses, json!([{"type": "web_search"}]))),
    ];
    let stage = Stage::with(willing(), |_| {}).await;
    for (route, body) in &searches {
        let (reply, visitor) = stage.send(*route, body).await;
        assert_eq!((reply.status, header(&reply, CODE)), (403, Some("cloud-disabled")));
        let words = text(reply).await;
        assert!(words.contains("ollama cloud is disabled: web search is unavailable"), "{words}");
        assert!(words.contains("needs `cloud = true` under [ollama]"), "{words}");
        let why = stage.lane.forbids(&input(*route, body)).unwrap();
        assert!(words.contains(&why), "the same is said of a job: {why}");
        assert!(visitor.ended().is_empty(), "there was no job yet");
    }
    assert_eq!(stage.asked(), [""; 0]);
    let series = r#"roughneck_requests_total{outcome="rejected"}"#;
    assert_eq!(stage.metric(series), Some(2.0));
    // The client runs such a tool itself.
    let own = with(CallRoute::Messages, json!([{"name": "web_search", "input_schema": {}}]));
    assert_eq!(stage.send(CallRoute::Messages, &own).await.0.status, 200);
    for input in [&*input(CallRoute::Messages, &own), "{}", r#"{"path":"/api/chat","body":7}"#] {
        assert_eq!(stage.lane.forbids(input), None, "{input}");
    }
    let preview = with(CallRoute::Responses, json!([{"type": "web_search_preview", "name": "x"}]));
    assert_eq!(stage.send(CallRoute::Responses, &preview).await.0.status, 200);

    let stage = Stage::with(willing(), allowed).await;
    for (route, body) in &searches {
        assert_eq!(stage.lane.forbids(&input(*route, body)), None);
        assert_eq!(stage.send(*route, body).await.0.status, 200);
    }
}

#[tokio::test]
async fn what_is_elsewhere_is_listed_and_not_looked_at_where_nothing_may_leave() {
    let stage = Stage::with(willing(), with_alias).await;
    let listed = text(stage.look_at(PassRoute::Tags, "/api/tags").await).await;
    assert!(listed.contains(PULLED) && listed.contains(r#""remote_model":"huge:120b""#));
    let status = text(stage.look_at(PassRoute::Status, "/api/status").await).await;
    assert_eq!(status, r#"{"cloud":{"disabled":false,"source":"none"}}"#);
    for name in [PULLED, "mine", "big"] {
        let shown = stage.pass(PassRoute::Show, "POST", &json!({"model": name})).await;
        assert_eq!(shown.status, 403, "{name}");
        let words = text(shown).await;
        assert!(words.contains("disabled: remote model details are unavailable"), "{words}");
    }
    for field in ["model", "NAME"] {
        let twice = format!(r#"{{"{field}":"{UNSEEN}","{}":null}}"#, field.to_lowercase());
        let shown = stage.pass_as_written(PassRoute::Show, "POST", twice).await;
        assert_eq!(shown.status, 400);
        assert!(text(shown).await.contains("names its model more than once"));
    }
    for name in ["huge:120b-cloud", "kimi%3acloud", "big"] {
        let path = format!("/v1/models/{name}");
        assert_eq!(stage.look_at(PassRoute::Model, &path).await.status, 403, "{name}");
    }
    assert_eq!(stage.asked(), ["/api/status"]);
    let recommended = "/api/experimental/model-recommendations";
    let recommended = text(stage.look_at(PassRoute::Recommendations, recommended).await).await;
    assert!(recommended.contains(r#"{"model":"kimi:cloud","#), "{recommended}");
}

#[tokio::test]
async fn a_name_says_enough_while_ollama_is_away() {
    let stage = Stage::with(willing(), with_alias).await;
    stage.ollama.stop_listening().await;
    assert!(matches!(stage.lane.look().await, Health::Down { .. }));
    for model in [UNSEEN, "big"] {
        assert_eq!(stage.send(CallRoute::Chat, &chat(model, true)).await.0.status, 403);
        let error = failed(stage.ask(call(model)).await);
        assert!(matches!(error, LlmError::CloudDisabled { .. }), "{error}");
        assert_eq!(stage.lane.resolve(model).await.unwrap_err(), error);
    }
}

/// Who waits for the small model behind an answer that has the turn.
struct Waiting {
    held: Reply,
    client: JoinHandle<(Reply, Arc<Visitor>)>,
    plugin: JoinHandle<Result<(Vec<Piece>, Completion), LlmError>>,
}

/// Has a client and a plugin wait, and then the name of the small model lead elsewhere.
async fn moved_meanwhile(stage: &Arc<Stage>) -> Waiting {
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 1 }]);
    let (held, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let (by_client, by_plugin) = (Arc::clone(stage), Arc::clone(stage));
    let client =
        tokio::spawn(async move { by_client.send(CallRoute::Chat, &chat(SMALL, false)).await });
    let plugin = tokio::spawn(async move { by_plugin.ask(call(SMALL)).await });
    let wait = async || stage.metric("roughneck_queue_depth") == Some(2.0);
    eventually("both wait", SOON, wait).await.unwrap();
    let copy = json!({"source": MINE, "destination": SMALL});
    assert_eq!(stage.direct("/api/copy", &copy).await.0, 200);
    Waiting { held, client, plugin }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_by_the_time_of_the_turn_is_not_asked() {
    for (change, status, code) in
        [(with_alias as fn(&mut Config), 403, "cloud-disabled"), (allowed, 503, "model-moved")]
    {
        let stage = Arc::new(Stage::with(willing(), change).await);
        let Waiting { held, client, plugin } = moved_meanwhile(&stage).await;
        stage.lane.look().await;
        drop(held);

        let (reply, visitor) = client.await.unwrap();
        assert_eq!((reply.status, visitor.ended()), (status, vec![code.to_owned()]));
        assert_eq!(header(&reply, CODE), Some(code));
        let again = (status == 503).then_some("10");
        assert_eq!(header(&reply, "retry-after"), again, "the call is made anew, or never");
        assert_eq!(failed(plugin.await.unwrap()).code(), code);
        for path in ["/api/chat", "/api/generate"] {
            assert!(stage.bodies(path).iter().all(|body| !body.contains(SMALL)), "{path}");
        }
    }
}

#[tokio::test]
async fn an_ollama_that_has_just_come_back_is_looked_at_before_it_is_asked() {
    let impatient = |config: &mut Config| config.question_timeout = Duration::from_millis(200);
    let stage = Arc::new(Stage::with(willing(), impatient).await);
    let Waiting { held, client, plugin } = moved_meanwhile(&stage).await;
    stage.ollama.faults().hang(true);
    assert!(matches!(stage.lane.look().await, Health::Down { .. }));
    stage.ollama.faults().hang(false);
    drop(held);

    assert_eq!(client.await.unwrap().0.status, 403);
    assert_eq!(failed(plugin.await.unwrap()).code(), "cloud-disabled");
    for path in ["/api/chat", "/api/generate"] {
        assert!(stage.bodies(path).iter().all(|body| !body.contains(SMALL)), "{path}");
    }
}

#[tokio::test]
async fn a_job_keeps_no_slot_while_ollama_is_away() {
    let patient = |config: &mut Config| {
        allowed(config);
        config.away_patience = 10 * SOON;
    };
    let stage = Stage::with(willing(), patient).await;
    let of_job = |model| {
        let call = client_call(CallRoute::Chat, Bytes::from(chat(model, false).to_string()));
        stage.lane.admit(ClientCall { origin: Origin::Job, ..call })
    };
    let mut admitted = Vec::new();
    for model in [UNSEEN, QWEN] {
        admitted.push(of_job(model).await.map_err(|reply| reply.status).unwrap());
    }
    stage.ollama.stop_listening().await;
    let at_once = async {
        for admitted in admitted {
            let visitor = Visitor::of(&stage);
            let place = Place { rank: Millis(0), priority: Priority::NORMAL };
            let reply = admitted.run(place, Arc::clone(&visitor) as _).await;
            assert_eq!((reply.status, visitor.ended()), (503, vec!["ollama-unavailable".into()]));
        }
        for model in [UNSEEN, QWEN] {
            let refused = of_job(model).await.map(drop).map_err(|reply| reply.status);
            assert_eq!(refused, Err(503), "{model}");
        }
    };
    tokio::time::timeout(SOON, at_once).await.unwrap();
}

#[tokio::test]
async fn calls_that_may_leave_go_beside_the_lane_so_many_at_once_and_nothing_is_loaded() {
    let change = |config: &mut Config| {
        allowed(config);
        config.keep_alive = Some("10m".to_owned());
        config.pins = BTreeMap::from([("mine".to_owned(), 8192)]);
        config.preempt = true;
    };
    let stage = Arc::new(Stage::with(willing(), change).await);
    stage.ollama.script([(); 3].map(|()| ollama::Reply::Stall { after_tokens: 1 }));
    let (held, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let (first, _) = stage.send(CallRoute::Chat, &chat("mine", true)).await;
    let (second, _) = stage.send(CallRoute::Chat, &chat("big", true)).await;
    let third = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move {
            text(stage.send(CallRoute::Messages, &body(CallRoute::Messages, MINE)).await.0).await
        }
    });
    let waits = async || stage.metric(r#"roughneck_queue_depth{priority="high"}"#) == Some(1.0);
    eventually("a third call waits", SOON, waits).await.unwrap();
    for (series, value) in [
        (r#"roughneck_inflight{site="here"}"#, 1.0),
        (r#"roughneck_inflight{site="cloud"}"#, 2.0),
        ("roughneck_model_swaps_total", 1.0),
    ] {
        assert_eq!(stage.metric(series), Some(value), "{series}");
    }
    drop(first);
    assert!(third.await.unwrap().contains("[simulated]"));
    stage.ask(call(PULLED)).await.unwrap();
    drop(second);
    assert_eq!(stage.ollama.in_flight_max(), 3);
    assert_eq!(stage.ollama.loads().len(), 1);
    assert_eq!(stage.witness.loading(), [true, false], "of the model of this machine");
    let (chats, messages) = (stage.bodies("/api/chat"), stage.bodies("/v1/messages"));
    let elsewhere = chats.iter().chain(&messages).filter(|body| !body.contains(QWEN));
    for body in elsewhere {
        assert!(!body.contains("num_ctx") && !body.contains("keep_alive"), "{body}");
    }
    assert!(stage.bodies("/api/create").is_empty(), "nothing stands in for it");
    let eval =
        |site| format!(r#"roughneck_ollama_stage_seconds_total{{stage="eval",site="{site}"}}"#);
    assert!(stage.metric(&eval("cloud")) > Some(0.0) && stage.metric(&eval("here")) == Some(0.0));
    let tokens = format!(r#"roughneck_tokens_total{{model="{PULLED}",type="output"}}"#);
    assert!(stage.metric(&tokens) > Some(0.0));
    drop(held);
}

#[tokio::test]
async fn what_ollama_passes_on_is_answered_as_from_there() {
    let stage = Stage::with(willing(), allowed).await;
    for (model, status, words) in [
        (UNSEEN, 200, r#""model":"kimi""#),
        ("big", 200, r#""model":"kimi""#),
        ("mine", 200, r#""model":"mine","remote_model":"huge:120b""#),
        ("nobody:cloud", 404, "model 'nobody' not found"),
        ("mine:local", 404, "model 'mine:local' not found"),
    ] {
        let (reply, _) = stage.send(CallRoute::Chat, &chat(model, false)).await;
        assert_eq!(reply.status, status, "{model}");
        let answer = text(reply).await;
        assert!(answer.contains(words), "{answer}");
    }
    let (unloaded, visitor) =
        stage.send(CallRoute::Chat, &json!({"model": "mine", "keep_alive": 0})).await;
    assert_eq!((unloaded.status, header(&unloaded, "x-roughneck-kept")), (200, None));
    assert_eq!(visitor.ended().len(), 1);
    let shown = stage.pass(PassRoute::Show, "POST", &json!({"model": PULLED})).await;
    assert_eq!(shown.status, 200);
    assert!(stage.ollama.loads().is_empty());
}

#[tokio::test]
async fn what_goes_wrong_elsewhere_says_nothing_about_the_ollama_here() {
    let stage = Stage::with(willing(), allowed).await;
    let full = r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#;
    for (status, words) in [(500, "{}"), (502, "{}"), (500, "{}"), (500, "{}"), (503, full)] {
        stage.ollama.script([ollama::Reply::Status(status, words.to_owned())]);
        let (reply, _) = stage.send(CallRoute::Chat, &chat(MINE, true)).await;
        assert_eq!(reply.status, status);
    }
    stage.ollama.script([ollama::Reply::Status(429, "{}".to_owned())]);
    let error = failed(stage.ask(call(MINE)).await);
    assert_eq!(error.code(), "ollama-busy");
    for series in ["roughneck_upstream_breaker_open", "roughneck_upstream_external_use_total"] {
        assert_eq!(stage.metric(series), Some(0.0), "{series}");
    }
    assert_eq!(stage.send(CallRoute::Chat, &chat(QWEN, false)).await.0.status, 200);
}
