//! `POST /flows`: accepts a flow, all its jobs or none.
//!
//! The answer `202` means that all of them are on disk. As with jobs, the caller may choose the id (a
//! ULID), and whoever sends it again gets the flow that stands, with `200`; `Idempotency-Key` does the
//! same for a text of the caller's, and insists on the same jobs.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use roughneck_jobs::{
    flow::{
        Flow, FlowState, NewFlow, Part,
        plan::{self, FlowSubmission, JobsNotAccepted, NotAFlow, Plan, Planned},
    },
    id::{FlowId, JobId},
    job::NewJob,
    ports::{catalog::Served, flows::SubmittedFlow},
};
use serde::Serialize;

use crate::{
    App, body,
    code::Code,
    flow_view::Links,
    idempotency_key::idempotency_key,
    ollama::later::placed,
    problem::Problem,
    submit_job::{check_callback, check_model, not_accepted},
    trace_parent::trace_parent,
    unknown_kind::unknown_kind,
    view::At,
};

/// What the submitter learns.
#[derive(Serialize)]
struct Accepted<'a> {
    id: FlowId,
    name: Option<&'a str>,
    state: FlowState,
    enqueued_at: At,
    /// The ids of its jobs by their names.
    jobs: BTreeMap<&'a str, JobId>,
    links: Links,
}

pub(crate) async fn submit_flow(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = app.bodies.read(&head.headers, body, app.settings.body_bytes_max).await?;
    let submission: FlowSubmission = body::object(&body)?;
    let key = idempotency_key(&head.headers)?;
    let plan = plan::plan(submission).map_err(|error| not_a_flow(&error))?;

    // A repeated submission is answered even if it would be refused by now.
    let digest = digest(&app, &plan);
    if let Some(flow) = standing(&app, key.as_deref(), plan.id, &digest).await? {
        return existing(&app, &flow).await;
    }
    if app.ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let flow = accept(&app, plan, key, &head.headers).await?;
    match app.ports.flows.submit_flow(flow.clone()).await? {
        SubmittedFlow::Created(_) => Ok(created(&flow)),
        // Another request with this id or key was faster.
        SubmittedFlow::Existing(id) => {
            let key = flow.idempotency_key.as_deref();
            let flow = standing(&app, key, Some(id), &flow.digest).await?;
            existing(&app, &flow.ok_or_else(|| Problem::unknown_flow(id))?).await
        }
    }
}

fn not_a_flow(error: &NotAFlow) -> Problem {
    let code = match error {
        NotAFlow::TooLarge { .. } => Code::FlowTooLarge,
        NotAFlow::Empty
        | NotAFlow::Name
        | NotAFlow::JobName(_)
        | NotAFlow::Twice(_)
        | NotAFlow::IdTwice(_)
        | NotAFlow::UnknownNeed { .. }
        | NotAFlow::NeedTwice { .. }
        | NotAFlow::Circle(_)
        | NotAFlow::Reference { .. }
        | NotAFlow::NotNeeded { .. } => Code::InvalidFlow,
    };
    Problem::new(code, error.to_string())
}

fn digest(app: &App, plan: &Plan) -> String {
    let kinds = plan.jobs().iter().map(|job| app.present_name(&job.submission.kind));
    let kinds: Vec<String> = kinds.collect();
    plan.digest(kinds.iter().map(String::as_str))
}

/// The flow of an earlier submission with the same key or, if there is none, the same id. It is on the disk: the
/// earlier submitter may not have been answered yet.
async fn standing(
    app: &App,
    key: Option<&str>,
    id: Option<FlowId>,
    digest: &str,
) -> Result<Option<Flow>, Problem> {
    let known = known(app, key, id, digest).await?;
    if known.is_some() {
        app.ports.store.synced().await?;
    }
    Ok(known)
}

async fn known(
    app: &App,
    key: Option<&str>,
    id: Option<FlowId>,
    digest: &str,
) -> Result<Option<Flow>, Problem> {
    let flows = &app.ports.flows;
    if let Some(key) = key
        && let Some(flow) = flows.flow_of_key(key).await?
    {
        if flow.digest == digest {
            return Ok(Some(flow));
        }
        return Err(key_reused(&flow));
    }
    match id {
        Some(id) => Ok(flows.flow(id).await?),
        None => Ok(None),
    }
}

