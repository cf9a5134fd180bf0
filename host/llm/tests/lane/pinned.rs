//! The context that is pinned for a model, in calls that have no place for one.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use roughneck_jobs::{
    model::Health,
    ports::{
        budgets::Unlimited,
        gateway::{CallRoute, PassRoute, ReplyBody},
        llm::Llm as _,
    },
};
use roughneck_llm::{Config, Lane};
use roughneck_testkit::{
    eventually,
    ollama::{self, Reply as Scripted},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    gateway::{chat, text},
    stage::{self, OWNER, QWEN, SOON, Stage, call},
};

const LLAMA: &str = "llama3.2:3b";
const UNPINNED: &str = "roughneck_unpinned_calls_total";

/// The routes of other surfaces, with a question for each.
fn questions(model: &str, stream: bool) -> [(CallRoute, Value); 5] {
    let said = json!([{"role": "user", "content": "hello"}]);
    let limited = json!({"model": model, "messages": said, "max_tokens": 50, "stream": stream});
    let with = |field: &str| json!({"model": model, field: "hello", "stream": stream});
    [
        (CallRoute::ChatCompletions, chat(model, stream)),
        (CallRoute::Completions, with("prompt")),
        (CallRoute::OpenAiEmbeddings, json!({"model": model, "input": "hello"})),
        (CallRoute::Responses, with("input")),
        (CallRoute::Messages, limited),
    ]
}

fn pin(config: &mut Config) {
    config.pins.insert("QWEN3:4b".to_owned(), 8192);
    config.admin = true;
}

async fn pinned() -> Stage {
    Stage::with(ollama::Config::instant(), pin).await
}

impl Stage {
    /// Asks on `/v1`, and returns what is answered.
    async fn ask_v1(&self) -> String {
        let (reply, _) = self.send(CallRoute::ChatCompletions, &chat(QWEN, false)).await;
        assert_eq!(reply.status, 200);
        text(reply).await
    }

    /// What stands in for models, as Ollama itself lists it.
    async fn stand_ins(&self) -> Vec<String> {
        let url = format!("{}/api/tags", self.ollama.url());
        let tags = reqwest::get(url).await.unwrap().text().await.unwrap();
        let names = tags.split("\"name\":\"").filter_map(|rest| rest.split('"').next());
        names.filter(|name| name.starts_with("roughneck/")).map(str::to_owned).collect()
    }

    async fn until_stand_ins(&self, wanted: impl Fn(&[String]) -> bool) {
        let is_so = async || wanted(&self.stand_ins().await);
        eventually("the stand-ins are those that are needed", SOON, is_so).await.unwrap();
    }

    /// Has Ollama make the model anew, as a pull would: it has another digest then.
    async fn renew(&self) {
        let parameters = json!({"temperature": 0.5});
        let body = json!({"model": QWEN, "from": QWEN, "parameters": parameters, "stream": false});
        assert_eq!(self.direct("/api/create", &body).await.0, 200);
        self.lane.look().await;
    }

    /// How often the host had Ollama make a model.
    fn made(&self) -> usize {
        self.bodies("/api/create").iter().filter(|body| body.contains("roughneck/")).count()
    }

    /// The host anew, in front of the same Ollama.
    pub(crate) fn restarted(&self, change: impl FnOnce(&mut Config)) -> Arc<Lane> {
        self.shutdown.cancel();
        self.beside(change)
    }

    /// Another lane in front of the same Ollama.
    fn beside(&self, change: impl FnOnce(&mut Config)) -> Arc<Lane> {
        let mut config = Config { owner: Some(OWNER), ..Config::new(self.ollama.url()) };
        change(&mut config);
        let ports = stage::ports(&self.witness, Arc::new(Unlimited));
        Lane::start(config, ports, &CancellationToken::new()).unwrap()
    }
}

