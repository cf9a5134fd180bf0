//! Signs of life for clients that want their answers in one piece.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use roughneck_jobs::{
    clock::Millis,
    ports::gateway::{CallRoute, ClientCall, Gateway as _, Origin, Place, Reply, ReplyBody},
    priority::Priority,
};
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, Reply as Simulated},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    gateway::{Visitor, chat, header, text},
    stage::{QWEN, SOON, Stage},
};

/// A lane that the first call holds until it is dropped.
async fn held(heartbeat_whole: bool) -> (Arc<Stage>, Reply) {
    let early = |config: &mut Config| {
        config.quiet_for = Duration::from_millis(20);
        config.heartbeat_whole = heartbeat_whole;
    };
    let stage = Stage::with(ollama::Config::instant(), early).await;
    stage.ollama.script([Simulated::Stall { after_tokens: 1 }]);
    let (first, _) = stage.send(CallRoute::Chat, &chat(QWEN, true)).await;
    (Arc::new(stage), first)
}

fn ask(stage: &Arc<Stage>, origin: Origin) -> JoinHandle<Reply> {
    let stage = Arc::clone(stage);
    tokio::spawn(async move {
        let body = Bytes::from(chat(QWEN, false).to_string());
        let route = CallRoute::Chat;
        let call = ClientCall { route, body, user_agent: None, caller: None, origin, job: None };
        let admitted = stage.lane.admit(call).await.ok().unwrap();
        let place = Place { rank: Priority::HIGH.rank(Millis(0)), priority: Priority::HIGH };
        admitted.run(place, Visitor::of(&stage)).await
    })
}

#[tokio::test]
async fn spaces_come_before_a_whole_answer_for_which_a_client_waits_long() {
    let mut message = chat(QWEN, false);
    message["max_tokens"] = json!(100);
    for (route, body, at) in [
        (CallRoute::Chat, chat(QWEN, false), "/message/content"),
        (CallRoute::Generate, json!({"model": QWEN, "prompt": "x", "stream": false}), "/response"),
        (CallRoute::ChatCompletions, chat(QWEN, false), "/choices/0/message/content"),
        (CallRoute::Messages, message, "/content/0/text"),
    ] {
        let (stage, first) = held(true).await;
        let (reply, visitor) = stage.send(route, &body).await;
        assert_eq!((reply.status, header(&reply, "x-queue-position")), (200, Some("1")));
        let r#type = header(&reply, "content-type").unwrap();
        assert!(r#type.starts_with("application/json"), "{type}");
        let ReplyBody::Stream(mut waiting) = reply.body else { panic!("it waits") };
        assert_eq!(waiting.next().await.unwrap().unwrap(), " ");
        drop(first);
        let rest: Vec<Bytes> = waiting.map(Result::unwrap).collect().await;
        let answer: Value = serde_json::from_slice(&rest.concat()).unwrap();
        let said = answer.pointer(at).unwrap_or_else(|| panic!("{route:?}: {answer}"));
        assert!(!said.as_str().unwrap().is_empty(), "{answer}");
        assert_eq!(visitor.ended().len(), 1);
    }
}

#[tokio::test]
async fn what_goes_wrong_after_a_space_is_told_in_the_body() {
    let (stage, _first) = held(true).await;
    let (reply, visitor) = stage.send(CallRoute::ChatCompletions, &chat(QWEN, false)).await;
    let ReplyBody::Stream(mut waiting) = reply.body else { panic!("it waits") };
    assert_eq!(waiting.next().await.unwrap().unwrap(), " ");
    visitor.cancelled.notify_one();
    let rest: Vec<Bytes> = waiting.map(Result::unwrap).collect().await;
    let error: Value = serde_json::from_slice(&rest.concat()).unwrap();
    assert_eq!(error["error"]["message"], "request canceled: the job was cancelled");
    assert_eq!(visitor.ended(), ["cancelled"]);
}

#[tokio::test]
async fn nobody_else_gets_spaces() {
    for (heartbeat_whole, origin) in [(false, Origin::Client), (true, Origin::Job)] {
        let (stage, first) = held(heartbeat_whole).await;
        let asked = ask(&stage, origin);
        let age = r#"roughneck_queue_oldest_age_seconds{priority="high"}"#;
        let is_old = async || stage.metric(age).is_some_and(|age| age > 0.1);
        eventually("it has waited for much longer than signs take", SOON, is_old).await.unwrap();
        assert!(!asked.is_finished());
        drop(first);
        let reply = asked.await.unwrap();
        assert!(matches!(reply.body, ReplyBody::Whole(_)), "{heartbeat_whole} {origin:?}");
        assert!(text(reply).await.starts_with('{'));
    }
}