/// Two different flows under one key: the caller would take the results of one for those of the other.
fn key_reused(flow: &Flow) -> Problem {
    Problem::new(
        Code::IdempotencyKeyReused,
        format!(
            "the flow {} was submitted with this `Idempotency-Key` and has other jobs; \
             use a new key for a new submission",
            flow.id
        ),
    )
    .with("id", flow.id.to_string())
}

/// Makes the flow, if each of its jobs would be accepted alone.
async fn accept(
    app: &App,
    plan: Plan,
    key: Option<String>,
    headers: &HeaderMap,
) -> Result<NewFlow, Problem> {
    let served = served(app, plan.jobs()).await?;
    let ports = &app.ports;
    let flow = plan
        .accept(&served, ports.clock.as_ref(), ports.entropy.as_ref())
        .map_err(|refused| refuse(&refused))?;
    let trace_parent = trace_parent(headers);
    let mut jobs = Vec::with_capacity(flow.jobs.len());
    for job in flow.jobs {
        let name = job.member.as_ref().map(|member| member.name.clone()).unwrap_or_default();
        let job = placed(app, job).await.map_err(|problem| problem.of_job(&name))?;
        jobs.push(NewJob { trace_parent: trace_parent.clone(), ..job });
    }
    Ok(NewFlow { idempotency_key: key, jobs, ..flow })
}

/// Who serves each of the jobs. What must be there for them is looked for once for each kind.
async fn served(app: &App, jobs: &[Planned]) -> Result<Vec<Arc<Served>>, Problem> {
    let mut known: BTreeMap<&str, Arc<Served>> = BTreeMap::new();
    let mut served = Vec::with_capacity(jobs.len());
    for Planned { name, submission, .. } in jobs {
        let kind = submission.kind.as_str();
        let of_kind = match known.get(kind) {
            Some(of_kind) => Arc::clone(of_kind),
            None => {
                let catalog = &app.ports.catalog;
                let of_kind = catalog.served(kind);
                let of_kind =
                    of_kind.ok_or_else(|| unknown_kind(kind, catalog.as_ref()).of_job(name))?;
                check_model(app, &of_kind).await.map_err(|problem| problem.of_job(name))?;
                known.insert(kind, Arc::clone(&of_kind));
                of_kind
            }
        };
        check_callback(app, submission.callback.as_ref())
            .map_err(|problem| problem.of_job(name))?;
        served.push(of_kind);
    }
    Ok(served)
}

fn refuse(refused: &JobsNotAccepted) -> Problem {
    match refused {
        JobsNotAccepted::One { job, error } => not_accepted(error).of_job(job),
        JobsNotAccepted::Same { .. } => Problem::new(Code::InvalidFlow, refused.to_string()),
    }
}

fn created(flow: &NewFlow) -> Response {
    let name = |job: &'_ NewJob| job.member.as_ref().map_or("", |member| &member.name).to_owned();
    let names: Vec<(String, JobId)> = flow.jobs.iter().map(|job| (name(job), job.id)).collect();
    let accepted = Accepted {
        id: flow.id,
        name: flow.name.as_deref(),
        state: FlowState::Running,
        enqueued_at: At(flow.enqueued_at),
        jobs: names.iter().map(|(name, id)| (name.as_str(), *id)).collect(),
        links: Links::of(flow.id),
    };
    answer(StatusCode::ACCEPTED, &accepted)
}

async fn existing(app: &App, flow: &Flow) -> Result<Response, Problem> {
    app.metrics.repeated.inc();
    let parts = app.ports.flows.parts(flow.id).await?;
    let named =
        |part: &'_ Part| part.job.member.as_ref().map(|member| (member.name.clone(), part.job.id));
    let names: Vec<(String, JobId)> = parts.iter().filter_map(named).collect();
    let accepted = Accepted {
        id: flow.id,
        name: flow.name.as_deref(),
        state: flow.state(),
        enqueued_at: At(flow.enqueued_at),
        jobs: names.iter().map(|(name, id)| (name.as_str(), *id)).collect(),
        links: Links::of(flow.id),
    };
    Ok(answer(StatusCode::OK, &accepted))
}

