//! Bulk calls give way to urgent ones, and nobody notices but those who look.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{
    clock::Millis,
    model::{Call, Delivery, LlmError, Piece},
    ports::{
        gateway::CallRoute,
        llm::{Answer, Llm as _},
        runner::{Standing, Supervisor},
    },
    priority::Priority,
};
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, Reply},
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    budgets::Purse,
    gateway::{Visitor, chat, text},
    stage::{QWEN, SOON, Stage, Witness, call},
};

const PREEMPTIONS: &str = r#"roughneck_preemptions_total{model="qwen3:4b"}"#;
const WASTED: &str = r#"roughneck_wasted_tokens_total{model="qwen3:4b"}"#;

fn preempts(config: &mut Config) {
    config.preempt = true;
}

/// An Ollama whose answers can be watched as they come.
fn slow() -> ollama::Config {
    let mut simulated = ollama::Config::instant();
    for model in &mut simulated.models {
        model.decode_tokens_per_s = Some(50.0);
    }
    simulated
}

fn bulk(delivery: Delivery) -> Call {
    Call { priority: Priority::BULK, rank: Millis(100), delivery, ..call(QWEN) }
}

fn of(priority: Priority) -> Call {
    Call { priority, rank: Millis(-1), ..call(QWEN) }
}

fn stalls() -> Reply {
    Reply::Stall { after_tokens: 2 }
}

/// What takes a while to say.
fn words() -> String {
    ["word"; 20].join(" ")
}

fn says(text: &str) -> Reply {
    Reply::Text(text.to_owned())
}

impl Stage {
    async fn open_as(&self, witness: &Arc<Witness>, call: Call) -> Box<dyn Answer> {
        self.lane.open(call, Arc::clone(witness) as Arc<dyn Supervisor>).await.unwrap()
    }

