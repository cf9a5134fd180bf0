//! Changes of what is installed: each is made once, however many want it, and none gets in the way of another.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use roughneck_jobs::ports::gateway::{PassRoute, Reply, ReplyBody};
use roughneck_testkit::{eventually, ollama};
use serde_json::{Value, json};

use crate::{
    gateway::text,
    stage::{QWEN, SOON, Stage},
};

const NEW: &str = "new:1b";

type Lines = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// An Ollama that clients may change, and whose downloads take a while: as long as a load of its first model.
async fn stage() -> Stage {
    let mut simulated = ollama::Config::instant();
    for model in &mut simulated.models {
        model.load_time = Duration::from_millis(400);
    }
    Stage::with(simulated, |config| config.admin = true).await
}

impl Stage {
    async fn change(&self, route: PassRoute, body: &Value) -> Reply {
        let method = if route == PassRoute::Delete { "DELETE" } else { "POST" };
        self.pass(route, method, body).await
    }

    /// A pull that has begun.
    async fn pull(&self, body: &Value) -> Lines {
        let reply = self.change(PassRoute::Pull, body).await;
        assert_eq!(reply.status, 200);
        let lines = match reply.body {
            ReplyBody::Stream(lines) => Some(lines),
            ReplyBody::Whole(_) => None,
        };
        let mut lines = lines.unwrap();
        lines.next().await.unwrap().unwrap();
        lines
    }

    fn pulls(&self) -> usize {
        self.bodies("/api/pull").len()
    }
}

/// The status in the last line.
async fn end(lines: Lines) -> Value {
    let lines: Vec<Bytes> = lines.map(Result::unwrap).collect().await;
    let text = String::from_utf8(lines.concat()).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last.get("status").unwrap().clone()
}

#[tokio::test]
async fn those_who_pull_one_model_at_once_share_one_pull() {
    let stage = stage().await;
    let first = stage.pull(&json!({"model": NEW})).await;
    let second = stage.pull(&json!({"name": "NEW:1b"})).await;
    let whole = stage.change(PassRoute::Pull, &json!({"model": NEW, "stream": false})).await;
    assert_eq!((whole.status, text(whole).await), (200, r#"{"status":"success"}"#.to_owned()));
    assert_eq!((end(first).await, end(second).await), (json!("success"), json!("success")));
    assert_eq!(stage.pulls(), 1);

    // It is over, so the next one asks Ollama.
    end(stage.pull(&json!({"model": NEW})).await).await;
    assert_eq!(stage.pulls(), 2);
}

#[tokio::test]
async fn the_first_of_them_misses_nothing() {
    let stage = stage().await;
    let reply = stage.change(PassRoute::Pull, &json!({"model": NEW})).await;
    let through = text(reply).await;
    let (_, direct) = stage.direct("/api/pull", &json!({"model": NEW})).await;
    assert_eq!(through, direct);
}

#[tokio::test]
async fn what_would_get_in_the_way_is_told_what_it_has_to_wait_for() {
    let stage = stage().await;
    let pull = stage.pull(&json!({"model": NEW})).await;
    let refused = stage.change(PassRoute::Delete, &json!({"model": NEW})).await;
    assert_eq!(refused.status, 409);
    let sentence = "`new:1b` is being pulled; try again when that is over";
    assert_eq!(text(refused).await, json!({"error": sentence}).to_string());
    // Other models are free.
    let copied = json!({"source": QWEN, "destination": "other"});
    assert_eq!(stage.change(PassRoute::Copy, &copied).await.status, 200);
    end(pull).await;
    assert_eq!(stage.change(PassRoute::Delete, &json!({"model": NEW})).await.status, 200);
}

#[tokio::test]
async fn a_pull_goes_on_for_those_who_are_left_and_stops_with_the_last() {
    let stage = stage().await;
    let asked = json!({"model": NEW});
    let first = stage.pull(&asked).await;
    let second = stage.pull(&asked).await;
    drop(first);
    assert_eq!(end(second).await, "success");

    let (first, second) = (stage.pull(&asked).await, stage.pull(&asked).await);
    let left = || stage.ollama.log().iter().filter(|request| request.client_left).count();
    assert_eq!((stage.pulls(), left()), (2, 0));
    drop(first);
    drop(second);
    let stopped = async || left() == 1;
    eventually("Ollama sees that nobody wants it any more", SOON, stopped).await.unwrap();
}

#[tokio::test]
async fn a_pull_that_fails_says_so_in_either_way() {
    let stage = stage().await;
    for (body, status) in
        [(json!({"model": "nobody"}), 200), (json!({"model": "nobody", "stream": false}), 500)]
    {
        let (_, direct) = stage.direct("/api/pull", &body).await;
        let through = stage.change(PassRoute::Pull, &body).await;
        assert_eq!((through.status, text(through).await), (status, direct), "{body}");
    }
    let nameless = stage.change(PassRoute::Pull, &json!({"insecure": true})).await;
    let (status, direct) = stage.direct("/api/pull", &json!({"insecure": true})).await;
    assert_eq!((nameless.status, text(nameless).await), (status, direct));
}
