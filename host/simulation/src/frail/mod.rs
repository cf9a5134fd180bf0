//! A store that stalls, fails, and dies with its host at any call. What is asked and answered is written down.

mod children;
mod flows;
mod kv;
mod outbox;
mod schedules;
mod spending;
mod store;

use std::{future::pending, sync::Arc};

use roughneck_jobs::ports::store::StoreError;

use crate::{
    Ports, Time,
    fuse::Fuse,
    history::{Answer, Request},
    log::Log,
    time::Standstill,
    trouble::Trouble,
};

/// A store of one life.
pub(crate) struct Frail {
    pub(crate) inner: Arc<dyn Ports>,
    pub(crate) has_threads: bool,
    pub(crate) fuse: Arc<Fuse>,
    pub(crate) log: Arc<Log>,
    pub(crate) time: Arc<Time>,
}

impl Frail {
    /// Makes a call, with the trouble that is drawn for it. In a dead host it never returns.
    async fn cross<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let trouble = if self.fuse.is_blown() { Trouble::CrashBefore } else { self.fuse.next() };
        match trouble {
            Trouble::None | Trouble::CrashAfter => {}
            Trouble::Stall(ms) => self.time.pass(ms).await,
            Trouble::Refuse => return Err(full()),
            Trouble::CrashBefore => self.fuse.blow(),
        }
        if self.fuse.is_blown() {
            return pending().await;
        }
        let answer = {
            let _under_way = self.fuse.enter();
            let _standstill = self.has_threads.then(Standstill::begin);
            call.await
        };
        if trouble == Trouble::CrashAfter {
            self.fuse.blow();
        }
        if self.fuse.is_blown() {
            return pending().await;
        }
        answer
    }

    /// Does so, and writes down what was asked and answered.
    async fn noted<T>(
        &self,
        request: Request,
        call: impl Future<Output = Result<T, StoreError>> + Send,
        answer: impl FnOnce(&T) -> Answer,
    ) -> Result<T, StoreError> {
        let number = self.log.ask(request);
        let result = self.cross(call).await;
        let answer = match &result {
            Ok(value) => answer(value),
            Err(StoreError::Fenced) => Answer::Fenced,
            Err(
                StoreError::Refused(_)
                | StoreError::NoSuchJob(_)
                | StoreError::NoSuchFlow(_)
                | StoreError::JobExists(_)
                | StoreError::Broken { .. }
                | StoreError::Full(_)
                | StoreError::DiskFull { .. }
                | StoreError::Closed
                | StoreError::Dead,
            ) => Answer::Unknown,
        };
        self.log.answer(number, answer);
        result
    }
}

fn full() -> StoreError {
    StoreError::Broken { doing: "do anything", source: "the disk is full".into() }
}
