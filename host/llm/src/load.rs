//! Loading a model: a request of the host's own, which no client can abort by leaving.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::model::Site;
use tokio::time::Instant;

use crate::{
    broken::Broken,
    lane::Shared,
    metrics::Outcome,
    queue::Turn,
    request,
    runner_key::RunnerKey,
    swap::Swap,
    telling::{Said, Says},
};

/// The route by which a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As one that generates.
    Generate,
    /// As one that embeds: some of them refuse to generate.
    Embed,
}

/// What is to be loaded.
pub(crate) struct Wanted<'a> {
    /// The name that Ollama knows.
    pub(crate) name: &'a str,
    pub(crate) key: &'a RunnerKey,
    pub(crate) way: Way,
}

/// What is to be loaded, and why.
struct Load {
    name: String,
    key: RunnerKey,
    way: Way,
    swap: Swap,
}

/// Makes sure that a model is loaded, if it is one of this machine. Returns the turn, and what the load took if there
/// was one. A model that Ollama fails to load is not tried each time: that would put the loaded one out.
pub(crate) async fn ensure_loaded(
    shared: &Arc<Shared>,
    mut turn: Turn,
    wanted: Wanted<'_>,
    says: &Says,
) -> Result<(Turn, Option<Duration>), Broken> {
    match turn.site() {
        Site::Here => {}
        Site::Cloud => return Ok((turn, None)),
    }
    if turn.residency().is_doubtful(Instant::now()) {
        let running = shared.inventory.running().await.map_err(Broken::from);
        let running = running.inspect_err(|broken| turn.went_wrong(broken))?;
        let loaded = running.into_iter().map(|running| running.loaded).collect();
        turn.residency().observe(loaded, Instant::now());
    }
    let Wanted { name, key, way } = wanted;
    let Some(swap) = turn.residency().swap_for(key) else { return Ok((turn, None)) };
    if let Some(error) = turn.barred() {
        return Err(error.into());
    }
    let load = Load { name: name.to_owned(), key: key.clone(), way, swap };
    // A task, so that the load goes on if the job is cancelled: closing the connection would make
    // Ollama throw minutes of work away that the next job may need. It keeps the turn until then.
    let task = tokio::spawn(run(Arc::clone(shared), turn, load));
    let _nobody_listens = says.send(Said::Loading);
    let ended = task.await;
    let _nobody_listens = says.send(Said::Ready);
    let stopped = |_| Broken::off(Outcome::Cancelled, "the load was stopped with the host");
    ended.map_err(stopped)?.map(|(turn, took)| (turn, Some(took)))
}

async fn run(shared: Arc<Shared>, mut turn: Turn, load: Load) -> Result<(Turn, Duration), Broken> {
    let began_at = Instant::now();
    // Until it is done nobody knows what is loaded.
    turn.residency().doubt();
    turn.asks();
    let asked = ask(&shared, &load.name, load.way, &load.key).await;
    asked.inspect_err(|broken| {
        tracing::warn!(model = load.name, error = %broken.error, "Ollama has not loaded a model");
        turn.load_went_wrong(broken);
    })?;
    let took = began_at.elapsed();
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(model = load.name, key = %load.key, took_ms, "Ollama has loaded a model");
    turn.loaded(&load.name, load.key, load.swap, took);
    shared.stirred.notify_one();
    Ok((turn, took))
}

/// Asks Ollama to load a model and to keep it for as long as the operator wants. If it is loaded, the time begins anew.
pub(crate) async fn ask(
    shared: &Shared,
    name: &str,
    way: Way,
    key: &RunnerKey,
) -> Result<(), Broken> {
    let keep_alive = shared.config.keep_alive.as_deref();
    let body = request::load(name, way, key, keep_alive)?;
    let path = match way {
        Way::Generate => "/api/generate",
        Way::Embed => "/api/embed",
    };
    let patience = shared.config.first_byte;
    let answer = async {
        let response = shared.client.post(path, body).await?;
        response.finish().await.map_err(|cut| Broken::cut(&cut))
    };
    let answered = tokio::time::timeout(patience, answer).await;
    answered.unwrap_or_else(|_elapsed| Err(Broken::silent(patience)))
}
