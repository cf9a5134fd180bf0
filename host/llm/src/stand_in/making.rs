//! Has Ollama make a stand-in when the first call needs it.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::model::LlmError;
use serde_json::json;
use tokio::time::Instant;

use super::{StandIn, Standing, keeper};
use crate::{client::Client, lane::Shared, modelfile, report};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error(transparent)]
    Asked(#[from] LlmError),
    #[error("what it makes of it differs in more than its context")]
    Differs,
}

impl Unmade {
    /// For how long Ollama is not asked again. Where it says nothing, every call would wait for it in vain.
    fn stays_for(&self) -> Duration {
        match self {
            Self::Differs | Self::Asked(LlmError::Refused { .. }) => Duration::from_secs(300),
            Self::Asked(_) => Duration::from_secs(10),
        }
    }
}

/// The stand-in, made if it is not there. In a task of its own: a client that leaves must not stop Ollama half way.
pub(super) async fn made(
    shared: &Arc<Shared>,
    stand_in: StandIn,
    num_ctx: u64,
) -> Option<Arc<StandIn>> {
    let task = tokio::spawn(one_at_a_time(Arc::clone(shared), stand_in, num_ctx));
    // It ends otherwise only with the host.
    task.await.ok().flatten()
}

async fn one_at_a_time(
    shared: Arc<Shared>,
    stand_in: StandIn,
    num_ctx: u64,
) -> Option<Arc<StandIn>> {
    let stand_ins = &shared.stand_ins;
    let making = stand_ins.making(&stand_in.name);
    let _one = making.lock().await;
    let before = stand_ins.standing(&stand_in.name);
    match &before {
        Some(Standing::Ready(ready)) => return Some(Arc::clone(ready)),
        Some(Standing::Missing { until, .. }) if *until > Instant::now() => return None,
        Some(Standing::Missing { .. }) | None => {}
    }
    let (name, of) = (stand_in.name.clone(), stand_in.of.clone());
    let standing = match make(&shared, &stand_in, num_ctx).await {
        Ok(()) => {
            tracing::info!(model = of, stand_in = name, num_ctx, "calls of /v1 keep their pin");
            Standing::Ready(Arc::new(stand_in))
        }
        Err(unmade) => {
            let why = unmade.to_string();
            if !matches!(&before, Some(Standing::Missing { why: told, .. }) if *told == why) {
                tracing::warn!(
                    model = of,
                    num_ctx,
                    "calls of /v1 to the model `{of}` go out without the context that is pinned for it, because Ollama \
                     has no model to stand in for it: {why}"
                );
            }
            Standing::Missing { until: Instant::now() + unmade.stays_for(), why }
        }
    };
    stand_ins.lock().insert(name, standing.clone());
    match standing {
        Standing::Ready(ready) => Some(ready),
        Standing::Missing { .. } => None,
    }
}

/// Makes it unless an earlier host has, and makes sure of what it is.
async fn make(shared: &Shared, stand_in: &StandIn, num_ctx: u64) -> Result<(), Unmade> {
    let StandIn { name, of } = stand_in;
    let client = &shared.client;
    // First, because Ollama would pull a model that has been deleted in the meantime.
    let base = report::show(client, of).await?;
    let made = match report::show(client, name).await {
        Err(LlmError::Refused { status: 404, .. }) => {
            create(client, stand_in, num_ctx).await?;
            // So that it is known to be no client's.
            shared.inventory.suspect();
            report::show(client, name).await?
        }
        shown => shown?,
    };
    if modelfile::has_only_context(&base.modelfile, &made.modelfile, num_ctx) {
        return Ok(());
    }
    keeper::delete(client, name).await?;
    Err(Unmade::Differs)
}

/// Has Ollama make it of its model, with this context.
async fn create(client: &Client, stand_in: &StandIn, num_ctx: u64) -> Result<(), LlmError> {
    let StandIn { name, of } = stand_in;
    let parameters = json!({"num_ctx": num_ctx});
    let body = json!({"model": name, "from": of, "parameters": parameters, "stream": false});
    client.ask("POST", "/api/create", &body).await.map(drop)
}
