//! The results that a job of a flow needs, put into its input.

use roughneck_jobs::{
    causes::Causes,
    failure::{Failure, code},
    flow::{Dependency, reference},
    job::Job,
    ports::runner::Outcome,
};
use tracing::error;

use crate::shared::Shared;

/// Reads what became of the jobs that `job` needs, and puts their results where its input refers to
/// them. They are read outside of the claim, which must not hold up the writer: a needed job is over,
/// and its result stands.
pub(crate) async fn fill(shared: &Shared, job: &mut Job) -> Result<Vec<Dependency>, Outcome> {
    if job.member.is_none() {
        return Ok(Vec::new());
    }
    let names = reference::names(&job.input).map_err(|wrong| {
        Outcome::Failed(Failure::fatal(code::DEPENDENCY_RESULT_MISSING, wrong.to_string()))
    })?;
    let needs = shared.parts.flows.dependencies(job.id, &names).await.map_err(|error| {
        error!(job = %job.id, error = %Causes(&error), "the results that job {} needs could not be read; trying again", job.id);
        Outcome::Postponed(Failure::retry(code::STORE_FAILED, "the results it needs could not be read"))
    })?;
    if !names.is_empty() {
        job.input = reference::resolve(&job.input, &needs).map_err(Outcome::Failed)?;
    }
    Ok(needs)
}
