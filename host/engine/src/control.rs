//! The engine as the HTTP surface sees it.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    event::Live,
    id::{FlowId, JobId},
    job::NewJob,
    ports::{
        attended::Attended,
        control::{Control, Watch},
        flows::CancelledFlow,
        runner::Standing,
        store::{Cancelled, StoreError},
    },
};

use crate::{Engine, attended};

#[async_trait]
impl Control for Engine {
    async fn cancel(&self, id: JobId) -> Result<Cancelled, StoreError> {
        let parts = &self.shared.parts;
        let attended = attended::written(&self.shared, id).await;
        let cancelled = parts.store.cancel(id, parts.clock.now()).await?;
        match &cancelled {
            // The store has fenced the run already; this stops the guest and its host calls.
            Cancelled::Running(run) => self.shared.runs.abort(*run, Standing::Cancelled),
            Cancelled::Waiting => {
                if let Some(attended) = attended {
                    attended.abort(Standing::Cancelled);
                }
            }
            Cancelled::Ended(_) => {}
        }
        Ok(cancelled)
    }

    async fn cancel_flow(&self, id: FlowId) -> Result<CancelledFlow, StoreError> {
        let parts = &self.shared.parts;
        let cancelled = parts.flows.cancel_flow(id, parts.clock.now()).await?;
        for run in &cancelled.runs {
            self.shared.runs.abort(*run, Standing::Cancelled);
        }
        Ok(cancelled)
    }

    fn attend(&self, job: NewJob) -> Arc<dyn Attended> {
        attended::attend(&self.shared, job)
    }

    async fn written(&self, id: JobId) {
        attended::written(&self.shared, id).await;
    }

    fn live(&self, id: JobId) -> Option<Live> {
        self.shared.runs.of(id).map(|record| record.live())
    }

    fn watch(&self, id: JobId) -> Box<dyn Watch> {
        Box::new(self.shared.parts.bells.watch(id))
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.is_cancelled()
    }
}
