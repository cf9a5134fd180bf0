//! The client: plays the script to one host after the other, and repeats what was not answered.

mod flows;
mod schedules;

use std::sync::Arc;

use roughneck_engine::Engine;
use roughneck_jobs::{
    clock::Clock as _,
    flow::NewFlow,
    id::{FlowId, JobId},
    intake::{self, Submission},
    job::{DeadLetters, Filter, Job, NewJob},
    pause::Scope,
    ports::{
        catalog::Catalog as _,
        control::Control as _,
        flows::Flows as _,
        store::{Finish, Store as _, Verdict},
    },
    run::LEASE_MS,
    state::State,
    usage::Usage,
};
use serde_json::{Value, json};

use crate::{
    Time,
    actors::Actors,
    frail::Frail,
    history::{Moment, Seen},
    log::Log,
    script::{Script, Step, Wish},
    story::Failed,
};

/// More jobs than a story has: one look sees them all.
pub(crate) const LOOK_MAX: u32 = 500;

/// What the client knows. It outlives the hosts.
pub(crate) struct Client {
    script: Script,
    /// Steps that were taken.
    taken: usize,
    /// What was made of the wishes so far.
    jobs: Vec<Option<NewJob>>,
    flows: Vec<Option<NewFlow>>,
}

/// A host, as the client sees it.
pub(crate) struct Host {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<Frail>,
    pub(crate) actors: Arc<Actors>,
    pub(crate) time: Arc<Time>,
    pub(crate) log: Arc<Log>,
}

impl Client {
    pub(crate) fn new(script: Script) -> Self {
        let jobs = vec![None; script.wishes.len()];
        let flows = vec![None; script.flows.len()];
        Self { script, taken: 0, jobs, flows }
    }

    /// Takes the steps that are left.
    pub(crate) async fn go_on(&mut self, host: &Host) -> Result<(), Failed> {
        while let Some(step) = self.script.steps.get(self.taken).cloned() {
            self.take(host, &step).await?;
            host.look().await;
            self.taken += 1;
        }
        Ok(())
    }

    /// A client repeats only what it must: what else was not answered may have been done or not.
    async fn take(&mut self, host: &Host, step: &Step) -> Result<(), Failed> {
        let (store, now) = (&host.store, host.time.now());
        match step {
            // One that was not answered is repeated; one that was may be submitted twice, and again after it
            // was purged.
            Step::Submit(n) => {
                let job = self.job(host, *n)?;
                host.submit(job).await;
            }
            Step::Cancel(n) => {
                if let Some(id) = self.id(*n) {
                    let _ = host.engine.cancel(id).await;
                }
            }
            Step::Retry(n) => {
                if let Some(id) = self.id(*n) {
                    let _ = store.retry(id, now).await;
                }
            }
            Step::RetryDead => {
                let _ = store.retry_many(DeadLetters::default(), 3, now).await;
            }
            Step::PurgeDead => {
                let _ = store.purge(DeadLetters::default(), 1).await;
            }
            Step::SubmitFlow(n) => {
                let flow = self.flow(host, *n)?;
                host.submit_flow(flow).await;
            }
            Step::CancelFlow(n) => {
                if let Some(id) = self.flow_id(*n) {
                    let _ = host.engine.cancel_flow(id).await;
                }
            }
            Step::RetryFlow(n) => {
                if let Some(id) = self.flow_id(*n) {
                    let _ = store.retry_flow(id, now).await;
                }
            }
            Step::Schedule(n, turn) => {
                if let Some(wish) = self.script.schedules.get(*n) {
                    host.schedule(*n, wish, *turn).await;
                }
            }
            Step::Pause(kind, ms) => host.pause(Scope::Kind((*kind).to_owned()), *ms).await,
            Step::PauseClass(class, ms) => host.pause(Scope::Class((*class).to_owned()), *ms).await,
            Step::Resume(kind) => {
                let _ = store.resume(Scope::Kind((*kind).to_owned())).await;
            }
            Step::ResumeClass(class) => {
                let _ = store.resume(Scope::Class((*class).to_owned())).await;
            }
            Step::Pass(ms) => host.time.pass(*ms).await,
            Step::Sleep(ms) => host.time.jump(*ms),
            Step::Freeze(ms) => host.time.freeze(*ms).await,
            Step::SetBack(ms) => host.time.set_back(*ms),
            Step::Zombies => host.zombies().await,
        }
        Ok(())
    }

    fn id(&self, n: usize) -> Option<JobId> {
        self.jobs.get(n)?.as_ref().map(|job| job.id)
    }

