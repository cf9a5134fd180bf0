//! A gateway that remembers what it was asked and answers the same to everybody.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use roughneck_jobs::ports::{
    attended::Attended,
    gateway::{Admitted, ClientCall, Form, Gateway, PassRoute, Passage, Place, Reply, ReplyBody},
    runner::Outcome,
};

/// Every model is there but `nope`, and nobody may search the web.
#[derive(Default)]
pub(crate) struct FakeGateway {
    pub(crate) calls: Mutex<Vec<ClientCall>>,
    pub(crate) passed: Mutex<Vec<(PassRoute, String, String)>>,
}

struct Ready(Bytes);

fn whole(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", "text/plain".to_owned())],
        body: ReplyBody::Whole(body.into()),
    }
}

#[async_trait]
impl Admitted for Ready {
    fn model(&self) -> &str {
        "m"
    }
    fn record(&self) -> String {
        r#"{"path":"/api/chat"}"#.to_owned()
    }
    async fn run(self: Box<Self>, _: Place, job: Arc<dyn Attended>) -> Reply {
        job.begin();
        job.end(Outcome::Done { output: "{}".to_owned() });
        let mut reply = whole(200, self.0);
        reply.headers.push(("x-roughneck-job-id", job.id().to_string()));
        reply
    }
}

#[async_trait]
impl Gateway for FakeGateway {
    async fn admit(&self, call: ClientCall) -> Result<Box<dyn Admitted>, Reply> {
        if String::from_utf8_lossy(&call.body).contains("nope") {
            return Err(whole(404, "not found"));
        }
        let answer = call.body.clone();
        self.calls.lock().unwrap().push(call);
        Ok(Box::new(Ready(answer)))
    }

    fn forbids(&self, input: &str) -> Option<String> {
        input.contains("web_search").then(|| "ollama cloud is disabled: web search".to_owned())
    }

    async fn pass(&self, passage: Passage) -> Reply {
        let Passage { route, method, path, .. } = passage;
        self.passed.lock().unwrap().push((route, method, path));
        whole(200, "passed")
    }

    fn completion(&self, result: &str) -> Option<String> {
        result.strip_prefix("said ").map(str::to_owned)
    }

    fn refusal(&self, form: Form, status: u16, message: &str) -> Reply {
        let mut refusal = whole(status, format!("{form:?}: {message}"));
        refusal.headers.push(("retry-after", "10".to_owned()));
        refusal
    }
}
