//! The models of calls that nobody submits over HTTP: those of schedules, and of plugins.

use std::time::Duration;

use roughneck_jobs::{intake, job::NewJob, model::Resolved};

use crate::shared::Shared;

/// Nothing waits longer here for an Ollama that hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// The model of a call, if it can be found and may be asked. If not, the job is one of its kind's class, and the run says
/// what is wrong.
pub(crate) async fn model_of(shared: &Shared, job: &NewJob) -> Option<Resolved> {
    let found = shared.parts.llm.resolve(intake::called(job)?);
    tokio::time::timeout(PATIENCE, found).await.ok()?.ok()
}
