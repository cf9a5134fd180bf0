//! The engine as the HTTP surface sees it, in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use roughneck_jobs::{
    event::Live,
    id::{FlowId, JobId},
    job::{Job, NewJob},
    ports::{
        attended::Attended,
        control::{Control, Watch},
        flows::CancelledFlow,
        store::{Cancelled, Store as _, StoreError},
    },
    state::State,
};
use tokio::sync::watch;

use super::{fake_attended::FakeAttended, fake_flows::FakeFlows, fakes::FakeStore};

pub(crate) struct FakeControl {
    store: Arc<FakeStore>,
    flows: Arc<FakeFlows>,
    live: Mutex<Option<Live>>,
    changes: watch::Sender<()>,
    is_stopping: AtomicBool,
    attended: Mutex<Vec<Arc<FakeAttended>>>,
    drafts: Mutex<BTreeMap<JobId, Job>>,
}

impl FakeControl {
    pub(crate) fn of(store: Arc<FakeStore>, flows: Arc<FakeFlows>) -> Self {
        let changes = watch::Sender::new(());
        let is_stopping = AtomicBool::new(false);
        let (live, attended, drafts) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { store, flows, live, changes, is_stopping, attended, drafts }
    }

    /// A job that the store does not know before it is asked for.
    pub(crate) fn draft(&self, job: Job) {
        self.drafts.lock().unwrap().insert(job.id, job);
    }

    /// How many jobs the store does not know.
    pub(crate) fn drafts(&self) -> usize {
        self.drafts.lock().unwrap().len()
    }

    /// The jobs whose submitters wait or waited, the oldest first.
    pub(crate) fn attended(&self) -> Vec<Arc<FakeAttended>> {
        self.attended.lock().unwrap().clone()
    }

    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
    }

    /// The job runs and shows this.
    pub(crate) fn show(&self, live: Live) {
        *self.live.lock().unwrap() = Some(live);
        self.ring();
    }

    /// The job's run writes more text.
    pub(crate) fn write(&self, piece: &str) {
        self.live.lock().unwrap().as_mut().unwrap().text.push_str(piece);
        self.ring();
    }

    /// The job no longer runs.
    pub(crate) fn hide(&self) {
        *self.live.lock().unwrap() = None;
        self.ring();
    }

    pub(crate) fn ring(&self) {
        self.changes.send_replace(());
    }

    pub(crate) fn watchers(&self) -> usize {
        self.changes.receiver_count()
    }
}

#[async_trait]
impl Control for FakeControl {
    async fn cancel(&self, id: JobId) -> Result<Cancelled, StoreError> {
        let job = self.store.job(id).await?.ok_or(StoreError::NoSuchJob(id))?;
        if job.state.is_terminal() {
            return Ok(Cancelled::Ended(job.state));
        }
        self.store.advance(id, State::Cancelled, job.attempt);
        Ok(Cancelled::Waiting)
    }

    async fn cancel_flow(&self, id: FlowId) -> Result<CancelledFlow, StoreError> {
        self.flows.cancel(id)
    }

    fn attend(&self, job: NewJob) -> Arc<dyn Attended> {
        let attended = FakeAttended::new(job);
        self.attended.lock().unwrap().push(Arc::clone(&attended));
        attended.submitter()
    }

    async fn written(&self, id: JobId) {
        if let Some(job) = self.drafts.lock().unwrap().remove(&id) {
            self.store.put(job);
        }
    }

    fn live(&self, _: JobId) -> Option<Live> {
        self.live.lock().unwrap().clone()
    }

    fn watch(&self, _: JobId) -> Box<dyn Watch> {
        Box::new(FakeWatch(self.changes.subscribe()))
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }
}

struct FakeWatch(watch::Receiver<()>);

#[async_trait]
impl Watch for FakeWatch {
    async fn changed(&mut self) {
        self.0.changed().await.unwrap();
    }
}
