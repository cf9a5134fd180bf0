//! The models of calls that nobody submits over HTTP: those of schedules, and of plugins.

use std::time::Duration;

use roughneck_jobs::{intake, job::NewJob, model::Resolved};
use tokio::time::Instant;

use crate::shared::Shared;

/// How much longer somebody waits for an Ollama that hangs, over all calls that are placed one after the other.
pub(crate) struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(Duration::from_secs(2))
    }
}

impl Patience {
    /// The model of a call, if it can be found and may be asked. If not, the job is one of its kind's class, and the run
    /// says what is wrong.
    pub(crate) async fn model_of(&mut self, shared: &Shared, job: &NewJob) -> Option<Resolved> {
        let found = shared.parts.llm.resolve(intake::called(job)?);
        let began = Instant::now();
        // Without any patience left, whatever is known at once is still found.
        let found = tokio::time::timeout(self.0, found).await;
        self.0 = self.0.saturating_sub(began.elapsed());
        found.ok()?.ok()
    }
}
