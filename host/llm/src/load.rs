//! Loading a model: a request of the host's own, which no client can abort by leaving.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{model::LlmError, ports::runner::Supervisor};
use tokio::time::Instant;

use crate::{
    client::{root_cause, silent},
    lane::Shared,
    probe, request,
    residency::SwapReason,
    runner_key::RunnerKey,
    turn::Turn,
};

/// What is to be loaded, and why.
struct Load {
    name: String,
    key: RunnerKey,
    reason: SwapReason,
}

/// Makes sure that `key` is loaded under `name`. Returns the turn, and what the load took if there
/// was one.
pub(crate) async fn ensure_loaded(
    shared: &Arc<Shared>,
    mut turn: Turn,
    name: &str,
    key: &RunnerKey,
    supervisor: &dyn Supervisor,
) -> Result<(Turn, Option<Duration>), LlmError> {
    if turn.residency().is_doubtful(Instant::now()) {
        let loaded = probe::loaded(&shared.client).await?;
        turn.residency().observe(loaded, Instant::now());
    }
    let Some(reason) = turn.residency().swap_for(key) else { return Ok((turn, None)) };
    let load = Load { name: name.to_owned(), key: key.clone(), reason };
    // A task, so that the load goes on if the job is cancelled: closing the connection would make
    // Ollama throw minutes of work away that the next job may need. It keeps the turn until then.
    let task = tokio::spawn(run(Arc::clone(shared), turn, load));
    supervisor.loading(true).await;
    let ended = task.await;
    supervisor.loading(false).await;
    let stopped = |_| LlmError::BrokenOff("the load was stopped with the host".to_owned());
    ended.map_err(stopped)?.map(|(turn, took)| (turn, Some(took)))
}

async fn run(
    shared: Arc<Shared>,
    mut turn: Turn,
    load: Load,
) -> Result<(Turn, Duration), LlmError> {
    let began_at = Instant::now();
    // Until it is done nobody knows what is loaded.
    turn.residency().doubt();
    let keep_alive = shared.config.keep_alive.as_deref();
    let body = request::load(&load.name, load.key.options(), keep_alive)?;
    let patience = shared.config.first_byte;
    let answer = async {
        let mut response = shared.client.post("/api/generate", body).await?;
        let broke = |error| LlmError::BrokenOff(root_cause(&error));
        while response.chunk().await.map_err(broke)?.is_some() {}
        Ok(())
    };
    tokio::time::timeout(patience, answer).await.map_err(|_elapsed| silent(patience))??;
    let took = began_at.elapsed();
    shared.metrics.swap(load.reason, took);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(model = load.name, key = %load.key, took_ms, "Ollama has loaded a model");
    turn.residency().loaded(load.key, Instant::now());
    Ok((turn, took))
}
