//! Keeps a model for as long as the operator wants after calls that cannot say so. The routes of OpenAI's and
//! Anthropic's form have no field for it, so that Ollama's own time begins with the end of each of their calls.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::model::{Resolved, Site};
use tokio::time::Instant;

use super::{asked::Asked, opening};
use crate::{lane::Shared, load, runner_key::RunnerKey};

/// If nobody asks for anything for so long, nobody else will say how long the model is to stay.
const LULL: Duration = Duration::from_secs(1);

/// A call of this model is over, and its turn is given away.
pub(super) fn after(shared: &Arc<Shared>, asked: &Asked, model: &Resolved, key: &RunnerKey) {
    let is_kept = model.site == Site::Here && shared.config.keep_alive.is_some();
    if asked.has_options() || !is_kept {
        return;
    }
    let queue = shared.queue_of(asked.route, model).clone();
    // Whoever has the turn says it, or comes here after it.
    let Some(turns) = queue.quiet() else { return };
    let (shared, name, key) = (Arc::clone(shared), model.name.clone(), key.clone());
    let way = opening::way(asked.route);
    tokio::spawn(async move {
        tokio::time::sleep(LULL).await;
        if queue.quiet() != Some(turns) || !shared.circuit.admits() {
            return;
        }
        let Some(mut turn) = queue.vacant() else { return };
        if turn.residency().swap_for(&key).is_some() {
            // Somebody has unloaded it meanwhile. To keep it would be to load it.
            return;
        }
        turn.asks();
        match load::ask(&shared, &name, way, &key).await {
            Ok(()) => {
                turn.is_answered();
                turn.residency().confirm(Instant::now());
            }
            Err(broken) => {
                turn.went_wrong(&broken);
                shared.react(Site::Here, &broken.error);
                tracing::warn!(model = name, error = %broken.error, "Ollama was not told how long to keep a model");
            }
        }
    });
}
