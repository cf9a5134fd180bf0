//! Nobody holds the lane for longer than they use it, and what fails is not tried for ever.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use roughneck_jobs::{
    clock::Millis,
    model::{Health, LlmError, Piece},
    ports::{
        gateway::{CallRoute, ClientCall, Gateway as _, Origin, Place, ReplyBody},
        llm::Llm as _,
        runner::{Standing, Supervisor},
    },
    priority::Priority,
};
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, LoadOutcome, Reply},
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    gateway::{Visitor, chat, client_call, text},
    stage::{QWEN, SOON, Stage, Witness, call, failed},
};

/// Far more than the lane keeps for a plugin that does not read, in pieces of 16 KiB.
fn long_text() -> String {
    format!("{:>1$}", "x", 16 << 10).repeat(512)
}

fn said(piece: Piece) -> String {
    match piece {
        Piece::Text(text) | Piece::Thinking(text) => text,
    }
}

fn slow_to_load() -> ollama::Config {
    let mut simulated = ollama::Config::instant();
    for model in &mut simulated.models {
        model.load_time = Duration::from_millis(700);
    }
    simulated
}

async fn until_chats(stage: &Stage, count: usize) {
    let asked = async || stage.bodies("/api/chat").len() == count;
    eventually("Ollama is asked", SOON, asked).await.unwrap();
}

#[tokio::test]
async fn a_call_that_kills_ollama_uses_up_an_attempt_and_makes_the_host_look_again() {
    let stage = Stage::new().await;
    stage.ask(call(QWEN)).await.unwrap();
    let looks = stage.bodies("/api/tags").len();
    stage.ollama.script([Reply::Disconnect { after_tokens: 0 }]);
    let error = failed(stage.ask(call(QWEN)).await);
    assert!(matches!(error, LlmError::BrokenOff(_)), "{error:?}");
    let truncated = r#"roughneck_requests_total{model="qwen3:4b",outcome="truncated"}"#;
    assert_eq!(stage.metric(truncated), Some(1.0));

    let again = async || stage.bodies("/api/tags").len() == looks + 1;
    eventually("the host looks again", SOON, again).await.unwrap();
}

