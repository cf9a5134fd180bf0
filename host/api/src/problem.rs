//! The one error of this crate and its one form on the wire: problem+json, RFC 9457.

use std::error::Error;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use roughneck_jobs::{
    id::{FlowId, JobId},
    mark::{Mark, Passed},
    ports::store::StoreError,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::code::Code;

/// Seconds after which a client may try again while the host restarts.
const RESTART_S: u32 = 5;

/// The same while as many jobs wait as the host takes: some end soon.
const QUEUE_FULL_S: u32 = 10;

/// The same while others have all connections: some end soon, and some that rest may be closed by then.
const NO_ROOM_S: u32 = 5;

/// The same until somebody has made room.
const DISK_FULL_S: u32 = 60;

/// Why a request was not served.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    /// One sentence that says what is wrong and what to do.
    detail: String,
    /// Members beside the standard ones.
    extra: Map<String, Value>,
    /// What only the host's log may say.
    cause: Option<String>,
    /// When the same request may succeed.
    retry_after_s: Option<u32>,
    /// The status and the words of Ollama's own, where it says the same.
    native: Option<(u16, String)>,
}

/// Travels with the response to whoever logs it.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) cause: Option<String>,
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let (detail, extra) = (detail.into(), Map::new());
        Self { code, detail, extra, cause: None, retry_after_s: None, native: None }
    }

    /// Adds a member for programs.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// On Ollama's surface this is said as Ollama says it: its clients look for status and words.
    pub(crate) fn natively(self, status: u16, words: impl Into<String>) -> Self {
        Self { native: Some((status, words.into())), ..self }
    }

    /// The status and the words for clients of a surface.
    pub(crate) fn for_surface(&self) -> (u16, &str) {
        match &self.native {
            Some((status, words)) => (*status, words),
            None => (self.code.status().as_u16(), &self.detail),
        }
    }

    /// Seconds after which the same request may succeed, if that is known.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The refusal of a job of a flow: it says which one.
    pub(crate) fn of_job(mut self, name: &str) -> Self {
        self.detail = format!("job `{name}`: {}", self.detail);
        self.with("job", name)
    }

    pub(crate) fn unknown_job(id: JobId) -> Self {
        Self::new(
            Code::UnknownJob,
            format!("there is no job {id}; `GET /jobs` lists those there are"),
        )
    }

    pub(crate) fn unknown_flow(id: FlowId) -> Self {
        Self::new(
            Code::UnknownFlow,
            format!("there is no flow {id}; `GET /flows` lists those there are"),
        )
    }

    pub(crate) fn stopping() -> Self {
        Self::new(
            Code::Stopping,
            format!("the host stops and takes no new work; try again in {RESTART_S} seconds"),
        )
        .retry_after(RESTART_S)
    }

    pub(crate) fn not_ready(reasons: Vec<String>) -> Self {
        let problem = Self::new(Code::NotReady, reasons.join("; ")).retry_after(RESTART_S);
        problem.with("reasons", reasons)
    }

    pub(crate) fn too_many_connections(max: usize) -> Self {
        let detail = format!(
            "{max} clients are connected, as many as this host serves at once; try again in {NO_ROOM_S} seconds. The limit is `connections-max` \
             under [server] in roughneck.toml, or less where few files may be open, as `roughneck doctor` tells"
        );
        let problem = Self::new(Code::TooManyConnections, detail).retry_after(NO_ROOM_S);
        problem.with("connections_max", max)
    }

    /// A high-water mark is passed.
    fn full(passed: Passed, detail: String) -> Self {
        let (code, seconds) = match passed.mark {
            Mark::Jobs => (Code::QueueFull, QUEUE_FULL_S),
            Mark::Bytes => (Code::StoreFull, DISK_FULL_S),
            Mark::Disk => (Code::DiskFull, DISK_FULL_S),
            Mark::Files => (Code::StoreGone, DISK_FULL_S),
        };
        let problem = Self::new(code, detail).retry_after(seconds);
        problem
            .with("mark", passed.mark.as_str())
            .with("level", passed.level)
            .with("limit", passed.limit)
    }

    /// What the host's log says about it; the caller of the request learns none of it.
    pub(crate) fn failed(&self) -> Failed {
        Failed { code: self.code, detail: self.detail.clone(), cause: self.cause.clone() }
    }

    /// A failure of the host's own.
    pub(crate) fn internal(code: Code, error: &dyn Error) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            cause.push_str(": ");
            cause.push_str(&error.to_string());
            source = error.source();
        }
        let detail = "the host failed to do this; its log says why".to_owned();
        Self { cause: Some(cause), ..Self::new(code, detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Closed => Self::stopping(),
            StoreError::Dead => {
                let detail = format!("{error}; its log says why");
                Self { detail, ..Self::internal(Code::StoreBroken, &error) }
            }
            StoreError::NoSuchJob(id) => Self::unknown_job(*id),
            StoreError::NoSuchFlow(id) => Self::unknown_flow(*id),
            StoreError::JobExists(id) => Self::new(
                Code::JobExists,
                format!(
                    "there is a job {id} already, with the id or the unique key of a job of this flow; \
                     a flow has only jobs of its own"
                ),
            )
            .with("id", id.to_string()),
            StoreError::Broken { .. } => Self::internal(Code::StoreBroken, &error),
            StoreError::Full(passed) => Self::full(*passed, error.to_string()),
            StoreError::DiskFull { .. } => {
                Self::new(Code::DiskFull, error.to_string()).retry_after(DISK_FULL_S)
            }
            // These answer runs, and no request is one.
            StoreError::Fenced | StoreError::Refused(_) => Self::internal(Code::Internal, &error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let wire = Wire {
            r#type: format!("urn:roughneck:error:{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code.as_str(),
            detail: &self.detail,
            extra: &self.extra,
        };
        // Text and JSON values always serialise; an empty body would still carry the status.
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self.failed());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::json;

    #[tokio::test]
    async fn a_problem_has_the_standard_members_and_its_own() {
        let problem = Problem::new(Code::AlreadyEnded, "it is over").with("state", "done");
        let response = problem.into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            json(response).await,
            serde_json::json!({
                "type": "urn:roughneck:error:already-ended",
                "title": "It has ended already",
                "status": 409,
                "code": "already-ended",
                "detail": "it is over",
                "state": "done",
            })
        );
    }

    #[tokio::test]
    async fn a_broken_store_tells_its_log_and_not_its_caller() {
        let error = StoreError::Broken { doing: "read a job", source: "secret path".into() };
        let response = Problem::from(error).into_response();
        let failed = response.extensions().get::<Failed>().unwrap().clone();
        assert!(failed.cause.unwrap().ends_with("read a job: secret path"));
        assert_eq!(response.status(), 500);
        assert!(!json(response).await.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn a_full_host_says_what_is_full_and_when_to_come_back() {
        for (mark, status, code, seconds) in [
            (Mark::Jobs, 429, "queue-full", "10"),
            (Mark::Bytes, 503, "store-full", "60"),
            (Mark::Disk, 503, "disk-full", "60"),
        ] {
            let error = StoreError::Full(Passed { mark, level: 7, limit: 8 });
            let response = Problem::from(error).into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::RETRY_AFTER], seconds);
            let problem = json(response).await;
            assert_eq!(problem["code"], code);
            assert_eq!(problem["mark"], mark.as_str());
            assert_eq!((&problem["level"], &problem["limit"]), (&7.into(), &8.into()));
            assert!(problem["detail"].as_str().unwrap().contains("under [intake]"), "{problem}");
        }
        let lost = Passed { mark: Mark::Files, level: 1, limit: 1 };
        let response = Problem::from(StoreError::Full(lost)).into_response();
        assert_eq!(
            (response.status().as_u16(), json(response).await["code"].as_str()),
            (503, Some("store-gone"))
        );
        let source = "path".into();
        let response =
            Problem::from(StoreError::DiskFull { doing: "accept a job", source }).into_response();
        assert_eq!(
            (response.status().as_u16(), json(response).await["code"].as_str()),
            (503, Some("disk-full"))
        );
    }

    #[tokio::test]
    async fn a_dead_store_is_told_from_a_host_that_stops() {
        let response = Problem::from(StoreError::Dead).into_response();
        assert_eq!(response.status(), 500);
        assert!(!response.headers().contains_key(header::RETRY_AFTER), "it does not come back");
        assert!(response.extensions().get::<Failed>().unwrap().cause.is_some());
        let problem = json(response).await;
        assert_eq!(problem["code"], "store-broken");
        let detail = "the store has failed and takes nothing until the host is started again; its log says why";
        assert_eq!(problem["detail"], detail);
    }

    #[test]
    fn a_closed_store_asks_to_come_back() {
        let response = Problem::from(StoreError::Closed).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    }
}
