//! One run, as its guest meets the host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use roughneck_jobs::{
    budget::Payer,
    clock::{Clock, Millis},
    failure::Failure,
    flow::Dependency,
    grant::Grant,
    manifest::{Capabilities, Limits},
    ports::{
        kv::KeyValue,
        llm::Llm,
        runner::{Assignment, Relatives, Supervisor},
    },
    priority::Priority,
    run::Run,
};

use crate::{egress::Egress, enqueue::Submitted, held::Pool};

/// What the host lends to every run.
pub struct Ports {
    /// The lane to Ollama.
    pub llm: Arc<dyn Llm>,
    /// Key-value state.
    pub kv: Arc<dyn KeyValue>,
    /// The way out for HTTP.
    pub egress: Egress,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
}

/// Everything one run may ask of the host. It is made for one attempt and dropped with it.
pub struct Session {
    pub(crate) run: Run,
    pub(crate) plugin: String,
    /// On whose account its calls go.
    pub(crate) payer: Payer,
    pub(crate) rank: Millis,
    pub(crate) priority: Priority,
    pub(crate) attempt: u32,
    pub(crate) attempts_max: u32,
    pub(crate) deadline: Millis,
    pub(crate) trace_parent: Option<String>,
    /// The canonical context length of the kind, in tokens.
    pub(crate) num_ctx: Option<u32>,
    pub(crate) wanted: Capabilities,
    pub(crate) limits: Limits,
    pub(crate) grant: Arc<Grant>,
    pub(crate) supervisor: Arc<dyn Supervisor>,
    pub(crate) relatives: Arc<dyn Relatives>,
    pub(crate) needs: Vec<Dependency>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) calls: u32,
    /// Reports and lines of the log have budgets of their own, each as large as that of the calls, so that a chatty guest
    /// runs out of neither the other nor calls that matter.
    pub(crate) reports_left: u32,
    pub(crate) log_lines_left: u32,
    pub(crate) log_bytes_left: u64,
    pub(crate) log_is_full: bool,
    pub(crate) notices: u32,
    /// What this run has submitted, by name.
    pub(crate) submitted: BTreeMap<String, Submitted>,
    pub(crate) held: Pool,
    /// Alive while an answer is on its way: a second call would wait for the lane that the first
    /// holds, until the run's time is over.
    pub(crate) open_stream: Weak<()>,
    pub(crate) withheld: Option<Failure>,
}

impl Session {
    /// The session of an attempt.
    #[must_use]
    pub fn new(
        assignment: &Assignment,
        grant: Arc<Grant>,
        supervisor: Arc<dyn Supervisor>,
        ports: Arc<Ports>,
    ) -> Self {
        let Assignment { job, needs, relatives, run, served, deadline } = assignment;
        let manifest = &served.plugin.manifest;
        Self {
            run: *run,
            plugin: manifest.name.clone(),
            payer: Payer {
                // The job has the name that its kind had when it was submitted.
                kind: served.kind.name.clone(),
                ..Payer::of_job(job, manifest.limits.job_tokens_max)
            },
            rank: job.rank,
            priority: job.priority,
            attempt: job.attempt,
            attempts_max: job.attempts_max,
            deadline: *deadline,
            trace_parent: job.trace_parent.clone(),
            num_ctx: served.kind.model.as_ref().and_then(|model| model.num_ctx),
            wanted: manifest.capabilities.clone(),
            limits: manifest.limits,
            grant,
            supervisor,
            relatives: Arc::clone(relatives),
            needs: needs.clone(),
            ports,
            calls: 0,
            reports_left: manifest.limits.host_calls_max,
            log_lines_left: manifest.limits.host_calls_max,
            log_bytes_left: manifest.limits.log_bytes_max,
            log_is_full: false,
            notices: 0,
            submitted: BTreeMap::new(),
            held: Pool::default(),
            open_stream: Weak::new(),
            withheld: None,
        }
    }

    /// Who runs this attempt.
    #[must_use]
    pub fn supervisor(&self) -> &Arc<dyn Supervisor> {
        &self.supervisor
    }

    /// Why the run was not given the model that it asked for, if that was so at its last try: a failure of the guest for
    /// this reason is then no fault of the job, or one that no attempt mends.
    #[must_use]
    pub fn withheld(&self) -> Option<&Failure> {
        self.withheld.as_ref()
    }
}