    /// Asks behind the test, and returns once it waits.
    async fn ask_behind(self: &Arc<Self>, call: Call) -> JoinHandle<()> {
        let depth = format!(r#"roughneck_queue_depth{{priority="{}"}}"#, call.priority);
        let asks = Arc::clone(self);
        let task = tokio::spawn(async move { drop(asks.ask(call).await.unwrap()) });
        eventually("it waits", SOON, async || self.metric(&depth) == Some(1.0)).await.unwrap();
        task
    }

    async fn until_asked(&self, path: &str, count: usize) {
        let asked = async || self.bodies(path).len() == count;
        eventually("Ollama is asked", SOON, asked).await.unwrap();
    }
}

async fn rest(answer: &mut dyn Answer) -> Result<Vec<String>, LlmError> {
    let mut said = Vec::new();
    while let Some(Piece::Text(text) | Piece::Thinking(text)) = answer.next().await? {
        said.push(text);
    }
    Ok(said)
}

#[tokio::test]
async fn an_urgent_call_interrupts_a_bulk_one_which_is_made_anew() {
    let stage = Stage::with(ollama::Config::instant(), preempts).await;
    stage.ollama.script([stalls(), says("now"), says("all of it")]);
    let witness = Arc::new(Witness::default());
    let mut answer = stage.open_as(&witness, bulk(Delivery::Whole)).await;
    // It is shown to those who watch the job; the plugin waits for the whole.
    answer.next().await.unwrap().unwrap();
    answer.next().await.unwrap().unwrap();
    let (_, urgent) = stage.ask(of(Priority::URGENT)).await.unwrap();
    assert_eq!(urgent.text, "now");

    assert_eq!(rest(&mut *answer).await.unwrap(), ["all", " of", " it"]);
    let completion = answer.completion();
    assert_eq!(completion.text, "all of it");
    let usage = completion.usage;
    assert_eq!((usage.calls, usage.output_tokens, usage.wasted_tokens), (1, 4, 2));
    assert_eq!((witness.gave_way(), witness.loading()), ((1, 1), vec![true, false, false]));
    assert!(stage.ollama.log().iter().any(|request| request.client_left), "it was stopped");
    for (series, value) in [
        (PREEMPTIONS, 1.0),
        (WASTED, 2.0),
        (r#"roughneck_tokens_total{model="qwen3:4b",type="estimated"}"#, 2.0),
        (r#"roughneck_requests_total{model="qwen3:4b",outcome="ok"}"#, 2.0),
        (r#"roughneck_requests_total{model="qwen3:4b",outcome="cancelled"}"#, 0.0),
        (r#"roughneck_queue_wait_seconds_count{priority="bulk"}"#, 2.0),
        (r#"roughneck_queue_depth{priority="bulk"}"#, 0.0),
        ("roughneck_inflight", 0.0),
    ] {
        assert_eq!(stage.metric(series), Some(value), "{series}");
    }
}

#[tokio::test]
async fn an_answer_of_which_the_plugin_has_seen_nothing_is_begun_anew() {
    let stage = Stage::with(ollama::Config::instant(), preempts).await;
    stage.ollama.script([stalls(), says("now"), says("all of it")]);
    let mut answer = stage.open_as(&stage.witness, bulk(Delivery::Pieces)).await;
    stage.ask(of(Priority::URGENT)).await.unwrap();
    assert_eq!(rest(&mut *answer).await.unwrap(), ["all", " of", " it"]);
    assert_eq!(answer.completion().text, "all of it");
    assert_eq!(stage.witness.gave_way(), (1, 0), "nothing was shown");
}

#[tokio::test]
async fn nothing_else_is_interrupted() {
    let urgent = of(Priority::URGENT);
    let low = Call { priority: Priority::LOW, ..bulk(Delivery::Whole) };
    for (preempt, running, waiting, why) in [
        (false, bulk(Delivery::Whole), urgent.clone(), "the operator has not allowed it"),
        (true, bulk(Delivery::Pieces), urgent.clone(), "the plugin has seen some of it"),
        (true, low, urgent, "it is no bulk"),
        (true, bulk(Delivery::Whole), of(Priority::HIGH), "nobody is urgent"),
    ] {
        let stage = Arc::new(Stage::with(slow(), |config| config.preempt = preempt).await);
        stage.ollama.script([says(&words())]);
        let mut answer = stage.open_as(&stage.witness, running).await;
        answer.next().await.unwrap().unwrap();
        let waits = stage.ask_behind(waiting).await;
        assert_eq!(rest(&mut *answer).await.unwrap().len(), 19, "{why}");
        waits.await.unwrap();
        assert_eq!(stage.metric(PREEMPTIONS), Some(0.0), "{why}");
        assert!(stage.ollama.log().iter().all(|request| !request.client_left), "{why}");
    }
}

#[tokio::test]
async fn a_call_that_gave_way_three_times_is_left_in_peace() {
    let stage = Arc::new(Stage::with(slow(), preempts).await);
    let tries = [stalls(), says("now")];
    stage.ollama.script(tries.iter().cloned().cycle().take(6));
    stage.ollama.script([says(&words()), says("now")]);
    let mut answer = stage.open_as(&stage.witness, bulk(Delivery::Whole)).await;
    for interruption in 1..=3 {
        answer.next().await.unwrap().unwrap();
        stage.ask(of(Priority::URGENT)).await.unwrap();
        assert_eq!(stage.metric(PREEMPTIONS), Some(f64::from(interruption)));
    }
    answer.next().await.unwrap().unwrap();
    let waits = stage.ask_behind(of(Priority::URGENT)).await;
    rest(&mut *answer).await.unwrap();
    assert_eq!(answer.completion().text, words());
    waits.await.unwrap();
    assert_eq!(stage.metric(PREEMPTIONS), Some(3.0));
    assert_eq!(stage.witness.gave_way(), (3, 3));
}

#[tokio::test]
async fn a_run_that_lost_its_job_while_it_gave_way_causes_nothing_more() {
    let stage = Stage::with(ollama::Config::instant(), preempts).await;
    stage.ollama.script([stalls(), stalls()]);
    let witness = Arc::new(Witness::default());
    let mut answer = stage.open_as(&witness, bulk(Delivery::Whole)).await;
    let urgent = stage.open_as(&stage.witness, of(Priority::URGENT)).await;
    witness.stand(Standing::Cancelled);
    drop(urgent);
    let error = rest(&mut *answer).await.unwrap_err();
    let why = "the job was cancelled while it waited for its model";
    assert_eq!(error, LlmError::Invalid(why.to_owned()));
    assert_eq!(stage.bodies("/api/chat").len(), 2);
}

#[tokio::test]
async fn one_who_leaves_while_it_waits_again_frees_its_place() {
    let stage = Stage::with(ollama::Config::instant(), preempts).await;
    stage.ollama.script([stalls(), stalls()]);
    let answer = stage.open_as(&stage.witness, bulk(Delivery::Whole)).await;
    let urgent = stage.open_as(&stage.witness, of(Priority::URGENT)).await;
    let depth = r#"roughneck_queue_depth{priority="bulk"}"#;
    assert_eq!(stage.metric(depth), Some(1.0));
    drop(answer);
    let left = async || stage.metric(depth) == Some(0.0);
    eventually("it leaves the queue", SOON, left).await.unwrap();
    drop(urgent);
    stage.ask(of(Priority::NORMAL)).await.unwrap();
}

#[tokio::test]
async fn a_client_that_has_nothing_of_its_answer_yet_does_not_notice() {
    // Answers in one piece are the client's only when they are whole; of the others it may not have a byte.
    let silent = Reply::Stall { after_tokens: 0 };
    for (route, streams, first) in [
        (CallRoute::Chat, false, stalls()),
        (CallRoute::Chat, true, silent),
        (CallRoute::ChatCompletions, false, stalls()),
    ] {
        let stage = Arc::new(Stage::with(ollama::Config::instant(), preempts).await);
        stage.ollama.script([first, says("now"), says("all of it")]);
        let visitor = Visitor::of(&stage);
        let (asks, visits) = (Arc::clone(&stage), Arc::clone(&visitor));
        let asked = tokio::spawn(async move {
            asks.send_as(visits, Priority::BULK, route, &chat(QWEN, streams)).await
        });
        stage.until_asked(route.path(), 1).await;
        let urgent = chat(QWEN, false);
        let passerby = Visitor::of(&stage);
        let reply = stage.send_as(passerby, Priority::URGENT, CallRoute::Chat, &urgent).await;
        assert!(text(reply).await.contains("now"), "{route:?} {streams}");

        let reply = asked.await.unwrap();
        assert_eq!(reply.status, 200);
        let answered = text(reply).await;
        for word in ["all", "of", "it"] {
            assert!(answered.contains(word), "{route:?} {streams}: {answered}");
        }
        assert_eq!(stage.metric(PREEMPTIONS), Some(1.0), "{route:?} {streams}");
        assert_eq!(visitor.ended().len(), 1);
        assert_eq!(stage.witness.gave_way().0, 1);
    }
}

#[tokio::test]
async fn a_client_that_has_the_first_byte_of_its_answer_is_never_interrupted() {
    for route in [CallRoute::Chat, CallRoute::ChatCompletions] {
        let stage = Arc::new(Stage::with(slow(), preempts).await);
        stage.ollama.script([says(&words())]);
        let visitor = Visitor::of(&stage);
        let body = chat(QWEN, true);
        let reply = stage.send_as(Arc::clone(&visitor), Priority::BULK, route, &body).await;
        let waits = stage.ask_behind(of(Priority::URGENT)).await;
        let answered = text(reply).await;
        assert_eq!(answered.matches("word").count(), 20, "{answered}");
        waits.await.unwrap();
        assert_eq!(stage.metric(PREEMPTIONS), Some(0.0));
    }
}

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Going {
    Leaves,
    IsHalted,
}

#[tokio::test]
async fn a_client_that_leaves_or_is_halted_while_its_call_waits_again_is_let_go() {
    for going in [Going::Leaves, Going::IsHalted] {
        goes_while_it_waits_again(going).await;
    }
}

async fn goes_while_it_waits_again(going: Going) {
    let stage = Arc::new(Stage::with(ollama::Config::instant(), preempts).await);
    stage.ollama.script([stalls(), stalls()]);
    let visitor = Visitor::of(&stage);
    let (asks, visits) = (Arc::clone(&stage), Arc::clone(&visitor));
    let asked = tokio::spawn(async move {
        let body = json!({"model": QWEN, "prompt": "hello", "stream": false});
        asks.send_as(visits, Priority::BULK, CallRoute::Generate, &body).await
    });
    // The first is the host's own, which loads the model.
    stage.until_asked("/api/generate", 2).await;
    let urgent = stage.open_as(&stage.witness, of(Priority::URGENT)).await;
    let depth = r#"roughneck_queue_depth{priority="bulk"}"#;
    assert_eq!(stage.metric(depth), Some(1.0), "it waits again");
    match going {
        // The server drops the future of a client whose connection has closed.
        Going::Leaves => {
            asked.abort();
            assert!(asked.await.is_err_and(|error| error.is_cancelled()));
            // That nobody attends it any more is what cancels its job.
            assert_eq!((visitor.ended().len(), Arc::strong_count(&visitor)), (0, 1));
        }
        Going::IsHalted => {
            visitor.cancel();
            assert_eq!(asked.await.unwrap().status, 499);
            assert_eq!(visitor.ended(), ["cancelled"]);
        }
    }
    assert_eq!(stage.metric(depth), Some(0.0), "{going:?}");
    drop(urgent);
    let waited = Duration::from_secs(20);
    tokio::time::timeout(waited, stage.ask(of(Priority::NORMAL))).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_gave_way_pays_for_its_last_answer_alone() {
    let purse = Purse::of(10_000);
    let budgets = Arc::clone(&purse) as _;
    let stage = Stage::with_budgets(ollama::Config::instant(), budgets, preempts).await;
    stage.ollama.script([stalls(), says("now"), says("all of it")]);
    let witness = Arc::new(Witness::default());
    let mut answer = stage.open_as(&witness, bulk(Delivery::Whole)).await;
    answer.next().await.unwrap().unwrap();
    answer.next().await.unwrap().unwrap();
    stage.ask(of(Priority::URGENT)).await.unwrap();
    rest(&mut *answer).await.unwrap();
    let said = purse.said();
    let count = |word: &str| said.iter().filter(|said| said.contains(word)).count();
    assert_eq!((count("sent"), count("gave way"), count(" and ")), (3, 1, 2), "{said:?}");
}
