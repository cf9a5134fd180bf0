//! `POST /jobs`: accepts a job.
//!
//! The answer `202` means that the job is on disk. The caller may choose the id (a ULID): whoever
//! sends the same id again gets the job that stands, with `200`, whatever else the body says. The
//! header `Idempotency-Key` does the same for a text of the caller's, and insists on the same kind and
//! input. No `Content-Type` is asked for, so that `curl -d` works; [`crate::guard`] keeps foreign pages
//! out.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use roughneck_jobs::{
    address::is_public,
    delivery::Target,
    id::JobId,
    intake::{self, NotAccepted, Submission},
    job::{Job, NewJob},
    model::{LlmError, Resolved, Site},
    ports::{catalog::Served, store::Submitted},
    priority::Priority,
    state,
    strict::nearest,
};
use serde::Serialize;

use crate::{
    App, body,
    code::Code,
    idempotency_key::idempotency_key,
    ollama::{foreman, later::placed},
    problem::Problem,
    trace_parent::trace_parent,
    unknown_kind::unknown_kind,
    view::{At, Links},
};

/// What the submitter learns.
#[derive(Serialize)]
struct Accepted<'a> {
    id: JobId,
    state: state::State,
    kind: &'a str,
    class: &'a str,
    priority: Priority,
    enqueued_at: At,
    run_at: At,
    deadline: Option<At>,
    links: Links,
}

pub(crate) async fn submit_job(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = app.bodies.read(&head.headers, body, app.settings.body_bytes_max).await?;
    if let Some(submitted) = foreman::shape(&body) {
        return foreman::submit(&app, &head.headers, submitted, body).await;
    }
    let submission: Submission = body::object(&body)?;
    let key = idempotency_key(&head.headers)?;
    let ports = &app.ports;

    // A repeated submission is answered even if it would be refused by now.
    let repeated = Repeated {
        key: key.as_deref(),
        id: submission.id,
        kind: &submission.kind,
        input: submission.input(),
    };
    if let Some(job) = standing(&app, &repeated).await? {
        return Ok(Taken::Before(job).answer(&app));
    }
    if ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let served = ports
        .catalog
        .served(&submission.kind)
        .ok_or_else(|| unknown_kind(&submission.kind, ports.catalog.as_ref()))?;
    check_model(&app, &served).await?;
    check_callback(&app, submission.callback.as_ref())?;

    let job = intake::accept(submission, &served, ports.clock.as_ref(), ports.entropy.as_ref())
        .map_err(|error| not_accepted(&error))?;
    let job = placed(&app, job).await?;
    let job = NewJob { idempotency_key: key, trace_parent: trace_parent(&head.headers), ..job };
    Ok(take(&app, job).await?.answer(&app))
}

/// A submission that was accepted.
pub(crate) enum Taken {
    Now(NewJob),
    /// Another one with this id or key came first.
    Before(Job),
}

/// Hands a job over to the store.
pub(crate) async fn take(app: &App, job: NewJob) -> Result<Taken, Problem> {
    match app.ports.store.submit(job.clone()).await? {
        Submitted::Created(_) => Ok(Taken::Now(job)),
        // Another request with this id or key was faster.
        Submitted::Existing(id) => {
            let repeated = Repeated {
                key: job.idempotency_key.as_deref(),
                id: Some(id),
                kind: &job.kind,
                input: &job.input,
            };
            let job = standing(app, &repeated).await?.ok_or_else(|| Problem::unknown_job(id))?;
            Ok(Taken::Before(job))
        }
    }
}

/// The refusal of a submission that passes a limit.
pub(crate) fn not_accepted(error: &NotAccepted) -> Problem {
    let code = match error {
        NotAccepted::InputTooLarge { .. } => Code::InputTooLarge,
        NotAccepted::InputTooDeep
        | NotAccepted::TooLate
        | NotAccepted::TooEarly
        | NotAccepted::DeadlinePassed
        | NotAccepted::DeadlineTooEarly
        | NotAccepted::DeadlineTooLate => Code::InvalidSubmission,
    };
    Problem::new(code, error.to_string())
}

