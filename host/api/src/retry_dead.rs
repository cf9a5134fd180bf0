//! `POST /dead/retry`: runs dead letters again, by kind and code, the oldest first.
//!
//! One that fails again at once is the oldest again. Whoever retries many with several requests says in each but the
//! first `failed_before` the `at` of the first answer, or might never come to the others.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use roughneck_jobs::{clock::NotAnInstant, job::DeadLetters};
use serde::{Deserialize, Serialize};

use crate::{App, body, code::Code, problem::Problem, view::At};

/// Dead letters of one request.
pub(crate) const LIMIT_MAX: u32 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    kind: Option<String>,
    code: Option<String>,
    limit: Option<u32>,
    failed_before: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    retried: u32,
    /// Those that the same request would find now.
    left: u64,
    at: At,
}

pub(crate) async fn retry_dead(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = app.bodies.read(&head.headers, body, app.settings.body_bytes_max).await?;
    let Wanted { kind, code, limit, failed_before } = body::object(&body)?;
    let limit = limit.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(invalid(format!("`limit` must be a number from 1 to {LIMIT_MAX}")));
    }
    let failed_before = failed_before.map(|text| text.parse()).transpose();
    let failed_before = failed_before
        .map_err(|error: NotAnInstant| invalid(format!("`failed_before`: {error}")))?;
    let ports = &app.ports;
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let kind = kind.map(|kind| app.present_name(&kind));
    let (which, now) = (DeadLetters { kind, code, failed_before }, ports.clock.now());
    let cleared = ports.store.retry_many(which, limit, now).await?;
    Ok(Json(Answer { retried: cleared.jobs, left: cleared.left, at: At(now) }).into_response())
}

fn invalid(detail: String) -> Problem {
    Problem::new(Code::InvalidSubmission, detail)
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{clock::Millis, job::Job};
    use serde_json::json as value;

    use crate::testing::{Host, NOW, a_dead_letter, json};

    fn host() -> Host {
        let host = Host::new();
        for (n, code) in [(1, "timeout"), (2, "timeout"), (3, "trapped")] {
            host.fakes.store.put(a_dead_letter(n, code));
        }
        host
    }

    #[tokio::test]
    async fn dead_letters_of_a_kind_and_a_code_are_retried_and_the_rest_is_counted() {
        let host = host();
        for (body, answer) in [
            (r#"{"kind":"old-echo","code":"timeout","limit":1}"#, (1, 1)),
            (r#"{"kind":"summarize"}"#, (0, 0)),
            ("{}", (2, 0)),
        ] {
            let response = host.send("POST", "/dead/retry", body).await;
            assert_eq!(response.status(), 200);
            let (retried, left) = answer;
            let answer = value!({"retried": retried, "left": left, "at": NOW.to_string()});
            assert_eq!(json(response).await, answer);
        }
    }

    #[tokio::test]
    async fn those_that_have_failed_since_then_are_left_alone() {
        let host = Host::new();
        for (n, at) in [(1, NOW), (2, NOW.minus_ms(1))] {
            let finished_at: Option<Millis> = Some(at);
            host.fakes.store.put(Job { finished_at, ..a_dead_letter(n, "timeout") });
        }
        let body = format!(r#"{{"failed_before":"{NOW}"}}"#);
        let answer = json(host.send("POST", "/dead/retry", body).await).await;
        assert_eq!((&answer["retried"], &answer["left"]), (&1.into(), &0.into()));
    }

    #[tokio::test]
    async fn a_wrong_body_retries_nothing() {
        let host = host();
        for (body, status, code) in [
            ("", 400, "malformed-json"),
            ("[]", 400, "not-an-object"),
            (r#"{"kinds":"echo"}"#, 422, "invalid-submission"),
            (r#"{"limit":0}"#, 422, "invalid-submission"),
            (r#"{"limit":501}"#, 422, "invalid-submission"),
            (r#"{"failed_before":"yesterday"}"#, 422, "invalid-submission"),
        ] {
            let response = host.send("POST", "/dead/retry", body).await;
            assert_eq!(response.status(), status, "{body}");
            assert_eq!(json(response).await["code"], code);
        }
        host.fakes.control.stop();
        let response = host.send("POST", "/dead/retry", "{}").await;
        assert_eq!(json(response).await["code"], "stopping");
        assert_eq!(json(host.get("/dead").await).await["jobs"].as_array().unwrap().len(), 3);
    }
}
