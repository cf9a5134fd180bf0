//! What a client is pointed at: the simulated Ollama itself, or the host in front of it.

use reqwest::{Response, StatusCode};
use roughneck_testkit::eventually;
use roughneck_testkit::ollama::{Config, FakeOllama, Reply};
use serde_json::json;
use tempfile::TempDir;

use crate::client::http;
use crate::host::{Host, LIMIT, Setup};

pub(super) struct Server {
    ollama: FakeOllama,
    host: Option<Host>,
    url: String,
}

/// What a check has left the server with.
pub(super) enum Busy {
    Not,
    /// An answer that ends only when its client leaves, after so many that did.
    Stalled(usize),
    /// A queue without a place: by decree, or because this answer does not end.
    Full(Option<Response>),
}

/// How much of an answer comes before it stalls or breaks off.
const TOKENS: usize = 3;

impl Server {
    pub(super) async fn direct() -> Self {
        let ollama = simulator().await;
        let url = ollama.url();
        Self { ollama, host: None, url }
    }

    /// One call runs, and none may wait for it.
    pub(super) async fn behind_host() -> Self {
        Self::behind("waiting-max = 0").await
    }

    /// Whoever waits soon gets signs of life, whatever the form of the answer.
    pub(super) async fn with_signs_of_life() -> Self {
        Self::behind("quiet-for = \"20ms\"\nheartbeat-whole = true").await
    }

    async fn behind(config: &str) -> Self {
        let ollama = simulator().await;
        let no_plugins = TempDir::new().unwrap();
        let setup = Setup::new(&ollama.url()).plugins(no_plugins.path());
        // With the context that there is anyway, so that a client would see only what it should not.
        let pins = r#"num-ctx = { "qwen3:4b" = 4096, "nomic-embed-text" = 2048 }"#;
        let host = setup.more_config(&format!("\n[ollama]\n{pins}\n{config}\n")).start();
        let url = host.url.clone();
        Self { ollama, host: Some(host), url }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn stall(&self) -> Busy {
        self.ollama.script([Reply::Stall { after_tokens: TOKENS }]);
        Busy::Stalled(self.left())
    }

    pub(super) fn break_off(&self) -> Busy {
        let message = "simulated fault".to_owned();
        self.ollama.script([Reply::MidStreamError { after_tokens: TOKENS, message }]);
        Busy::Not
    }

    pub(super) async fn fill(&self) -> Busy {
        if self.host.is_none() {
            self.ollama.faults().refuse(true);
            return Busy::Full(None);
        }
        Busy::Full(Some(self.hold().await))
    }

    /// Holds the lane with an answer that does not end.
    pub(super) async fn hold(&self) -> Response {
        self.ollama.script([Reply::Stall { after_tokens: TOKENS }]);
        let stalled = self.chat().await;
        assert_eq!(stalled.status(), StatusCode::OK);
        stalled
    }

    /// Lets the lane go once a call has waited for it for several signs of life.
    pub(super) async fn release_once_waited(&self, held: Response) {
        let host = self.host.as_ref().unwrap();
        let age = "roughneck_queue_oldest_age_seconds{priority=\"high\"}";
        let waited = async || host.metric(age).await.is_some_and(|age| age > 0.1);
        eventually("a call has waited for long", LIMIT, waited).await.unwrap();
        drop(held);
    }

    /// Waits until nothing is left of it.
    pub(super) async fn rest(&self, busy: Busy) {
        match busy {
            Busy::Not => {}
            Busy::Stalled(before) => self.one_leaves(before).await,
            Busy::Full(stalled) => {
                self.ollama.faults().refuse(false);
                if let Some(stalled) = stalled {
                    let before = self.left();
                    drop(stalled);
                    self.one_leaves(before).await;
                }
                // To its end: an answer that is dropped holds the lane until that is noticed.
                let free = async || {
                    let answer = self.chat().await;
                    answer.status() == StatusCode::OK && answer.text().await.is_ok()
                };
                eventually("the queue has a place", LIMIT, free).await.unwrap();
            }
        }
    }

    /// Whether no call went out without the context that is pinned for its model.
    pub(super) async fn has_kept_pins(&self) -> bool {
        match &self.host {
            Some(host) => host.metric("roughneck_unpinned_calls_total").await == Some(0.0),
            None => true,
        }
    }

    /// How many clients have left Ollama in the middle.
    fn left(&self) -> usize {
        self.ollama.log().iter().filter(|request| request.client_left).count()
    }

    async fn one_leaves(&self, before: usize) {
        let left = async || self.left() > before;
        eventually("Ollama sees the client leave", LIMIT, left).await.unwrap();
    }

    async fn chat(&self) -> Response {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let body = json!({"model": "qwen3:4b", "messages": messages});
        let url = format!("{}/api/chat", self.url);
        http().post(url).body(body.to_string()).send().await.unwrap()
    }
}

/// Nothing takes time, and answers are as short as they get.
async fn simulator() -> FakeOllama {
    FakeOllama::start(Config { answer_words: 1, ..Config::instant() }).await.unwrap()
}