#[tokio::test]
async fn a_load_that_kills_ollama_uses_up_an_attempt() {
    let stage = Stage::with(slow_to_load(), |_| {}).await;
    let killed = async {
        let begun = async || stage.ollama.loads().len() == 1;
        eventually("the load begins", SOON, begun).await.unwrap();
        stage.ollama.stop_listening().await;
    };
    let (asked, ()) = tokio::join!(stage.ask(call(QWEN)), killed);
    let error = failed(asked);
    assert!(matches!(error, LlmError::BrokenOff(_)), "{error:?}");
    let down = async || matches!(stage.lane.health(), Health::Down { .. });
    eventually("the host looks again", SOON, down).await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_does_not_read_its_answer_does_not_hold_the_lane() {
    let stage = Stage::new().await;
    let mut unread = stage.open(call(QWEN)).await.unwrap();
    timeout(SOON, stage.ask(call(QWEN))).await.expect("the lane is free").unwrap();

    let mut text = String::new();
    while let Some(piece) = unread.next().await.unwrap() {
        text.push_str(&said(piece));
    }
    assert!(!text.is_empty());
    assert_eq!(unread.completion().text, text);
    assert_eq!(unread.completion().usage.calls, 1);
}

#[tokio::test]
async fn an_answer_too_long_to_keep_is_ended_if_the_plugin_does_not_read_it() {
    let quick = |config: &mut Config| config.stall = Duration::from_millis(300);
    let stage = Stage::with(ollama::Config::instant(), quick).await;
    stage.ollama.script([Reply::Text(long_text())]);
    let mut unread = stage.open(call(QWEN)).await.unwrap();
    timeout(SOON, stage.ask(call(QWEN))).await.expect("the lane is free").unwrap();

    let mut bytes = 0;
    let error = loop {
        match unread.next().await {
            Ok(piece) => bytes += said(piece.expect("not the end")).len(),
            Err(error) => break error,
        }
    };
    let why = "the plugin did not read it for 300ms".to_owned();
    assert_eq!(error, LlmError::BrokenOff(why));
    assert!((1 << 20..4 << 20).contains(&bytes), "{bytes} bytes were kept");
    assert_eq!(unread.next().await, Ok(None), "the stream is over");
    let cancelled = r#"roughneck_requests_total{model="qwen3:4b",outcome="cancelled"}"#;
    assert_eq!(stage.metric(cancelled), Some(1.0));
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_read_is_ended_and_the_job_says_why() {
    let quick = |config: &mut Config| config.stall = Duration::from_millis(100);
    let stage = Stage::with(ollama::Config::instant(), quick).await;
    stage.ollama.script([Reply::Text(long_text())]);
    let (reply, visitor) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    let ReplyBody::Stream(mut stream) = reply.body else { panic!("it streams") };
    stream.next().await.unwrap().unwrap();
    timeout(SOON, stage.ask(call(QWEN))).await.expect("the lane is free").unwrap();
    assert_eq!(visitor.ended(), ["answer-not-read"]);
    let rest: Vec<Bytes> = stream.map(Result::unwrap).collect().await;
    let last = r#"{"error":"the answer was stopped: nobody read it for too long"}"#;
    assert_eq!(rest, [format!("{last}\n")]);
}

#[tokio::test]
async fn an_answer_too_long_to_keep_arrives_whole_if_the_plugin_reads_it() {
    let stage = Stage::new().await;
    stage.ollama.script([Reply::Text(long_text())]);
    let (pieces, completion) = stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(pieces.len(), 512);
    assert!(completion.text == long_text());
}

#[tokio::test]
async fn a_run_that_lost_its_job_while_it_waited_for_the_lane_causes_nothing() {
    for (standing, said) in [
        (Standing::Cancelled, "the job was cancelled while it waited for its model"),
        (Standing::Fenced, "this run lost its job while it waited for its model"),
        (Standing::Overdue, "the deadline of the job passed while it waited for its model"),
    ] {
        let stage = Stage::new().await;
        stage.ollama.script([Reply::Stall { after_tokens: 1 }]);
        let ahead = stage.open(call(QWEN)).await.unwrap();
        let loser = Arc::new(Witness::default());
        let supervisor = Arc::clone(&loser) as Arc<dyn Supervisor>;
        let waiting = stage.lane.open(call("fast"), supervisor);
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the lane is taken"),
            () = std::future::ready(()) => {}
        }
        loser.stand(standing);
        drop(ahead);

        let error = waiting.await.map(drop).unwrap_err();
        assert_eq!(error, LlmError::Invalid(said.to_owned()));
        assert_eq!((stage.ollama.loads().len(), stage.bodies("/api/chat").len()), (1, 1));
        assert!(loser.loading().is_empty());
        let cancelled = r#"roughneck_requests_total{model="llama3.2:3b",outcome="cancelled"}"#;
        assert_eq!(stage.metric(cancelled), Some(1.0));
    }
}

#[tokio::test]
async fn a_run_that_lost_its_job_while_its_model_loaded_does_not_send_its_call() {
    let stage = Stage::with(slow_to_load(), |_| {}).await;
    let lost = async {
        let begun = async || stage.ollama.loads().len() == 1;
        eventually("the load begins", SOON, begun).await.unwrap();
        stage.witness.stand(Standing::Fenced);
    };
    let (asked, ()) = tokio::join!(stage.ask(call(QWEN)), lost);
    assert!(matches!(failed(asked), LlmError::Invalid(_)));
    assert_eq!(stage.bodies("/api/chat").len(), 0);
    assert_eq!(stage.ollama.loads()[0].outcome, LoadOutcome::Loaded);
    assert_eq!(stage.witness.loading(), [true, false]);
}

#[tokio::test]
async fn an_answer_in_one_piece_may_take_longer_than_a_first_byte() {
    let mut slow = ollama::Config::instant();
    slow.answer_words = 20;
    slow.models[0].decode_tokens_per_s = Some(20.0);
    for (whole_answer, status) in [(SOON, 200), (Duration::from_millis(300), 502)] {
        let impatient = |config: &mut Config| {
            config.first_byte = Duration::from_millis(300);
            config.whole_answer = whole_answer;
        };
        let stage = Stage::with(slow.clone(), impatient).await;
        let (reply, _) = stage.send(CallRoute::ChatCompletions, &chat(QWEN, false)).await;
        assert_eq!(reply.status, status);
        if status == 502 {
            let said = text(reply).await;
            assert!(said.contains("Ollama sent nothing of its answer for 300ms"), "{said}");
        }
        stage.until_up().await;
    }
}

#[tokio::test]
async fn calls_that_fail_do_not_make_the_host_ask_a_lost_ollama_faster() {
    const CALLS: usize = 20;
    let impatient = |config: &mut Config| {
        config.question_timeout = Duration::from_millis(100);
        config.stall = Duration::from_millis(300);
    };
    let stage = Arc::new(Stage::with(ollama::Config::instant(), impatient).await);
    stage.ollama.script([Reply::Stall { after_tokens: 1 }]);
    let ahead = stage.ask(call(QWEN));
    let mut waiting = JoinSet::new();
    let others = async {
        until_chats(&stage, 1).await;
        stage.ollama.faults().hang(true);
        for _ in 0..CALLS {
            let stage = Arc::clone(&stage);
            waiting.spawn(async move { failed(stage.ask(call(QWEN)).await) });
        }
        waiting.join_all().await
    };
    let looks = stage.bodies("/api/version").len();
    let (ahead, errors) = tokio::join!(ahead, others);
    assert!(matches!(failed(ahead), LlmError::BrokenOff(_)));
    assert_eq!(errors.len(), CALLS);
    let away = |error: &LlmError| matches!(error, LlmError::Unavailable { .. });
    assert!(errors.iter().all(away), "{errors:?}");
    // One at once, and those of the backoff: five in the first half of a minute.
    let looks = stage.bodies("/api/version").len() - looks;
    assert!((1..=6).contains(&looks), "{looks} looks for {CALLS} calls");
}

#[tokio::test]
async fn a_slow_disk_holds_up_neither_the_call_nor_the_lane() {
    let stage = Stage::new().await;
    let disk = stage.witness.disk.lock().await;
    let other = Arc::new(Witness::default());
    let others = async {
        until_chats(&stage, 1).await;
        let supervisor = Arc::clone(&other) as Arc<dyn Supervisor>;
        let opened = stage.lane.open(call(QWEN), supervisor).await.map(drop);
        assert!(stage.witness.loading().is_empty());
        drop(disk);
        opened
    };
    let both = async { tokio::join!(stage.ask(call(QWEN)), others) };
    let (asked, opened) = timeout(SOON, both).await.expect("nothing waits for the disk");
    asked.unwrap();
    opened.unwrap();
    assert_eq!(stage.witness.loading(), [true, false]);
    assert!(other.loading().is_empty());
}

#[tokio::test]
async fn a_slow_disk_does_not_hold_up_the_lane_for_a_durable_call_of_ollama_s_surface() {
    for route in [CallRoute::Chat, CallRoute::ChatCompletions] {
        let stage = Stage::new().await;
        let disk = stage.witness.disk.lock().await;
        let body = Bytes::from(chat(QWEN, false).to_string());
        let call = ClientCall { origin: Origin::Job, ..client_call(route, body) };
        let admitted = stage.lane.admit(call).await.map_err(|reply| reply.status).unwrap();
        let place = Place { rank: Millis(0), priority: Priority::NORMAL };
        let others = async {
            let asked = async || stage.bodies(route.path()).len() == 1;
            eventually("Ollama is asked", SOON, asked).await.unwrap();
            let supervisor = Arc::new(Witness::default()) as Arc<dyn Supervisor>;
            let opened = stage.lane.open(crate::stage::call(QWEN), supervisor).await.map(drop);
            assert!(stage.witness.loading().is_empty());
            drop(disk);
            opened
        };
        let both = async { tokio::join!(admitted.run(place, Visitor::of(&stage)), others) };
        let (reply, opened) = timeout(SOON, both).await.expect("nothing waits for the disk");
        opened.unwrap();
        assert_eq!((reply.status, stage.witness.loading()), (200, vec![true, false]));
    }
}