fn answer(status: StatusCode, accepted: &Accepted<'_>) -> Response {
    let location = [(header::LOCATION, format!("/flows/{}", accepted.id))];
    (status, location, Json(accepted)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use roughneck_jobs::state::State;
    use serde_json::{Value, json as value};

    use super::*;
    use crate::testing::{Host, NOW, a_flow, a_part, flow_id, job_id, json};

    const TWO: &str = r#"{"name":"letter","jobs":[
        {"name":"a","kind":"echo","input":{"b":1, "a":2}},
        {"name":"b","kind":"old-echo","needs":["a"],"input":{"$result":"a"}}]}"#;

    async fn refused(body: &str) -> (u16, Value) {
        let host = Host::new();
        let response = host.send("POST", "/flows", body.to_owned()).await;
        let status = response.status().as_u16();
        assert!(host.fakes.flows.submitted().is_empty(), "{body}");
        (status, json(response).await)
    }

    async fn keyed(host: &Host, body: &str) -> Response {
        let request = Request::post("/flows").header("idempotency-key", "letter-7");
        host.call(request.body(body.to_owned().into()).unwrap()).await
    }

    /// The digest of [`TWO`].
    async fn digest_of_two() -> String {
        let host = Host::new();
        host.send("POST", "/flows", TWO).await;
        host.fakes.flows.submitted().remove(0).digest
    }

    #[tokio::test]
    async fn a_flow_is_accepted_with_its_address_and_the_ids_of_its_jobs() {
        let host = Host::new();
        let response = host.send("POST", "/flows", TWO).await;
        assert_eq!(response.status(), 202);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let body = json(response).await;
        assert_eq!(location, format!("/flows/{}", body["id"].as_str().unwrap()));
        assert_eq!((&body["name"], &body["state"]), (&"letter".into(), &"running".into()));
        assert_eq!(body["enqueued_at"], NOW.to_string());
        assert_eq!(body["links"]["self"], location);
        let flow = host.fakes.flows.submitted().remove(0);
        let ids = value!({"a": flow.jobs[0].id, "b": flow.jobs[1].id});
        assert_eq!(body["jobs"], ids);
        assert_ne!(flow.jobs[0].id, flow.jobs[1].id);
        assert_eq!(flow.jobs[0].input, r#"{"b":1, "a":2}"#);
        assert_eq!(flow.jobs[1].kind, "echo", "under its present name");
        assert_eq!(flow.jobs[1].member.as_ref().unwrap().needs[0].job, flow.jobs[0].id);
    }

    #[tokio::test]
    async fn the_same_id_is_the_same_flow_even_while_the_host_stops() {
        let host = Host::new();
        let flow = a_flow(1, &[(State::Done, 1)]);
        host.fakes.flows.put(flow.clone());
        host.fakes.flows.put_parts(flow.id, vec![a_part(1, "a", State::Done)]);
        host.fakes.control.stop();
        let body = format!(r#"{{"id":"{}","jobs":[{{"name":"x","kind":"gone"}}]}}"#, flow.id);
        let response = host.send("POST", "/flows", body).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["location"], format!("/flows/{}", flow.id).as_str());
        let body = json(response).await;
        assert_eq!((&body["state"], &body["jobs"]), (&"done".into(), &value!({"a": job_id(1)})));
        assert_eq!(host.app.metrics.repeated.get(), 1);
        let response = host.send("POST", "/flows", TWO).await;
        assert_eq!(json(response).await["code"], "stopping");
    }

    #[tokio::test]
    async fn a_new_key_and_the_trace_go_with_the_flow() {
        let host = Host::new();
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = Request::post("/flows").header("idempotency-key", "letter-7");
        let request = request.header("traceparent", trace).body(TWO.into()).unwrap();
        assert_eq!(host.call(request).await.status(), 202);
        let flow = host.fakes.flows.submitted().remove(0);
        assert_eq!(flow.idempotency_key.as_deref(), Some("letter-7"));
        for job in flow.jobs {
            assert_eq!(job.trace_parent.as_deref(), Some(trace));
            assert_eq!(job.idempotency_key, None, "the key is the flow's");
        }
    }

    #[tokio::test]
    async fn the_same_key_is_the_same_flow_and_insists_on_the_same_jobs() {
        let host = Host::new();
        let flow = Flow { digest: digest_of_two().await, ..a_flow(1, &[(State::Queued, 2)]) };
        host.fakes.flows.put_keyed("letter-7", flow.clone());
        let response = keyed(&host, TWO).await;
        assert_eq!(response.status(), 200);
        assert_eq!(json(response).await["id"], flow.id.to_string());
        let syncs = host.fakes.store.syncs.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(syncs, 1, "the first submission may still wait for the disk");
        for other in [
            TWO.replace("\"a\":2", "\"a\":3"),
            TWO.replace("[\"a\"]", "[{\"job\":\"a\",\"on_failure\":\"ignore\"}]"),
        ] {
            let response = keyed(&host, &other).await;
            assert_eq!(response.status(), 422);
            let problem = json(response).await;
            assert_eq!(problem["code"], "idempotency-key-reused");
            assert_eq!(problem["id"], flow.id.to_string());
        }
        assert!(host.fakes.flows.submitted().is_empty());
    }

    #[tokio::test]
    async fn a_race_of_two_submissions_of_one_key_ends_with_one_flow_or_a_refusal() {
        for (digest, status) in [(digest_of_two().await, 200), ("other".to_owned(), 422)] {
            let host = Host::new();
            let racer = Flow { digest, ..a_flow(1, &[(State::Queued, 2)]) };
            host.fakes.flows.win_the_race_with(racer);
            assert_eq!(keyed(&host, TWO).await.status(), status);
        }
    }

    #[tokio::test]
    async fn a_race_of_two_submissions_of_one_id_ends_with_one_flow() {
        let host = Host::new();
        host.fakes.flows.win_the_race_with(a_flow(1, &[(State::Queued, 2)]));
        let body = TWO.replacen('{', &format!("{{\"id\":\"{}\",", flow_id(1)), 1);
        assert_eq!(host.send("POST", "/flows", body).await.status(), 200);
    }

    #[tokio::test]
    async fn every_flow_that_cannot_be_is_refused_with_a_code_and_a_sentence() {
        let of = |job: &str| format!(r#"{{"jobs":[{{"name":"a","kind":"echo"}},{job}]}}"#);
        let late = r#"{"name":"b","kind":"echo","run_at":9999999999999}"#;
        let table = [
            (r#"{"jobs":[]}"#.to_owned(), 422, "invalid-flow", "a flow has at least one job"),
            (
                of(r#"{"name":"b","kind":"echo","needs":["c"]}"#),
                422,
                "invalid-flow",
                "job `b` needs `c`, and the flow has no such job; did you mean",
            ),
            (
                of(r#"{"name":"b","kind":"echo","needs":["b"]}"#),
                422,
                "invalid-flow",
                "`b` needs itself, so it could never begin",
            ),
            (
                of(r#"{"name":"b","kind":"ecko"}"#),
                404,
                "unknown-kind",
                "job `b`: no installed plugin serves the kind `ecko`; did you mean `echo`?",
            ),
            (
                of(r#"{"name":"b","kind":"echo","callback":"cms"}"#),
                422,
                "unknown-target",
                "job `b`: there is no callback target `cms`",
            ),
            (
                of(r#"{"name":"b","kind":"echo","callback":"http://127.0.0.1:9/hook"}"#),
                422,
                "private-target",
                "job `b`: the callback would go to 127.0.0.1, which is a private",
            ),
            (of(late), 422, "invalid-submission", "job `b`: `run_at` is more than a year away"),
            (
                of(r#"{"name":"b"}"#),
                422,
                "invalid-submission",
                "line 1, column 48: `kind` is missing",
            ),
            ("[]".to_owned(), 400, "not-an-object", "the body must be a JSON object"),
        ];
        for (body, status, code, detail) in table {
            let (got, problem) = refused(&body).await;
            assert_eq!((got, &problem["code"]), (status, &code.into()), "{problem}");
            let told = problem["detail"].as_str().unwrap();
            assert!(told.starts_with(detail), "{told}");
        }
    }

    #[tokio::test]
    async fn a_missing_model_is_told_with_the_job_that_needs_it() {
        let host = Host::new();
        host.fakes.llm.forget_models();
        let body = r#"{"jobs":[{"name":"a","kind":"summarize"}]}"#;
        let problem = json(host.send("POST", "/flows", body).await).await;
        assert_eq!(
            (&problem["code"], &problem["job"]),
            (&"model-not-installed".into(), &"a".into())
        );
    }

    #[tokio::test]
    async fn a_flow_that_is_too_large_is_refused() {
        let jobs = vec![r#"{"name":"a","kind":"echo"}"#; 2_001].join(",");
        let (status, problem) = refused(&format!("{{\"jobs\":[{jobs}]}}")).await;
        assert_eq!((status, &problem["code"]), (413, &"flow-too-large".into()));
    }

    #[tokio::test]
    async fn a_job_that_is_there_already_is_a_conflict() {
        let host = Host::new();
        host.fakes.flows.take_job_id(job_id(9));
        let response = host.send("POST", "/flows", TWO).await;
        assert_eq!(response.status(), 409);
        let problem = json(response).await;
        assert_eq!((&problem["code"], &problem["id"]), (&"job-exists".into(), &value!(job_id(9))));
    }
}