    fn flow_id(&self, n: usize) -> Option<FlowId> {
        self.flows.get(n)?.as_ref().map(|flow| flow.id)
    }

    /// The flow of a wish: the same one, ids included, however often it is submitted.
    fn flow(&mut self, host: &Host, n: usize) -> Result<NewFlow, Failed> {
        let (Some(wish), Some(place)) = (self.script.flows.get(n), self.flows.get_mut(n)) else {
            return Err(Failed::Script(format!("there is no flow {n}")));
        };
        match place {
            Some(flow) => Ok(flow.clone()),
            None => Ok(place.insert(host.accept_flow(n, wish)?).clone()),
        }
    }

    /// The job of a wish: the same one, id included, however often it is submitted.
    fn job(&mut self, host: &Host, n: usize) -> Result<NewJob, Failed> {
        let (Some(wish), Some(place)) = (self.script.wishes.get(n), self.jobs.get_mut(n)) else {
            return Err(Failed::Script(format!("there is no wish {n}")));
        };
        match place {
            Some(job) => Ok(job.clone()),
            None => Ok(place.insert(host.accept(n, wish)?).clone()),
        }
    }
}

impl Host {
    fn body(&self, n: usize, wish: &Wish) -> Value {
        let run_at = self.time.now().plus_ms(wish.wait_ms);
        json!({
            "kind": wish.kind,
            "input": { "n": n, "key": wish.key },
            "priority": wish.priority,
            "run_at": run_at,
            "deadline": wish.deadline_ms.map(|ms| run_at.plus_ms(ms)),
            "callback": wish.has_callback.then_some("receiver"),
        })
    }

    fn accept(&self, n: usize, wish: &Wish) -> Result<NewJob, Failed> {
        let job = self.make(&self.body(n, wish).to_string())?;
        Ok(NewJob { idempotency_key: wish.key_of.map(|of| format!("key {of}")), ..job })
    }

    /// A job of the crowd: it works for a while.
    pub(crate) fn one_of_the_crowd(&self, kind: &str) -> Result<NewJob, Failed> {
        self.make(&json!({ "kind": kind, "priority": "urgent" }).to_string())
    }

    fn make(&self, body: &str) -> Result<NewJob, Failed> {
        let wrong = |why: String| Failed::Script(format!("{body}: {why}"));
        let submission: Submission =
            serde_json::from_str(body).map_err(|error| wrong(error.to_string()))?;
        let served = self.actors.served(&submission.kind);
        let served = served.ok_or_else(|| wrong("no such kind".into()))?;
        intake::accept(submission, &served, &*self.time, &*self.time)
            .map_err(|error| wrong(error.to_string()))
    }

    /// Lets every run write that was followed by another one. What comes of it is written down.
    async fn zombies(&self) {
        for run in self.log.so_far().superseded() {
            let at = self.time.now();
            let _ = self.store.set_loading(run, true, at).await;
            let _ = self.store.renew(&[run], at.plus_ms(LEASE_MS)).await;
            self.actors.write(run).await;
            let verdict = Verdict::Done { output: "{}".into() };
            let finish = Finish {
                verdict,
                at,
                plugin: None,
                usage: Usage::default(),
                log: Vec::new(),
                notices: Vec::new(),
            };
            let _ = self.store.finish(run, finish).await;
            let _ = self.store.release(run, at).await;
        }
    }

    /// Submits a job until it is answered.
    pub(crate) async fn submit(&self, job: NewJob) {
        while self.store.submit(job.clone()).await.is_err() {
            self.time.pass(1_000).await;
        }
    }

    /// Looks at all jobs, if the store can be read.
    pub(crate) async fn look(&self) -> Option<Vec<Seen>> {
        let filter = Filter { limit: LOOK_MAX, ..Filter::default() };
        let seen: Vec<Seen> = self.store.jobs(filter).await.ok()?.iter().map(seen).collect();
        self.log.note(Moment::Looked(seen.clone()));
        Some(seen)
    }
}

fn seen(job: &Job) -> Seen {
    Seen {
        id: job.id,
        class: job.class.clone(),
        state: job.state,
        is_parked: is_parked(job),
        waits: job.member.as_ref().map_or(0, |member| member.waits),
        fire: job.fire.clone(),
        deadline: job.deadline,
        finished_at: job.finished_at,
        attempt: job.attempt,
        attempts_max: job.attempts_max,
        losses: job.losses,
    }
}

/// No port shows it but by its reason.
fn is_parked(job: &Job) -> bool {
    let reason = job.reason.as_deref().unwrap_or_default();
    job.state == State::Blocked && reason.contains("concurrency key")
}
