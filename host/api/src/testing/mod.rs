//! A host of fakes for the tests of this crate.

mod fake_attended;
mod fake_budgets;
mod fake_children;
mod fake_control;
mod fake_flows;
mod fake_gateway;
mod fake_outbox;
mod fakes;
mod reader;
mod schedules;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, Request, header},
    response::Response,
};
use prometheus_client::registry::Registry;
use roughneck_jobs::{
    class::Class,
    clock::{Clock, Entropy, Millis},
    failure::Failure,
    flow::{Flow, Member, Part, Tally},
    id::{FlowId, JobId},
    job::{Job, NewJob},
    priority::Priority,
    state::State,
    usage::Usage,
};
use tower::ServiceExt;

pub(crate) use fake_budgets::FakeBudgets;
pub(crate) use fake_children::FakeChildren;
pub(crate) use fake_control::FakeControl;
pub(crate) use fake_flows::FakeFlows;
pub(crate) use fake_gateway::FakeGateway;
pub(crate) use fake_outbox::FakeOutbox;
pub(crate) use fakes::{FakeCatalog, FakeLlm, FakeStore};
pub(crate) use reader::{Reader, Sent};
pub(crate) use schedules::FakeSchedules;

use crate::{App, Metrics, Ports, Settings, router};

/// When every test happens.
pub(crate) const NOW: Millis = Millis(1_800_000_000_000);

/// A clock that stands and dice that always fall alike.
pub(crate) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Millis {
        NOW
    }
}

/// Dice that never fall alike.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn roll(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Entropy for Fixed {
    fn roll(&self) -> u128 {
        7
    }
}

pub(crate) struct Fakes {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) flows: Arc<FakeFlows>,
    pub(crate) children: Arc<FakeChildren>,
    pub(crate) outbox: Arc<FakeOutbox>,
    pub(crate) schedules: Arc<FakeSchedules>,
    pub(crate) catalog: Arc<FakeCatalog>,
    pub(crate) control: Arc<FakeControl>,
    pub(crate) llm: Arc<FakeLlm>,
    pub(crate) gateway: Arc<FakeGateway>,
    pub(crate) budgets: Arc<FakeBudgets>,
}

/// The HTTP surface in front of fakes.
pub(crate) struct Host {
    pub(crate) fakes: Fakes,
    pub(crate) app: Arc<App>,
    router: Router,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let store = Arc::new(FakeStore::default());
        let flows: Arc<FakeFlows> = Arc::default();
        let fakes = Fakes {
            children: Arc::default(),
            outbox: Arc::default(),
            schedules: Arc::default(),
            catalog: Arc::new(FakeCatalog::with_two_plugins()),
            control: Arc::new(FakeControl::of(Arc::clone(&store), Arc::clone(&flows))),
            llm: Arc::default(),
            gateway: Arc::default(),
            budgets: Arc::default(),
            flows,
            store,
        };
        let ports = Ports {
            store: fakes.store.clone(),
            flows: fakes.flows.clone(),
            children: fakes.children.clone(),
            outbox: fakes.outbox.clone(),
            schedules: fakes.schedules.clone(),
            catalog: fakes.catalog.clone(),
            control: fakes.control.clone(),
            llm: fakes.llm.clone(),
            gateway: fakes.gateway.clone(),
            budgets: fakes.budgets.clone(),
            clock: Arc::new(Fixed),
            entropy: Arc::new(Counting::default()),
        };
        let settings = Settings { version: "9.9.9".into(), stop_grace_ms: 300, ..settings };
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let app = App::new(ports, settings, Arc::new(registry), metrics);
        Self { fakes, router: router(Arc::clone(&app)), app }
    }

    pub(crate) async fn call(&self, mut request: Request<Body>) -> Response {
        let localhost = HeaderValue::from_static("localhost");
        request.headers_mut().entry(header::HOST).or_insert(localhost);
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Response {
        self.call(Request::builder().method(method).uri(path).body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send("GET", path, "").await
    }

    /// Follows a job from after the event of this id.
    pub(crate) async fn follow(&self, job: JobId, last_event_id: &str) -> Reader {
        let request = Request::get(format!("/jobs/{job}/events"))
            .header("last-event-id", last_event_id)
            .body(Body::empty())
            .unwrap();
        let response = self.call(request).await;
        assert_eq!(response.status(), 200);
        Reader::of(response.into_body())
    }
}

pub(crate) async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) async fn json(response: Response) -> serde_json::Value {
    serde_json::from_str(&text(response).await).unwrap()
}

/// Ids that sort by `n`.
pub(crate) fn job_id(n: i64) -> JobId {
    struct At(i64);
    impl Clock for At {
        fn now(&self) -> Millis {
            Millis(self.0)
        }
    }
    JobId::new(&At(n), &Fixed)
}

/// Ids that sort by `n`.
pub(crate) fn flow_id(n: i64) -> FlowId {
    FlowId::at(Millis(n), &Fixed)
}

/// A flow with so many jobs in these states. The last one ended at 9.
pub(crate) fn a_flow(n: i64, jobs: &[(State, u32)]) -> Flow {
    let tally =
        |(state, jobs): &(State, u32)| Tally { state: *state, is_ignored: false, jobs: *jobs };
    Flow {
        id: flow_id(n),
        name: None,
        digest: "digest".into(),
        enqueued_at: Millis(0),
        jobs: jobs.iter().map(|(_, jobs)| jobs).sum(),
        tallies: jobs.iter().map(tally).collect(),
        last_end: Some(Millis(9)),
    }
}

/// A job of a flow that needs nothing.
pub(crate) fn a_part(n: i64, name: &str, state: State) -> Part {
    let waits = u32::from(state == State::Blocked);
    let member = Some(Member { flow: flow_id(1), name: name.to_owned(), waits });
    Part { job: Job { id: job_id(n), state, member, ..a_job() }, needs: Vec::new() }
}

/// A job that has failed at its last attempt.
pub(crate) fn a_dead_letter(n: i64, code: &str) -> Job {
    let failure = Some(Failure::fatal(code, "it broke"));
    Job { id: job_id(n), state: State::Failed, attempt: 4, failure, ..a_job() }
}

/// A job on its way into the queue.
pub(crate) fn a_new_job(n: i64) -> NewJob {
    NewJob {
        id: job_id(n),
        idempotency_key: None,
        kind: "echo".into(),
        class: Class("io".into()),
        priority: Priority::NORMAL,
        rank: Millis(0),
        enqueued_at: Millis(0),
        run_at: Millis(0),
        deadline: None,
        attempts_max: 4,
        model: None,
        input: r#"{"text":"hello"}"#.into(),
        callback: None,
        trace_parent: None,
        caller: None,
        fire: None,
        unique: None,
        concurrency: None,
        member: None,
    }
}

/// A job that waits.
pub(crate) fn a_job() -> Job {
    Job {
        id: job_id(1),
        kind: "echo".into(),
        class: Class("io".into()),
        priority: Priority::NORMAL,
        rank: Millis(0),
        state: State::Queued,
        reason: None,
        enqueued_at: Millis(0),
        run_at: Millis(0),
        deadline: None,
        started_at: None,
        finished_at: None,
        attempt: 0,
        attempts_max: 4,
        losses: 0,
        input: r#"{"text":"hello"}"#.into(),
        output: None,
        failure: None,
        usage: Usage::default(),
        callback: None,
        trace_parent: None,
        caller: None,
        plugin: None,
        fire: None,
        member: None,
    }
}
