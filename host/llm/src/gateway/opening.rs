//! From a call that has its place in the queue to the first byte of its answer: the turn, the model,
//! the request.

use std::sync::Arc;

use reqwest::Response;
use roughneck_jobs::{
    model::{LlmError, Resolved},
    ports::{attended::Attended, gateway::CallRoute},
    priority::Priority,
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    asked::{Asked, Changes, Wish},
    keep_alive::KeepAlive,
    refused::Refused,
};
use crate::{
    broken::Broken,
    lane::Shared,
    load::{self, Loading, Wanted, Way},
    metrics::{Account, Phase},
    queue::{Ticket, Turn},
    runner_key::RunnerKey,
    stats::Measured,
};

/// Keeps a model for so long whose client wanted it to be unloaded while others wait for it, where the
/// operator has said nothing. JSON.
const KEEP_FOR_OTHERS: &str = "\"5m\"";

/// A call that waits for its turn.
pub(crate) struct Opening {
    pub(crate) shared: Arc<Shared>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) model: Resolved,
    pub(crate) key: RunnerKey,
    pub(crate) ticket: Ticket,
    pub(crate) priority: Priority,
    pub(crate) job: Arc<dyn Attended>,
}

/// A call that Ollama has begun to answer, whatever its status.
pub(crate) struct Opened {
    pub(crate) response: Response,
    pub(crate) turn: Turn,
    pub(crate) account: Account,
    pub(crate) measured: Measured,
    pub(crate) dispatched_at: Instant,
    /// Whether Ollama was told to unload the model after it.
    pub(crate) unloads: bool,
}

impl Opening {
    /// Waits for the turn, has the model loaded and sends the call.
    pub(crate) async fn run(self) -> Result<Opened, Refused> {
        let mut account = Account::open(Arc::clone(&self.shared.metrics));
        account.model(self.shared.inventory.label(&self.model.name));
        let (loading, said) = mpsc::unbounded_channel();
        let supervisor = self.job.supervisor();
        let (shared, asked) = (Arc::clone(&self.shared), Arc::clone(&self.asked));
        // Side by side: the store must not keep the turn.
        let (opened, ()) =
            tokio::join!(self.open(account, loading), load::tell(&*supervisor, said));
        opened.map_err(|broken| {
            shared.react(&broken.error);
            Refused::of(asked.route, &asked.model, &broken.error)
        })
    }

    async fn open(self, mut account: Account, loading: Loading) -> Result<Opened, Broken> {
        let Self { shared, asked, model, key, ticket, priority, job } = self;
        let queued_at = Instant::now();
        let turn = ticket.turn().await;
        let queue = queued_at.elapsed();
        shared.metrics.queue_wait(priority, queue);
        account.reach(Phase::Loading);
        job.begin();
        let sent = async {
            let wanted = Wanted { name: &model.name, key: &key, way: way(asked.route) };
            let (mut turn, load) = match asked.wish {
                Wish::Answer | Wish::Load => {
                    load::ensure_loaded(&shared, turn, wanted, &loading).await?
                }
                // It names no options, so a model that was loaded with some would be loaded anew first.
                Wish::Unload => (turn, None),
            };
            account.reach(Phase::Prefill);
            let (keep_alive, unloads) = keep_alive(&shared, &asked, &model.name, &key);
            let num_ctx = shared.config.pinned(&model.name);
            let body = asked.body(&Changes { model: &model.name, keep_alive, num_ctx });
            let dispatched_at = Instant::now();
            let path = asked.route.path();
            let response = shared.client.forward(path, body, asked.user_agent.as_deref()).await;
            let response = response.inspect_err(|_| turn.residency().doubt())?;
            let measured = Measured { queue, load, ..Measured::default() };
            Ok((response, turn, measured, dispatched_at, unloads))
        };
        match sent.await {
            Ok((response, turn, measured, dispatched_at, unloads)) => {
                Ok(Opened { response, turn, account, measured, dispatched_at, unloads })
            }
            Err(broken @ Broken { outcome, .. }) => {
                account.fail(outcome);
                Err(gone(broken, &model.name))
            }
        }
    }
}

/// A model that the inventory knows and Ollama does not has been deleted since the last look.
fn gone(broken: Broken, model: &str) -> Broken {
    match &broken.error {
        LlmError::Refused { status: 404, message } if message.contains("not found") => {
            let error = LlmError::NotInstalled { model: model.to_owned(), hint: String::new() };
            Broken { error, ..broken }
        }
        _ => broken,
    }
}

/// How the model of a route is loaded: one that embeds refuses to generate.
fn way(route: CallRoute) -> Way {
    if route.embeds() { Way::Embed } else { Way::Generate }
}

/// How long the model is to stay loaded, if not as the client says, and whether it is unloaded. A client
/// that wants it to be unloaded is heard only if nobody waits for it.
fn keep_alive(
    shared: &Shared,
    asked: &Asked,
    model: &str,
    key: &RunnerKey,
) -> (Option<String>, bool) {
    let operator = shared.config.keep_alive.as_deref();
    let operator = operator.map(|text| crate::request::keep_alive_value(text).to_string());
    match asked.keep_alive {
        Some(KeepAlive::Some) => (None, false),
        Some(KeepAlive::None) if shared.queue_of(asked.route, model).wants(key) => {
            (Some(operator.unwrap_or_else(|| KEEP_FOR_OTHERS.to_owned())), false)
        }
        Some(KeepAlive::None) => (None, true),
        None if asked.takes_keep_alive() => (operator, false),
        None => (None, false),
    }
}