/// What tells whether a submission was accepted before.
pub(crate) struct Repeated<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) id: Option<JobId>,
    pub(crate) kind: &'a str,
    pub(crate) input: &'a str,
}

/// The job of an earlier submission with the same key or, if there is none, the same id. It is on the disk: the
/// earlier submitter may not have been answered yet.
pub(crate) async fn standing(app: &App, repeated: &Repeated<'_>) -> Result<Option<Job>, Problem> {
    let known = known(app, repeated).await?;
    if known.is_some() {
        app.ports.store.synced().await?;
    }
    Ok(known)
}

async fn known(app: &App, repeated: &Repeated<'_>) -> Result<Option<Job>, Problem> {
    let store = &app.ports.store;
    if let Some(key) = repeated.key
        && let Some(job) = store.job_of_key(key).await?
    {
        if job.kind == app.present_name(repeated.kind) && job.input == repeated.input {
            return Ok(Some(job));
        }
        return Err(key_reused(&job));
    }
    match repeated.id {
        Some(id) => {
            app.ports.control.written(id).await;
            Ok(store.job(id).await?)
        }
        None => Ok(None),
    }
}

/// Two different jobs under one key: the caller would take the result of one for that of the other.
fn key_reused(job: &Job) -> Problem {
    Problem::new(
        Code::IdempotencyKeyReused,
        format!(
            "the job {} was submitted with this `Idempotency-Key` and has another kind or input; \
             use a new key for a new submission",
            job.id
        ),
    )
    .with("id", job.id.to_string())
}

/// A missing model is told at once; a missing Ollama is not, because the job can wait for it.
pub(crate) async fn check_model(app: &App, served: &Served) -> Result<(), Problem> {
    match &served.kind.model {
        Some(model) => find_model(app, &model.tag).await.map(drop),
        None => Ok(()),
    }
}

/// The installed model that is meant by a name or an alias, or the name while Ollama cannot be asked. One that may not be
/// asked because it answers elsewhere is told at once, whether Ollama is there or not.
pub(crate) async fn find_model(app: &App, model: &str) -> Result<Resolved, Problem> {
    match app.ports.llm.resolve(model).await {
        Ok(resolved) => Ok(resolved),
        Err(
            LlmError::Unavailable { .. }
            | LlmError::Unwell { .. }
            | LlmError::Moved { .. }
            | LlmError::Refused { .. }
            | LlmError::Full { .. }
            | LlmError::OverBudget(_)
            | LlmError::BrokenOff(_),
        ) => Ok(Resolved { name: model.to_owned(), digest: None, site: Site::Here }),
        Err(error @ LlmError::CloudDisabled { .. }) => {
            Err(Problem::new(Code::CloudDisabled, error.to_string()).with("model", model))
        }
        Err(error @ LlmError::NotInstalled { .. }) => {
            Err(Problem::new(Code::ModelNotInstalled, error.to_string()).with("model", model))
        }
        // No model can be called so.
        Err(LlmError::Invalid(why)) => {
            let problem = Problem::new(Code::InvalidSubmission, format!("`{model}`: {why}"));
            Err(problem.with("model", model).natively(400, why))
        }
    }
}

/// A target that nobody has configured, or that may not be reached, would only be found out by waiting in vain. What a
/// name leads to is judged when it is called.
pub(crate) fn check_callback(app: &App, callback: Option<&Target>) -> Result<(), Problem> {
    let known = &app.settings.callback_targets;
    match callback {
        Some(Target::Named(name)) if !known.contains(name) => {
            Err(Problem::new(Code::UnknownTarget, unknown_target(name, known)))
        }
        Some(target) if !app.settings.callbacks_private => match target.address() {
            Some(address) if !is_public(address) => {
                Err(Problem::new(Code::PrivateTarget, private_target(address)))
            }
            Some(_) | None => Ok(()),
        },
        Some(Target::Named(_) | Target::Url(_)) | None => Ok(()),
    }
}

