//! The memory of schedules, in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    ports::{
        schedules::{Created, Schedules, Settled, Settlement},
        store::StoreError,
    },
    schedule::{Kept, Made, Pause, Spec},
};

use super::Host;

#[derive(Default)]
pub(crate) struct FakeSchedules {
    kept: Mutex<BTreeMap<String, Kept>>,
    is_full: AtomicBool,
}

impl FakeSchedules {
    pub(crate) fn made(&self, id: &str) -> Made {
        self.kept.lock().unwrap()[id].made.clone().unwrap()
    }

    /// There are as many as there may be.
    pub(crate) fn fill(&self) {
        self.is_full.store(true, Ordering::SeqCst);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Kept)) -> bool {
        self.kept.lock().unwrap().get_mut(id).map(change).is_some()
    }
}

impl Host {
    /// Makes a schedule that must be accepted.
    pub(crate) async fn make(&self, body: &str) {
        let response = self.send("POST", "/schedules", body.to_owned()).await;
        assert_eq!(response.status(), 201, "{body}");
    }
}

#[async_trait]
impl Schedules for FakeSchedules {
    async fn schedules(&self) -> Result<Vec<Kept>, StoreError> {
        Ok(self.kept.lock().unwrap().values().cloned().collect())
    }

    async fn schedule(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        Ok(self.kept.lock().unwrap().get(id).cloned())
    }

    async fn remember_schedule(
        &self,
        id: &str,
        timing: &str,
        now: Millis,
    ) -> Result<Kept, StoreError> {
        let kept = new(id, timing, now);
        self.kept.lock().unwrap().insert(id.to_owned(), kept.clone());
        Ok(kept)
    }

    async fn create_schedule(
        &self,
        spec: Spec,
        pause: Option<Pause>,
        at: Millis,
        _: u32,
    ) -> Result<Created, StoreError> {
        let mut kept = self.kept.lock().unwrap();
        if kept.contains_key(&spec.id) {
            return Ok(Created::Exists);
        }
        if self.is_full.load(Ordering::SeqCst) {
            return Ok(Created::Full);
        }
        let (id, timing) = (spec.id.clone(), spec.timing());
        let made = Some(Made { spec, created_at: at, changed_at: at });
        kept.insert(id.clone(), Kept { paused: pause, made, ..new(&id, &timing, at) });
        Ok(Created::New)
    }

    async fn change_schedule(&self, spec: Spec, at: Millis) -> Result<bool, StoreError> {
        let id = spec.id.clone();
        let made = Made { spec, created_at: at, changed_at: at };
        Ok(self.change(&id, |kept| kept.made = Some(made)))
    }

    async fn delete_schedule(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.kept.lock().unwrap().remove(id).is_some())
    }

    async fn pause_schedule(&self, id: &str, pause: Pause) -> Result<bool, StoreError> {
        Ok(self.change(id, |kept| kept.paused = Some(pause)))
    }

    async fn resume_schedule(&self, id: &str, _: Millis) -> Result<bool, StoreError> {
        Ok(self.change(id, |kept| kept.paused = None))
    }

    async fn settle(&self, _: Settlement) -> Result<Settled, StoreError> {
        unreachable!("the engine's")
    }

    async fn forget_fires(&self, _: Millis, _: u32) -> Result<u32, StoreError> {
        unreachable!("the engine's")
    }
}

fn new(id: &str, timing: &str, now: Millis) -> Kept {
    Kept {
        id: id.to_owned(),
        revision: 1,
        handled_up_to: now,
        timing: Some(timing.to_owned()),
        paused: None,
        last_fire: None,
        fires_missed: 0,
        fires_skipped: 0,
        made: None,
    }
}
