//! `Prefer: respond-async`: the call becomes an ordinary durable job, and the client gets its address.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use roughneck_jobs::{
    job::NewJob,
    model::LlmError,
    ports::{gateway::ClientCall, store::Submitted},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{new_job, priority};
use crate::{App, code::Code, problem::Problem, submit_job::created, trace_parent::trace_parent};

/// The input of a job of the kind of calls.
#[derive(Serialize)]
pub(super) struct Input<'a> {
    path: &'static str,
    body: &'a RawValue,
}

impl<'a> Input<'a> {
    pub(super) fn of(call: &'a ClientCall) -> Result<Self, Problem> {
        let body = serde_json::from_slice(&call.body).map_err(|error| {
            Problem::new(Code::MalformedJson, format!("the body is not JSON: {error}"))
        })?;
        Ok(Self { path: call.route.path(), body })
    }

    pub(super) fn written(&self) -> String {
        // A path and JSON always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Whether the client wants to come back for the answer (RFC 7240).
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split(','));
    preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// The model that a call means. One that is not there is told at once; a missing Ollama is not, because
/// the job can wait for it.
pub(super) async fn meant(app: &App, call: &ClientCall) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Asked {
        model: Option<String>,
    }
    let Ok(Asked { model: Some(model) }) = serde_json::from_slice(&call.body) else {
        return Err(Problem::new(Code::InvalidSubmission, "model is required"));
    };
    match app.ports.llm.resolve(&model).await {
        Ok(resolved) => Ok(resolved.name),
        Err(error @ LlmError::NotInstalled { .. }) => {
            Err(Problem::new(Code::ModelNotInstalled, error.to_string()).with("model", model))
        }
        Err(
            LlmError::Unavailable { .. }
            | LlmError::Refused { .. }
            | LlmError::BrokenOff(_)
            | LlmError::Full { .. }
            | LlmError::Invalid(_),
        ) => Ok(model),
    }
}

pub(super) async fn submit(
    app: &App,
    headers: &HeaderMap,
    call: ClientCall,
) -> Result<Response, Problem> {
    let ports = &app.ports;
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let input = Input::of(&call)?.written();
    let model = meant(app, &call).await?;
    let job = new_job(app, priority(headers)?, &input)?;
    let job = NewJob { model: Some(model), trace_parent: trace_parent(headers), ..job };
    match ports.store.submit(job.clone()).await? {
        Submitted::Created(_) | Submitted::Existing(_) => {}
    }
    let mut accepted = created(&job);
    let applied = HeaderValue::from_static("respond-async");
    accepted.headers_mut().insert(HeaderName::from_static("preference-applied"), applied);
    Ok(accepted)
}
