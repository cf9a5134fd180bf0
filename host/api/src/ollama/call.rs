//! `POST /api/chat` and its like: a call that waits for the lane is a job, with a client that waits.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use roughneck_jobs::{
    class::{CLIENT, Class},
    intake::{self, Submission},
    job::NewJob,
    ports::gateway::{CallRoute, ClientCall, KIND, Origin, Place},
    priority::{NotAPriority, Priority},
};
use serde_json::value::RawValue;

use super::{
    later,
    reply::{refused, response},
};
use crate::{
    App, code::Code, problem::Problem, submit_job::not_accepted, trace_parent::trace_parent,
    unknown_kind::unknown_kind,
};

/// Takes a priority, by name or number, from clients that can send headers.
const PRIORITY: &str = "x-roughneck-priority";

/// Says who calls; Open WebUI's users come with a name of their own.
const CALLERS: [&str; 2] = ["x-roughneck-caller", "x-openwebui-user-id"];

const CALLER_BYTES_MAX: usize = 128;

pub(crate) async fn call(
    route: CallRoute,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    match read(&app, route, &head.headers, body).await {
        Ok(asked) if later::is_wanted(&head.headers) => {
            let submitted = later::submit(&app, &head.headers, &asked).await;
            submitted.unwrap_or_else(|problem| refused(&app, route.form(), &problem))
        }
        Ok(asked) => {
            let answered = attend(&app, &head.headers, asked).await;
            answered.unwrap_or_else(|problem| refused(&app, route.form(), &problem))
        }
        Err(problem) => refused(&app, route.form(), &problem),
    }
}

/// Reads the call that a request holds.
async fn read(
    app: &App,
    route: CallRoute,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<ClientCall, Problem> {
    let bytes_max = app.settings.call_bytes_max;
    let body = app.bodies.read(headers, body, bytes_max).await?;
    Ok(ClientCall {
        route,
        body,
        user_agent: headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        caller: caller(headers),
        origin: Origin::Client,
        job: None,
    })
}

/// Who calls, as far as they say.
pub(super) fn caller(headers: &HeaderMap) -> Option<String> {
    CALLERS.into_iter().find_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        let value = value.get(..CALLER_BYTES_MAX).unwrap_or(value);
        (!value.is_empty()).then(|| value.to_owned())
    })
}

/// Runs a call while its client waits.
async fn attend(app: &App, headers: &HeaderMap, call: ClientCall) -> Result<Response, Problem> {
    let ports = &app.ports;
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let priority = priority(headers)?.unwrap_or(Priority::HIGH);
    let admitted = match ports.gateway.admit(call).await {
        Ok(admitted) => admitted,
        Err(reply) => return Ok(response(reply)),
    };
    let job = new_job(app, Some(priority), &admitted.record())?;
    let job =
        NewJob { class: Class(CLIENT.to_owned()), trace_parent: trace_parent(headers), ..job };
    let place = Place { rank: job.rank, priority };
    let attended = ports.control.attend(job);
    Ok(response(admitted.run(place, attended).await))
}

/// A job of the kind of calls.
pub(super) fn new_job(
    app: &App,
    priority: Option<Priority>,
    input: &str,
) -> Result<NewJob, Problem> {
    let ports = &app.ports;
    let served = ports.catalog.served(KIND);
    let served = served.ok_or_else(|| unknown_kind(KIND, ports.catalog.as_ref()))?;
    let submission = Submission {
        id: None,
        kind: KIND.to_owned(),
        input: RawValue::from_string(input.to_owned()).ok(),
        priority,
        run_at: None,
        deadline: None,
        callback: None,
        caller: None,
    };
    intake::accept(submission, &served, ports.clock.as_ref(), ports.entropy.as_ref())
        .map_err(|error| not_accepted(&error))
}

/// The priority that the client asks for.
pub(super) fn priority(headers: &HeaderMap) -> Result<Option<Priority>, Problem> {
    let Some(value) = headers.get(PRIORITY) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    text.trim().parse().map(Some).map_err(|error: NotAPriority| {
        Problem::new(Code::InvalidSubmission, format!("the header `{PRIORITY}`: {error}"))
    })
}
