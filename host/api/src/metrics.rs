//! What the HTTP surface counts.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use roughneck_jobs::ports::gateway::{CallRoute, PassRoute};

/// Seconds until an answer begins: from a read of memory to a store that struggles.
const BUCKETS: [f64; 10] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// This crate's metrics. Cheap to clone: all clones count together.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
    duration: Family<Answering, Histogram, fn() -> Histogram>,
    pub(crate) streams: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) connections_limit: Gauge,
    /// Connections on which a request found no room.
    pub(crate) refused_connections: Counter,
    /// Submissions of what stands already.
    pub(crate) repeated: Counter,
}

/// Something that is open, and counted until it is dropped.
pub(crate) struct Open(Gauge);

impl Open {
    pub(crate) fn counted(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The routes, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Root,
    Index,
    Jobs,
    Job,
    JobEvents,
    JobRetry,
    JobArtifacts,
    JobArtifact,
    Flows,
    Flow,
    FlowRetry,
    Dead,
    DeadRetry,
    Schedules,
    Schedule,
    SchedulePause,
    ScheduleResume,
    ScheduleRun,
    Classes,
    ClassPause,
    ClassResume,
    Kinds,
    KindPause,
    KindResume,
    Budgets,
    Aliases,
    Plugins,
    Health,
    Ready,
    Metrics,
    Call(CallRoute),
    Pass(PassRoute),
    /// No route, or refused before one was looked for.
    None,
}

impl Route {
    /// Those of the host's own.
    const OWN: [Self; 31] = [
        Self::Root,
        Self::Index,
        Self::Jobs,
        Self::Job,
        Self::JobEvents,
        Self::JobRetry,
        Self::JobArtifacts,
        Self::JobArtifact,
        Self::Flows,
        Self::Flow,
        Self::FlowRetry,
        Self::Dead,
        Self::DeadRetry,
        Self::Schedules,
        Self::Schedule,
        Self::SchedulePause,
        Self::ScheduleResume,
        Self::ScheduleRun,
        Self::Classes,
        Self::ClassPause,
        Self::ClassResume,
        Self::Kinds,
        Self::KindPause,
        Self::KindResume,
        Self::Budgets,
        Self::Aliases,
        Self::Plugins,
        Self::Health,
        Self::Ready,
        Self::Metrics,
        Self::None,
    ];

    fn all() -> impl Iterator<Item = Self> {
        let calls = CallRoute::ALL.into_iter().map(Self::Call);
        let passes = PassRoute::ALL.into_iter().map(Self::Pass);
        Self::OWN.into_iter().chain(calls).chain(passes)
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Root => "/",
            Self::Index => "/help",
            Self::Jobs => "/jobs",
            Self::Job => "/jobs/{id}",
            Self::JobEvents => "/jobs/{id}/events",
            Self::JobRetry => "/jobs/{id}/retry",
            Self::JobArtifacts => "/jobs/{id}/artifacts",
            Self::JobArtifact => "/jobs/{id}/artifacts/{name}",
            Self::Flows => "/flows",
            Self::Flow => "/flows/{id}",
            Self::FlowRetry => "/flows/{id}/retry",
            Self::Dead => "/dead",
            Self::DeadRetry => "/dead/retry",
            Self::Schedules => "/schedules",
            Self::Schedule => "/schedules/{id}",
            Self::SchedulePause => "/schedules/{id}/pause",
            Self::ScheduleResume => "/schedules/{id}/resume",
            Self::ScheduleRun => "/schedules/{id}/run",
            Self::Classes => "/classes",
            Self::ClassPause => "/classes/{name}/pause",
            Self::ClassResume => "/classes/{name}/resume",
            Self::Kinds => "/kinds",
            Self::KindPause => "/kinds/{name}/pause",
            Self::KindResume => "/kinds/{name}/resume",
            Self::Budgets => "/budgets",
            Self::Aliases => "/aliases",
            Self::Plugins => "/plugins",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Call(route) => route.path(),
            Self::Pass(route) => route.path(),
            Self::None => "none",
        };
        name.encode(encoder)
    }
}

/// How a request ended; we answer nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Success,
    ClientError,
    ServerError,
}

impl Class {
    const ALL: [Self; 3] = [Self::Success, Self::ClientError, Self::ServerError];
}

impl EncodeLabelValue for Class {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Success => "2xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        };
        name.encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: Route,
    status: Class,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answering {
    route: Route,
}

impl Metrics {
    /// Makes the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            streams: Gauge::default(),
            connections: Gauge::default(),
            connections_limit: Gauge::default(),
            refused_connections: Counter::default(),
            repeated: Counter::default(),
        };
        // Counters are born at zero, so that the first request is an increase.
        for route in Route::all() {
            for status in Class::ALL {
                drop(metrics.requests.get_or_create(&Answered { route, status }));
            }
            drop(metrics.duration.get_or_create(&Answering { route }));
        }
        registry.register(
            "roughneck_http_requests",
            "Requests by route and class of status",
            metrics.requests.clone(),
        );
        registry.register(
            "roughneck_http_request_duration_seconds",
            "From a request's head to its answer's head; an event stream counts until it begins",
            metrics.duration.clone(),
        );
        registry.register(
            "roughneck_http_event_streams",
            "Event streams that are open",
            metrics.streams.clone(),
        );
        registry.register(
            "roughneck_http_connections",
            "Connections of clients that are open",
            metrics.connections.clone(),
        );
        registry.register(
            "roughneck_http_connections_limit",
            "Connections that are served at once",
            metrics.connections_limit.clone(),
        );
        registry.register(
            "roughneck_http_refused_connections",
            "Connections that were closed with 503, because all that are served had requests",
            metrics.refused_connections.clone(),
        );
        registry.register(
            "roughneck_http_repeated_submissions",
            "Submissions of jobs and flows that stood already, by id or idempotency key",
            metrics.repeated.clone(),
        );
        metrics
    }

    pub(crate) fn answered(&self, route: Route, status: u16, seconds: f64) {
        let class = match status {
            ..400 => Class::Success,
            400..500 => Class::ClientError,
            500.. => Class::ServerError,
        };
        self.requests.get_or_create(&Answered { route, status: class }).inc();
        self.duration.get_or_create(&Answering { route }).observe(seconds);
    }
}