fn unknown_target(name: &str, known: &BTreeSet<String>) -> String {
    let hint = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? Otherwise"),
        None => "send a URL, or".to_owned(),
    };
    format!(
        "there is no callback target `{name}`; {hint} add [callbacks.targets.{name}] to roughneck.toml"
    )
}

fn private_target(address: IpAddr) -> String {
    format!(
        "the callback would go to {address}, which is a private, loopback or otherwise non-public address; \
         set `allow-private = true` under [callbacks] in roughneck.toml, or configure a target with it and send its name"
    )
}

impl Taken {
    pub(crate) fn id(&self) -> JobId {
        match self {
            Self::Now(job) => job.id,
            Self::Before(job) => job.id,
        }
    }

    pub(crate) fn state(&self) -> state::State {
        match self {
            Self::Now(job) if job.run_at <= job.enqueued_at => state::State::Queued,
            Self::Now(_) => state::State::Scheduled,
            Self::Before(job) => job.state,
        }
    }

    /// 202 for a new job; 200 for one that stands already, which is counted.
    pub(crate) fn status(&self, app: &App) -> StatusCode {
        match self {
            Self::Now(_) => StatusCode::ACCEPTED,
            Self::Before(_) => {
                app.metrics.repeated.inc();
                StatusCode::OK
            }
        }
    }

