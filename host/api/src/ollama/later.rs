//! `Prefer: respond-async`: the call becomes an ordinary durable job, and the client gets its address.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use roughneck_jobs::{
    delivery::Target,
    intake,
    job::NewJob,
    ports::gateway::{ClientCall, KIND},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{new_job, priority};
use crate::{
    App,
    code::Code,
    idempotency_key::idempotency_key,
    problem::Problem,
    submit_job::{Repeated, Taken, check_callback, find_model, standing, take},
    trace_parent::trace_parent,
};

/// The input of a job of the kind of calls.
#[derive(Serialize)]
struct Input<'a> {
    path: &'static str,
    /// On whose account it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    body: &'a RawValue,
}

impl<'a> Input<'a> {
    fn of(call: &'a ClientCall) -> Result<Self, Problem> {
        let body = serde_json::from_slice(&call.body).map_err(|error| {
            Problem::new(Code::MalformedJson, format!("the body is not JSON: {error}"))
        })?;
        Ok(Self { path: call.route.path(), caller: call.caller.as_deref(), body })
    }

    fn written(&self) -> String {
        // A path and JSON always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A job as it was accepted, in its place if it is a call. A result of another job may stand where its model is named:
/// then the run says what is wrong with it.
///
/// # Errors
/// The call may not be made, or its model is not there, or may not be asked. A missing Ollama is no error: the job can wait
/// for it.
pub(crate) async fn placed(app: &App, job: NewJob) -> Result<NewJob, Problem> {
    if job.kind == KIND
        && let Some(why) = app.ports.gateway.forbids(&job.input)
    {
        return Err(Problem::new(Code::CloudDisabled, why));
    }
    let Some(model) = intake::called(&job) else { return Ok(job) };
    let model = find_model(app, model).await?;
    Ok(intake::placed(job, &model))
}

/// Whether the client wants to come back for the answer (RFC 7240).
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split(','));
    preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// Accepts a call as a durable job, which tells `callback` about its end. A model that is not there is told
/// at once; a missing Ollama is not, because the job can wait for it.
pub(super) async fn accept(
    app: &App,
    headers: &HeaderMap,
    call: &ClientCall,
    callback: Option<Target>,
) -> Result<Taken, Problem> {
    let key = idempotency_key(headers)?;
    let input = Input::of(call)?.written();
    // A repeated submission is answered even if it would be refused by now.
    let repeated = Repeated { key: key.as_deref(), id: None, kind: KIND, input: &input };
    if let Some(job) = standing(app, &repeated).await? {
        return Ok(Taken::Before(job));
    }
    if app.ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    check_callback(app, callback.as_ref())?;
    let job = new_job(app, priority(headers)?, &input)?;
    let Some(model) = intake::called(&job).map(str::to_owned) else {
        let (status, words) = call.route.nameless();
        let problem = Problem::new(Code::InvalidSubmission, "model is required");
        return Err(problem.natively(status, words));
    };
    let unknown = |problem: Problem| {
        if problem.failed().code == Code::ModelNotInstalled {
            problem.natively(404, call.route.not_found(&model))
        } else {
            problem
        }
    };
    let job = placed(app, job).await.map_err(unknown)?;
    let trace_parent = trace_parent(headers);
    // What cannot be the `caller` of a job, such as a name with a tab in it, is still in the input, and pays.
    let caller = call.caller.as_ref().and_then(|name| name.parse().ok());
    take(app, NewJob { callback, trace_parent, caller, idempotency_key: key, ..job }).await
}

pub(super) async fn submit(
    app: &App,
    headers: &HeaderMap,
    call: &ClientCall,
) -> Result<Response, Problem> {
    let mut accepted = accept(app, headers, call, None).await?.answer(app);
    let applied = HeaderValue::from_static("respond-async");
    accepted.headers_mut().insert(HeaderName::from_static("preference-applied"), applied);
    Ok(accepted)
}