#[tokio::test]
async fn calls_of_every_route_share_the_runner_with_the_pinned_context() {
    let often = |config: &mut Config| {
        pin(config);
        config.look_every = Duration::from_millis(20);
    };
    let stage = Stage::with(ollama::Config::instant(), often).await;
    for stream in [false, true] {
        for (route, body) in questions(QWEN, stream) {
            let (reply, visitor) = stage.send(route, &body).await;
            assert_eq!(reply.status, 200, "{}", route.path());
            let answer = text(reply).await;
            assert!(answer.contains("\"model\":\"qwen3:4b\""), "{}: {answer}", route.path());
            assert!(!answer.contains("roughneck/"), "{}: {answer}", route.path());
            assert_eq!(visitor.ended().len(), 1);
            let (native, _) = stage.send(CallRoute::Chat, &chat(QWEN, stream)).await;
            assert!(text(native).await.contains("\"model\":\"qwen3:4b\""));
            stage.ask(call(QWEN)).await.unwrap();
        }
    }
    let loads = stage.ollama.loads();
    assert_eq!(loads.len(), 1, "{loads:?}");
    assert_eq!((loads[0].model.as_str(), loads[0].context_length), (QWEN, 8192));
    assert_eq!(stage.metric(UNPINNED), Some(0.0));
    assert_eq!(stage.made(), 1);
    // What is counted and seen is the model.
    let ended = r#"roughneck_requests_total{model="qwen3:4b",outcome="ok"}"#;
    assert_eq!(stage.metric(ended), Some(30.0));
    stage.until_looked().await;
    for sign in ["model", "expiry", "wait", "full"] {
        let series = format!(r#"roughneck_upstream_external_use_total{{sign="{sign}"}}"#);
        assert_eq!(stage.metric(&series), Some(0.0), "{sign}");
    }
}

#[tokio::test]
async fn the_answer_repeats_the_name_as_the_client_wrote_it() {
    let stage = pinned().await;
    for stream in [false, true] {
        for (route, body) in questions("QWEN3:4B", stream) {
            let answer = text(stage.send(route, &body).await.0).await;
            assert!(answer.contains("\"model\":\"QWEN3:4B\""), "{}: {answer}", route.path());
            assert!(!answer.contains("roughneck/"), "{}: {answer}", route.path());
        }
    }
}

#[tokio::test]
async fn what_is_not_pinned_goes_out_as_it_came() {
    let stage = pinned().await;
    for (route, body) in questions(LLAMA, false) {
        let (reply, _) = stage.send(route, &body).await;
        assert_eq!(reply.status, 200);
        assert_eq!(stage.bodies(route.path()), [body.to_string()]);
    }
    assert_eq!((stage.made(), stage.metric(UNPINNED)), (0, Some(0.0)));
    let (reply, _) = stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    assert_eq!((reply.status, stage.made()), (200, 0), "there it has a place");
}

#[tokio::test]
async fn two_first_calls_at_once_have_one_stand_in_made() {
    let stage = pinned().await;
    tokio::join!(stage.ask_v1(), stage.ask_v1(), stage.ask_v1());
    assert_eq!(stage.made(), 1);
    assert_eq!(stage.stand_ins().await.len(), 1);
    let contexts: Vec<u64> = stage.ollama.loads().iter().map(|load| load.context_length).collect();
    assert_eq!(contexts, [8192]);
    // What an earlier host has made is there for the next.
    let restarted = stage.restarted(pin);
    let stage = Stage { lane: restarted, ..stage };
    stage.until_up().await;
    stage.ask_v1().await;
    assert_eq!((stage.made(), stage.ollama.loads().len()), (1, 1));
}

#[tokio::test]
async fn a_pin_of_a_million_tokens_has_a_stand_in_though_go_writes_it_otherwise() {
    let large = |config: &mut Config| {
        config.pins.insert(QWEN.to_owned(), 1 << 20);
    };
    let stage = Stage::with(ollama::Config::instant(), large).await;
    stage.ask_v1().await;
    assert_eq!((stage.made(), stage.metric(UNPINNED)), (1, Some(0.0)));
    assert_eq!(stage.stand_ins().await.len(), 1);
}

#[tokio::test]
async fn nobody_waits_for_the_stand_in_of_another_model() {
    let both = |config: &mut Config| {
        pin(config);
        config.pins.insert(LLAMA.to_owned(), 4096);
        config.question_timeout = 3 * SOON;
    };
    let stage = Stage::with(ollama::Config::instant(), both).await;
    let shows = stage.bodies("/api/show").len();
    stage.ollama.faults().mute_show(true);
    let waits = stage.ask_v1();
    tokio::pin!(waits);
    let asked = async || stage.bodies("/api/show").len() > shows;
    tokio::select! {
        _ = &mut waits => panic!("its stand-in is not made yet"),
        asked = eventually("Ollama is asked", SOON, asked) => asked.unwrap(),
    }
    stage.ollama.faults().mute_show(false);
    let other = chat(LLAMA, false);
    let other = stage.send(CallRoute::ChatCompletions, &other);
    let (reply, _) = tokio::time::timeout(SOON, other).await.expect("it is another one");
    assert_eq!((reply.status, stage.stand_ins().await.len()), (200, 1));
}

#[tokio::test]
async fn a_stand_in_is_there_for_nobody_but_the_host() {
    let stage = pinned().await;
    stage.ask_v1().await;
    let names = stage.stand_ins().await;
    let [stand_in] = &names[..] else { panic!("one is made: {names:?}") };
    stage.lane.look().await;

    assert!(matches!(stage.lane.health(), Health::Up { models: 3, .. }));
    let newest = stage.lane.resolve("default").await.unwrap();
    assert!(!newest.name.starts_with("roughneck/"), "{newest:?}");
    for (route, body) in questions(stand_in, false) {
        let (reply, _) = stage.send(route, &body).await;
        assert_eq!(reply.status, 404, "{}", route.path());
    }
    let error = stage.lane.resolve("nothing:1").await.unwrap_err().to_string();
    assert!(error.contains(QWEN) && !error.contains("roughneck/"), "{error}");
    for route in [PassRoute::Tags, PassRoute::Models] {
        let listed = text(stage.pass(route, "GET", &json!({})).await).await;
        assert!(listed.contains(QWEN) && !listed.contains("roughneck/"), "{listed}");
    }
    let shown = stage.pass(PassRoute::Show, "POST", &json!({"model": stand_in})).await;
    assert_eq!(shown.status, 404);

    // Ollama names what is loaded by the name that loaded it.
    stage.direct("/api/generate", &json!({"model": QWEN, "keep_alive": 0})).await;
    stage.direct("/v1/chat/completions", &chat(stand_in, false)).await;
    assert_eq!(stage.ollama.loads()[1].model, *stand_in);
    let loaded = text(stage.pass(PassRoute::Ps, "GET", &json!({})).await).await;
    assert!(loaded.contains("\"name\":\"qwen3:4b\""), "{loaded}");
    assert!(!loaded.contains("roughneck/"), "{loaded}");
    let restarted = stage.restarted(pin);
    let stage = Stage { lane: restarted, ..stage };
    stage.until_up().await;
    stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(stage.ollama.loads().len(), 2, "it is loaded as the model would be");
    let label = r#"roughneck_model_loaded{model="qwen3:4b",context_length="8192"}"#;
    let is_shown = async || stage.metric(label) == Some(1.0);
    eventually("what is loaded is the model", SOON, is_shown).await.unwrap();
}

#[tokio::test]
async fn an_error_of_ollama_speaks_of_the_model_that_was_asked_for() {
    let stage = pinned().await;
    stage.ask_v1().await;
    let stand_in = stage.stand_ins().await.remove(0);
    let message = format!("registry.ollama.ai/{stand_in} does not support tools");
    let error = json!({"error": {"message": message}}).to_string();
    stage.ollama.script([Scripted::Status(400, error)]);
    let (reply, _) = stage.send(CallRoute::ChatCompletions, &chat(QWEN, true)).await;
    assert_eq!(reply.status, 400);
    assert_eq!(text(reply).await, r#"{"error":{"message":"qwen3:4b does not support tools"}}"#);
}

#[tokio::test]
async fn a_model_that_is_another_one_gets_another_stand_in_when_nobody_needs_the_first() {
    let stage = pinned().await;
    stage.ollama.script([Scripted::Stall { after_tokens: 1 }]);
    let (running, _) = stage.send(CallRoute::ChatCompletions, &chat(QWEN, true)).await;
    let ReplyBody::Stream(mut running) = running.body else { panic!("it streams") };
    running.next().await.unwrap().unwrap();
    let first = stage.stand_ins().await;
    stage.renew().await;
    let waiting = async {
        let (reply, _) = stage.send(CallRoute::ChatCompletions, &chat(QWEN, false)).await;
        text(reply).await
    };
    let meanwhile = async {
        stage.until_stand_ins(|names| names.len() == 2).await;
        stage.lane.look().await;
        assert!(stage.stand_ins().await.contains(&first[0]), "a call goes out by it");
        drop(running);
    };
    tokio::join!(waiting, meanwhile);
    stage.lane.look().await;
    stage.until_stand_ins(|names| names.len() == 1 && names[0] != first[0]).await;
}

#[tokio::test]
async fn a_pin_that_is_another_or_none_leaves_no_stand_in_behind() {
    let stage = pinned().await;
    stage.ask_v1().await;
    let first = stage.stand_ins().await;
    assert!(first[0].contains("-ctx8192-"), "{first:?}");
    let other = |config: &mut Config| {
        config.pins.insert(QWEN.to_owned(), 4096);
    };
    let restarted = stage.restarted(other);
    let stage = Stage { lane: restarted, shutdown: CancellationToken::new(), ..stage };
    stage.until_stand_ins(<[String]>::is_empty).await;
    stage.ask_v1().await;
    stage.until_stand_ins(|names| names.len() == 1 && names[0].contains("-ctx4096-")).await;
    let _restarted = stage.restarted(|_| {});
    stage.until_stand_ins(<[String]>::is_empty).await;
}

#[tokio::test]
async fn two_hosts_with_other_pins_in_front_of_one_ollama_leave_each_other_s_stand_ins_alone() {
    let stage = pinned().await;
    stage.ask_v1().await;
    let other = |config: &mut Config| {
        config.owner = Some(OWNER + 1);
        config.pins.insert(QWEN.to_owned(), 4096);
    };
    let other = stage.beside(other);
    let (shutdown, witness) = (stage.shutdown.clone(), Arc::clone(&stage.witness));
    let Stage { ollama, lane: one, .. } = stage;
    let stage = Stage { ollama, lane: other, witness, shutdown };
    stage.until_up().await;
    stage.ask_v1().await;
    let both = stage.stand_ins().await;
    assert_eq!(both.len(), 2, "{both:?}");
    for (host, owner) in [(&one, OWNER), (&stage.lane, OWNER + 1)] {
        for _ in 0..2 {
            // When this is gone, the host has looked after its own.
            let stray = format!("roughneck/gone:1-ctx8-365c0bd3c000-{owner:08x}");
            let stray = json!({"model": stray, "from": LLAMA, "stream": false});
            assert_eq!(stage.direct("/api/create", &stray).await.0, 200);
            host.look().await;
            stage.until_stand_ins(|names| names == both).await;
        }
    }
    // To the clients of one, that of the other is not there either.
    let listed = text(stage.pass(PassRoute::Tags, "GET", &json!({})).await).await;
    assert!(!listed.contains("roughneck/"), "{listed}");
}

#[tokio::test]
async fn who_only_looks_deletes_no_stand_in() {
    let stage = pinned().await;
    stage.ask_v1().await;
    let made = stage.stand_ins().await;
    assert_eq!(made.len(), 1);
    let ports = stage::ports(&stage.witness, Arc::new(Unlimited));
    let unpinned = Config { owner: Some(OWNER), ..Config::new(stage.ollama.url()) };
    let looking = Lane::to_look(unpinned, ports).unwrap();
    let asked_before = stage.ollama.log().len();
    for _ in 0..3 {
        assert!(matches!(looking.look().await, Health::Up { models: 3, .. }));
        assert_eq!(looking.resolve(QWEN).await.unwrap().name, QWEN);
    }
    let log = stage.ollama.log();
    assert!(log[asked_before..].iter().all(|asked| asked.method != "DELETE"), "{log:?}");
    assert_eq!(stage.stand_ins().await, made);
}

#[tokio::test]
async fn a_model_that_is_deleted_takes_its_stand_in_with_it() {
    let stage = pinned().await;
    stage.ask_v1().await;
    let mine = json!({"model": "roughneck/mine", "from": LLAMA, "stream": false});
    assert_eq!(stage.direct("/api/create", &mine).await.0, 200);
    assert_eq!(stage.stand_ins().await.len(), 2);
    let reply = stage.pass(PassRoute::Delete, "DELETE", &json!({"model": QWEN})).await;
    assert_eq!(reply.status, 200);
    stage.until_stand_ins(|names| names == ["roughneck/mine:latest"]).await;
}

#[tokio::test]
async fn where_no_stand_in_can_be_made_calls_go_out_as_they_came() {
    let stage = pinned().await;
    stage.ollama.faults().forbid_creation(true);
    for calls in 1..=2 {
        let answer = stage.ask_v1().await;
        assert!(answer.contains("\"model\":\"qwen3:4b\""), "{answer}");
        assert_eq!((stage.made(), stage.metric(UNPINNED)), (1, Some(f64::from(calls))));
    }
    let sent = chat(QWEN, false).to_string();
    assert_eq!(stage.bodies("/v1/chat/completions"), [sent.clone(), sent]);
}

#[tokio::test]
async fn what_could_not_be_made_is_asked_for_again_later() {
    let stage = pinned().await;
    stage.ollama.faults().forbid_creation(true);
    stage.ask_v1().await;
    stage.ollama.faults().forbid_creation(false);
    stage.ask_v1().await;
    assert_eq!((stage.made(), stage.metric(UNPINNED)), (1, Some(2.0)));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    stage.ask_v1().await;
    assert_eq!((stage.made(), stage.metric(UNPINNED)), (2, Some(2.0)));
}

#[tokio::test]
async fn a_stand_in_that_lacks_something_of_its_model_is_not_used() {
    let mut simulated = ollama::Config::instant();
    let parameters = json!({"stop": ["never said"]});
    simulated.models[0].parameters = parameters.as_object().unwrap().clone();
    let stage = Stage::with(simulated, pin).await;
    stage.ollama.faults().forget(true);
    stage.ask_v1().await;
    assert_eq!((stage.made(), stage.metric(UNPINNED)), (1, Some(1.0)));
    assert!(stage.stand_ins().await.is_empty());
}

#[tokio::test]
async fn a_stand_in_that_somebody_deletes_fails_no_call_and_is_made_anew() {
    let stage = pinned().await;
    stage.ask_v1().await;
    let stand_in = stage.stand_ins().await.remove(0);
    let url = format!("{}/api/delete", stage.ollama.url());
    let body = json!({"model": stand_in}).to_string();
    assert_eq!(reqwest::Client::new().delete(url).body(body).send().await.unwrap().status(), 200);
    let answer = stage.ask_v1().await;
    assert!(answer.contains("\"model\":\"qwen3:4b\""), "{answer}");
    assert_eq!((stage.made(), stage.metric(UNPINNED)), (1, Some(1.0)));
    stage.ask_v1().await;
    assert_eq!((stage.made(), stage.metric(UNPINNED)), (2, Some(1.0)));
    stage.ask(call(QWEN)).await.unwrap();
    let contexts: Vec<u64> = stage.ollama.loads().iter().map(|load| load.context_length).collect();
    assert_eq!(contexts, [8192, 4096, 8192]);
}
