//! `Prefer: respond-async`: the call becomes an ordinary durable job, and the client gets its address.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use roughneck_jobs::{
    delivery::Target,
    job::NewJob,
    ports::gateway::{ClientCall, KIND},
};
use serde::{Deserialize, Serialize};
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
    #[derive(Deserialize)]
    struct Asked {
        model: Option<String>,
    }
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
    let Ok(Asked { model: Some(model) }) = serde_json::from_slice(&call.body) else {
        let (status, words) = call.route.nameless();
        let problem = Problem::new(Code::InvalidSubmission, "model is required");
        return Err(problem.natively(status, words));
    };
    let unknown = |problem: Problem| problem.natively(404, call.route.not_found(&model));
    let model = Some(find_model(app, &model).await.map_err(unknown)?);
    let job = new_job(app, priority(headers)?, &input)?;
    let trace_parent = trace_parent(headers);
    take(app, NewJob { model, callback, trace_parent, idempotency_key: key, ..job }).await
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
