//! `POST /jobs` in the shape of foreman, a queue for Ollama that many scripts were written for: a payload
//! of Ollama's own with a `state_webhook_url` beside it, answered with a `job_id`.

use std::fmt;

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use roughneck_jobs::{
    delivery::{NotATarget, Target},
    id::JobId,
    ports::gateway::{CallRoute, ClientCall, Origin},
    state::State,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{call::caller, later};
use crate::{App, code::Code, problem::Problem};

/// What tells this shape from ours: a model and no kind.
#[derive(Deserialize)]
struct Shape {
    kind: Option<IgnoredAny>,
    model: Option<IgnoredAny>,
    messages: Option<IgnoredAny>,
    prompt: Option<IgnoredAny>,
    input: Option<IgnoredAny>,
    state_webhook_url: Option<String>,
}

/// A submission in this shape.
pub(crate) struct Submitted {
    route: CallRoute,
    webhook: Option<String>,
}

/// What the submitter learns.
#[derive(Serialize)]
struct Accepted {
    job_id: JobId,
    state: State,
}

/// The submission, if the body has this shape.
pub(crate) fn shape(body: &[u8]) -> Option<Submitted> {
    let shape: Shape = serde_json::from_slice(body).ok()?;
    if shape.kind.is_some() || shape.model.is_none() {
        return None;
    }
    let route = match (shape.messages, shape.prompt, shape.input) {
        (Some(_), _, _) => CallRoute::Chat,
        (None, Some(_), _) => CallRoute::Generate,
        (None, None, Some(_)) => CallRoute::Embed,
        (None, None, None) => return None,
    };
    Some(Submitted { route, webhook: shape.state_webhook_url })
}

/// Accepts it as a durable job.
pub(crate) async fn submit(
    app: &App,
    headers: &HeaderMap,
    submitted: Submitted,
    body: Bytes,
) -> Result<Response, Problem> {
    let Submitted { route, webhook } = submitted;
    let callback = webhook.as_deref().map(webhook_url).transpose()?;
    let (caller, job, origin) = (caller(headers), None, Origin::Job);
    let call = ClientCall { route, body, user_agent: None, caller, origin, job };
    let taken = later::accept(app, headers, &call, callback).await?;
    let (job_id, state) = (taken.id(), taken.state());
    let location = [(header::LOCATION, format!("/jobs/{job_id}"))];
    Ok((taken.status(app), location, Json(Accepted { job_id, state })).into_response())
}

/// In this shape a target is a URL, and no name.
fn webhook_url(text: &str) -> Result<Target, Problem> {
    let wrong = |why: &dyn fmt::Display| {
        Problem::new(Code::InvalidSubmission, format!("`state_webhook_url`: {why}"))
    };
    match Target::new(text) {
        Ok(target @ Target::Url(_)) => Ok(target),
        Ok(Target::Named(_)) => Err(wrong(&NotATarget::Scheme)),
        Err(why) => Err(wrong(&why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webhook_is_a_url_to_which_something_can_be_sent() {
        assert!(webhook_url("http://x/y").is_ok());
        for (text, why) in [
            ("cms", "must start with http"),
            ("ftp://x", "must start with http"),
            ("http://x:99999", "is not a port"),
        ] {
            let refused = webhook_url(text).unwrap_err().failed();
            assert_eq!(refused.code, Code::InvalidSubmission, "{text}");
            assert!(refused.detail.contains(why), "{text}: {}", refused.detail);
        }
    }

    #[test]
    fn a_payload_of_ollama_is_told_from_a_submission_of_ours() {
        for (body, route) in [
            (
                r#"{"model":"m","messages":[],"state_webhook_url":"http://x"}"#,
                Some(CallRoute::Chat),
            ),
            (r#"{"model":"m","prompt":"x"}"#, Some(CallRoute::Generate)),
            (r#"{"model":"m","input":["x"]}"#, Some(CallRoute::Embed)),
            (r#"{"kind":"echo","input":{}}"#, None),
            (r#"{"kind":"echo","model":"m","prompt":"x"}"#, None),
            (r#"{"model":"m"}"#, None),
            ("[]", None),
        ] {
            assert_eq!(shape(body.as_bytes()).map(|submitted| submitted.route), route, "{body}");
        }
    }
}
