//! A client of the host: plain HTTP and server-sent events.

use jiff::Timestamp;
use reqwest::{Method, Response, StatusCode};
use roughneck_testkit::{eventually, metrics::Page, sse};
use serde_json::Value;

use crate::host::{Host, LIMIT};

pub(crate) fn http() -> reqwest::Client {
    // The second story of a process finds the provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A start that no test lives to see, and no job is put off too far for.
pub(crate) fn in_300_days() -> String {
    let now = Timestamp::now().as_second();
    Timestamp::from_second(now + 300 * 24 * 60 * 60).unwrap().to_string()
}

impl Host {
    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.url);
        let response = http().request(method, url).body(body.to_owned()).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, value)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.send(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    /// Submits a job that must be accepted, and returns its id.
    pub(crate) async fn submit(&self, body: &Value) -> String {
        let (status, answer) = self.send(Method::POST, "/jobs", &body.to_string()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        self.get(&format!("/jobs/{id}")).await
    }

    /// Waits until the job is in the state, and returns it.
    pub(crate) async fn until(&self, id: &str, state: &str) -> Value {
        let what = format!("job {id} is {state}");
        let reached = eventually(&what, LIMIT, async || self.job(id).await["state"] == state);
        if let Err(late) = reached.await {
            panic!("{late}; it is {:#}", self.job(id).await);
        }
        self.job(id).await
    }

    /// Opens the event stream of a job, after an event if one is named.
    pub(crate) async fn events(&self, id: &str, after: Option<&str>) -> Events {
        let mut request = http().get(format!("{}/jobs/{id}/events", self.url));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Events { response, reader: sse::Reader::default(), ready: Vec::new() }
    }

    /// The sum of the series of this name that have these labels among their own, or none if there are none.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        self.metrics().await.sum(series)
    }

    /// What its metrics show.
    pub(crate) async fn metrics(&self) -> Page {
        Page::read(self.get("/metrics").await.as_str().unwrap())
    }
}

/// An open event stream.
pub(crate) struct Events {
    response: Response,
    reader: sse::Reader,
    ready: Vec<sse::Event>,
}

impl Events {
    /// The next event, or none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<sse::Event> {
        while self.ready.is_empty() {
            let chunk =
                tokio::time::timeout(LIMIT, self.response.chunk()).await.unwrap().unwrap()?;
            self.ready = self.reader.push(&chunk);
            self.ready.reverse();
        }
        self.ready.pop()
    }

    /// All events up to and with the first that fits.
    pub(crate) async fn until(&mut self, fits: impl Fn(&sse::Event) -> bool) -> Vec<sse::Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            let last = fits(&event);
            all.push(event);
            if last {
                return all;
            }
        }
        panic!("the stream ended before that event; it had {all:?}");
    }
}

/// The text of token events.
pub(crate) fn text(events: &[sse::Event]) -> String {
    let tokens = events.iter().filter(|event| event.name == "token");
    tokens.map(|event| data(event)["text"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn data(event: &sse::Event) -> Value {
    serde_json::from_str(&event.data).unwrap()
}