    /// The answer to the submitter.
    pub(crate) fn answer(&self, app: &App) -> Response {
        let id = self.id();
        let (kind, class, priority, (enqueued_at, run_at, deadline)) = match self {
            Self::Now(job) => {
                let times = (job.enqueued_at, job.run_at, job.deadline);
                (&job.kind, &job.class, job.priority, times)
            }
            Self::Before(job) => {
                let times = (job.enqueued_at, job.run_at, job.deadline);
                (&job.kind, &job.class, job.priority, times)
            }
        };
        let accepted = Accepted {
            id,
            state: self.state(),
            kind,
            class: &class.0,
            priority,
            enqueued_at: At(enqueued_at),
            run_at: At(run_at),
            deadline: deadline.map(At),
            links: Links::of(id),
        };
        let location = [(header::LOCATION, format!("/jobs/{id}"))];
        (self.status(app), location, Json(accepted)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use roughneck_jobs::{
        mark::{Mark, Passed},
        ports::catalog::RefusedPlugin,
    };

    use super::*;
    use crate::{
        Settings,
        testing::{Host, NOW, a_job, json},
    };

    async fn refused(host: &Host, body: &str) -> (u16, serde_json::Value) {
        let response = host.send("POST", "/jobs", body.to_owned()).await;
        let status = response.status().as_u16();
        assert!(host.fakes.store.submitted().is_empty());
        (status, json(response).await)
    }

    #[tokio::test]
    async fn a_job_is_accepted_with_its_address_and_state() {
        let host = Host::new();
        let response =
            host.send("POST", "/jobs", r#"{"kind":"echo","input":{"b":1, "a":2}}"#).await;
        assert_eq!(response.status(), 202);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let body = json(response).await;
        assert_eq!(location, format!("/jobs/{}", body["id"].as_str().unwrap()));
        assert_eq!((&body["state"], &body["kind"]), (&"queued".into(), &"echo".into()));
        assert_eq!(body["links"]["events"], format!("{location}/events"));
        assert_eq!(body["enqueued_at"], NOW.to_string());
        assert_eq!(host.fakes.store.submitted()[0].input, r#"{"b":1, "a":2}"#);
    }

    #[tokio::test]
    async fn a_deadline_is_answered_as_an_instant() {
        let host = Host::new();
        let response = host.send("POST", "/jobs", r#"{"kind":"echo","deadline":"5m"}"#).await;
        assert_eq!(response.status(), 202);
        let deadline = NOW.plus_ms(300_000);
        assert_eq!(json(response).await["deadline"], deadline.to_string());
        assert_eq!(host.fakes.store.submitted()[0].deadline, Some(deadline));
    }

    #[tokio::test]
    async fn a_deadline_that_leaves_no_time_is_refused() {
        let host = Host::new();
        let (status, body) = refused(&host, r#"{"kind":"echo","deadline":1795333333}"#).await;
        assert_eq!((status, &body["code"]), (422, &"invalid-submission".into()));
        assert!(body["detail"].as_str().unwrap().contains("(not seconds)"), "{body}");
    }

    #[tokio::test]
    async fn a_job_is_for_the_caller_that_its_submission_names() {
        let host = Host::new();
        let response = host.send("POST", "/jobs", r#"{"kind":"echo","caller":"alice"}"#).await;
        assert_eq!(response.status(), 202);
        assert_eq!(host.fakes.store.submitted()[0].caller, Some("alice".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_caller_that_cannot_be_named_is_refused_with_the_rule() {
        let host = Host::new();
        for name in ["", " alice", "a\\nb", &"a".repeat(129)] {
            let body = format!(r#"{{"kind":"echo","caller":"{name}"}}"#);
            let (status, problem) = refused(&host, &body).await;
            assert_eq!((status, &problem["code"]), (422, &"invalid-submission".into()), "{name}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains("`caller` names whom a job is for in 1 to 128 bytes"),
                "{detail}"
            );
        }
    }

    #[tokio::test]
    async fn a_job_of_later_is_scheduled() {
        let run_at = NOW.plus_ms(60_000).0;
        let body = format!(r#"{{"kind":"echo","run_at":{run_at}}}"#);
        let response = Host::new().send("POST", "/jobs", body).await;
        assert_eq!(json(response).await["state"], "scheduled");
    }

    #[tokio::test]
    async fn the_same_id_is_the_same_job_even_while_the_host_stops() {
        let host = Host::new();
        let job = Job { state: state::State::Done, ..a_job() };
        host.fakes.store.put(job.clone());
        host.fakes.control.stop();
        let body = format!(r#"{{"id":"{}","kind":"no-longer-installed"}}"#, job.id);
        let response = host.send("POST", "/jobs", body).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["location"], format!("/jobs/{}", job.id).as_str());
        assert_eq!(json(response).await["state"], "done");
        let syncs = host.fakes.store.syncs.load(Ordering::SeqCst);
        assert_eq!(syncs, 1, "the first submission may still wait for the disk");
    }

    #[tokio::test]
    async fn a_race_of_two_submissions_of_one_id_ends_with_one_job() {
        let host = Host::new();
        let job = a_job();
        host.fakes.store.win_the_race_with(job.clone());
        let body = format!(r#"{{"id":"{}","kind":"echo"}}"#, job.id);
        assert_eq!(host.send("POST", "/jobs", body).await.status(), 200);
        assert_eq!(host.app.metrics.repeated.get(), 1);
    }

    async fn keyed(host: &Host, body: &str) -> Response {
        let request = axum::http::Request::post("/jobs").header("idempotency-key", "order-7");
        host.call(request.body(body.to_owned().into()).unwrap()).await
    }

    #[tokio::test]
    async fn a_new_key_goes_with_its_job() {
        let host = Host::new();
        assert_eq!(keyed(&host, r#"{"kind":"echo"}"#).await.status(), 202);
        let key = host.fakes.store.submitted()[0].idempotency_key.clone();
        assert_eq!(key.as_deref(), Some("order-7"));
    }

    #[tokio::test]
    async fn the_same_key_is_the_same_job_also_under_an_old_name_of_its_kind() {
        let host = Host::new();
        host.fakes.store.put_keyed("order-7", a_job());
        host.fakes.control.stop();
        for kind in ["echo", "old-echo"] {
            let body = format!(r#"{{"kind":"{kind}","input":{}}}"#, a_job().input);
            let response = keyed(&host, &body).await;
            assert_eq!(response.status(), 200);
            assert_eq!(json(response).await["id"], a_job().id.to_string());
        }
        assert_eq!(host.fakes.store.syncs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn the_same_key_with_another_kind_or_input_is_refused() {
        let host = Host::new();
        host.fakes.store.put_keyed("order-7", a_job());
        let input = a_job().input;
        for body in [
            r#"{"kind":"echo","input":{"text":"other"}}"#.to_owned(),
            r#"{"kind":"echo"}"#.to_owned(),
            format!(r#"{{"kind":"summarize","input":{input}}}"#),
            format!(r#"{{"kind":"echo","id":"{}","input":1}}"#, a_job().id),
        ] {
            let response = keyed(&host, &body).await;
            assert_eq!(response.status(), 422);
            let problem = json(response).await;
            assert_eq!(problem["code"], "idempotency-key-reused");
            assert_eq!(problem["id"], a_job().id.to_string());
        }
        assert!(host.fakes.store.submitted().is_empty());
    }

    #[tokio::test]
    async fn a_race_of_two_submissions_of_one_key_ends_with_one_job_or_a_refusal() {
        let same = format!(r#"{{"kind":"echo","input":{}}}"#, a_job().input);
        for (body, status) in [(same.as_str(), 200), (r#"{"kind":"echo"}"#, 422)] {
            let host = Host::new();
            host.fakes.store.win_the_race_with(a_job());
            assert_eq!(keyed(&host, body).await.status(), status);
        }
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_used_is_refused() {
        let request = axum::http::Request::post("/jobs").header("idempotency-key", "a b");
        let host = Host::new();
        let response = host.call(request.body(r#"{"kind":"echo"}"#.into()).unwrap()).await;
        assert_eq!(response.status(), 400);
        assert_eq!(json(response).await["code"], "invalid-idempotency-key");
    }

    #[tokio::test]
    async fn the_trace_parent_of_the_request_is_kept() {
        let host = Host::new();
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = axum::http::Request::post("/jobs")
            .header("traceparent", trace)
            .body(r#"{"kind":"echo"}"#.into())
            .unwrap();
        assert_eq!(host.call(request).await.status(), 202);
        assert_eq!(host.fakes.store.submitted()[0].trace_parent.as_deref(), Some(trace));
    }

    #[tokio::test]
    async fn an_unknown_kind_is_told_the_nearest_one_or_all() {
        let host = Host::new();
        let (status, problem) = refused(&host, r#"{"kind":"ecko"}"#).await;
        assert_eq!((status, &problem["code"]), (404, &"unknown-kind".into()));
        assert_eq!(problem["suggestion"], "echo");
        let (_, problem) = refused(&host, r#"{"kind":"translate"}"#).await;
        assert_eq!(
            problem["detail"],
            "no installed plugin serves the kind `translate`; installed: echo, summarize"
        );
    }

    #[test]
    fn an_unknown_target_is_told_with_the_nearest_one_or_what_else_to_send() {
        let known = BTreeSet::from(["alerts".to_owned()]);
        assert_eq!(
            unknown_target("alert", &known),
            "there is no callback target `alert`; did you mean `alerts`? Otherwise add \
             [callbacks.targets.alert] to roughneck.toml"
        );
        assert_eq!(
            unknown_target("cms", &known),
            "there is no callback target `cms`; send a URL, or add [callbacks.targets.cms] to \
             roughneck.toml"
        );
    }

    #[tokio::test]
    async fn a_kind_of_a_refused_plugin_points_to_the_reason() {
        let host = Host::new();
        host.fakes.catalog.refuse(RefusedPlugin {
            name: "translate".into(),
            code: "not-granted",
            message: "grant it".into(),
        });
        let (_, problem) = refused(&host, r#"{"kind":"translate"}"#).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.ends_with("(the plugin `translate` was refused, and `GET /plugins` says why)"),
            "{detail}"
        );
        let (_, problem) = refused(&host, r#"{"kind":"other-thing"}"#).await;
        assert!(problem["detail"].as_str().unwrap().contains("some plugins were refused"));
    }

    #[tokio::test]
    async fn a_model_that_is_not_installed_is_told_with_the_command_to_pull_it() {
        let host = Host::new();
        host.fakes.llm.forget_models();
        let (status, problem) = refused(&host, r#"{"kind":"summarize"}"#).await;
        assert_eq!((status, &problem["code"]), (422, &"model-not-installed".into()));
        assert!(problem["detail"].as_str().unwrap().contains("ollama pull qwen3:30b"));
    }

    #[tokio::test]
    async fn a_job_is_accepted_while_ollama_is_down() {
        let host = Host::new();
        host.fakes.llm.go_down();
        assert_eq!(host.send("POST", "/jobs", r#"{"kind":"summarize"}"#).await.status(), 202);
    }

    #[tokio::test]
    async fn a_stopping_host_asks_to_come_back() {
        let host = Host::new();
        host.fakes.control.stop();
        let response = host.send("POST", "/jobs", r#"{"kind":"echo"}"#).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "5");
        assert_eq!(json(response).await["code"], "stopping");
    }

    #[tokio::test]
    async fn a_full_host_refuses_new_jobs_and_answers_repeated_ones() {
        let host = Host::new();
        host.fakes.store.put(a_job());
        host.fakes.store.put_keyed("order-7", a_job());
        host.fakes.store.fill_up(Passed { mark: Mark::Jobs, level: 5, limit: 5 });
        let (status, problem) = refused(&host, r#"{"kind":"echo"}"#).await;
        assert_eq!((status, &problem["code"]), (429, &"queue-full".into()));
        let body = format!(r#"{{"id":"{}","kind":"echo"}}"#, a_job().id);
        assert_eq!(host.send("POST", "/jobs", body).await.status(), 200);
        let body = format!(r#"{{"kind":"echo","input":{}}}"#, a_job().input);
        assert_eq!(keyed(&host, &body).await.status(), 200);
    }

    #[tokio::test]
    async fn a_store_that_fails_is_a_failure_of_the_host() {
        let host = Host::new();
        host.fakes.store.break_down();
        let response = host.send("POST", "/jobs", r#"{"kind":"echo"}"#).await;
        assert_eq!(response.status(), 500);
        assert_eq!(json(response).await["code"], "store-broken");
    }

    #[tokio::test]
    async fn bad_bodies_are_refused_with_their_codes() {
        let host = Host::new();
        let late = NOW.plus_ms(intake::RUN_AT_MS_MAX + 1);
        let table = [
            ("{\"kind\"".to_owned(), 400, "malformed-json"),
            ("[]".to_owned(), 400, "not-an-object"),
            ("{\"kind\":\"echo\",\"prio\":1}".to_owned(), 422, "invalid-submission"),
            (format!(r#"{{"kind":"echo","run_at":{}}}"#, late.0), 422, "invalid-submission"),
            (r#"{"kind":"echo","id":"7"}"#.to_owned(), 422, "invalid-submission"),
            (
                format!(r#"{{"kind":"echo","input":{}0{}}}"#, "[".repeat(101), "]".repeat(101)),
                422,
                "invalid-submission",
            ),
            (
                format!(r#"{{"kind":"echo","input":"{}"}}"#, "a".repeat(intake::INPUT_BYTES_MAX)),
                413,
                "input-too-large",
            ),
            (" ".repeat(Settings::default().body_bytes_max + 1), 413, "body-too-large"),
        ];
        for (body, status, code) in table {
            let (got, problem) = refused(&host, &body).await;
            assert_eq!((got, &problem["code"]), (status, &code.into()));
        }
    }
}
