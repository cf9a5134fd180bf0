//! `POST /dead/retry`: runs dead letters again, by kind and code, the oldest first.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use roughneck_jobs::job::DeadLetters;
use serde::{Deserialize, Serialize};

use crate::{App, body, code::Code, problem::Problem};

/// Dead letters of one request.
pub(crate) const LIMIT_MAX: u32 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    kind: Option<String>,
    code: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Answer {
    retried: u32,
    /// Those that the same request would find now.
    left: u64,
}

pub(crate) async fn retry_dead(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, app.settings.body_bytes_max).await?;
    let Wanted { kind, code, limit } = body::object(&body)?;
    let limit = limit.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("`limit` must be a number from 1 to {LIMIT_MAX}");
        return Err(Problem::new(Code::InvalidSubmission, detail));
    }
    let ports = &app.ports;
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let which = DeadLetters { kind: kind.map(|kind| app.present_name(&kind)), code };
    let cleared = ports.store.retry_many(which, limit, ports.clock.now()).await?;
    Ok(Json(Answer { retried: cleared.jobs, left: cleared.left }).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use crate::testing::{Host, a_dead_letter, json};

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
            (
                r#"{"kind":"old-echo","code":"timeout","limit":1}"#,
                value!({"retried": 1, "left": 1}),
            ),
            (r#"{"kind":"summarize"}"#, value!({"retried": 0, "left": 0})),
            ("{}", value!({"retried": 2, "left": 0})),
        ] {
            let response = host.send("POST", "/dead/retry", body).await;
            assert_eq!(response.status(), 200);
            assert_eq!(json(response).await, answer);
        }
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
