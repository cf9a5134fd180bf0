//! The memory of schedules.

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    ports::{
        schedules::{Created, Schedules, Settled, Settlement},
        store::StoreError,
    },
    schedule::{Kept, Pause, Spec},
};

use super::{Frail, store::wanted};
use crate::history::{Answer, Moment, Request};

#[async_trait]
impl Schedules for Frail {
    async fn schedules(&self) -> Result<Vec<Kept>, StoreError> {
        self.cross(self.inner.schedules()).await
    }

    async fn schedule(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        self.cross(self.inner.schedule(id)).await
    }

    async fn remember_schedule(
        &self,
        id: &str,
        timing: &str,
        now: Millis,
    ) -> Result<Kept, StoreError> {
        self.cross(self.inner.remember_schedule(id, timing, now)).await
    }

    async fn create_schedule(
        &self,
        spec: Spec,
        pause: Option<Pause>,
        at: Millis,
        max: u32,
    ) -> Result<Created, StoreError> {
        let made = Moment::Made(spec.clone(), at);
        let created = self.cross(self.inner.create_schedule(spec, pause, at, max)).await?;
        if created == Created::New {
            self.log.note(made);
        }
        Ok(created)
    }

    async fn change_schedule(&self, spec: Spec, at: Millis) -> Result<bool, StoreError> {
        self.log.note(Moment::Touched(spec.id.clone()));
        self.cross(self.inner.change_schedule(spec, at)).await
    }

    async fn delete_schedule(&self, id: &str) -> Result<bool, StoreError> {
        self.log.note(Moment::Touched(id.to_owned()));
        self.cross(self.inner.delete_schedule(id)).await
    }

    async fn pause_schedule(&self, id: &str, pause: Pause) -> Result<bool, StoreError> {
        self.log.note(Moment::Touched(id.to_owned()));
        self.cross(self.inner.pause_schedule(id, pause)).await
    }

    async fn resume_schedule(&self, id: &str, at: Millis) -> Result<bool, StoreError> {
        self.log.note(Moment::Touched(id.to_owned()));
        self.cross(self.inner.resume_schedule(id, at)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        let request = Request::Settle(settlement.jobs.iter().map(wanted).collect());
        self.noted(request, self.inner.settle(settlement), |it| match it {
            Settled::Submitted(jobs) => Answer::Accepted(jobs.clone()),
            Settled::Stale => Answer::Accepted(Vec::new()),
        })
        .await
    }

    async fn forget_fires(&self, until: Millis, limit: u32) -> Result<u32, StoreError> {
        self.cross(self.inner.forget_fires(until, limit)).await
    }
}
