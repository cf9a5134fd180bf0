//! A model that a client wants unloaded. That asks nothing of the model, so it does not wait for the lane: it is done
//! at once, or, if others use the model or wait for it, not at all. A client may also want it unloaded after its call;
//! then the model stays if others wait for it when the call has its turn.

use std::time::Duration;

use bytes::Bytes;
use roughneck_jobs::{
    class::{Class, OLLAMA},
    model::{LlmError, Resolved},
    ports::gateway::{KEPT, Reply},
};

use super::{
    asked::Changes,
    exchange::{Call, Whole, read},
    flow::halted,
    form,
    outcome::{self, Answer, Ended},
    refused::Refused,
};
use crate::{
    broken::Broken, course::Course, lane::Shared, queue::Turn, runner_key::RunnerKey, stats::Cost,
};

/// A client waits for the store no longer, which answers in a millisecond if it is well.
const STORE_PATIENCE: Duration = Duration::from_millis(250);

/// So long it is believed what the store has said.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

pub(super) async fn unload(call: &Call, model: &Resolved, mut course: Course) -> Reply {
    let Call { shared, asked, job } = call;
    job.begin();
    let key = shared.inventory.key(model, &asked.options, asked.shift);
    // Before the look at who uses it: this may take as long as an inventory.
    if let Err(error) = shared.stays(model).await {
        return call.reply(Err(failed(call, model, &mut course, &error.into())));
    }
    let is_wanted = shared.is_wanted_by_jobs(&key).await;
    if is_wanted || !shared.may_unload(&key) {
        course.complete(&Cost::default());
        let body = form::unloaded(asked.route, &asked.model, &shared.now());
        let mut reply = call.reply(Ok(done(call, form::JSON.to_owned(), body)));
        reply.headers.push((KEPT, "true".to_owned()));
        return reply;
    }
    // If nobody has the turn, nobody gets it until Ollama has answered: the next one would find the model loaded.
    let mut vacant = shared.queue.vacant();
    shared.let_go(&key);
    let answered = tokio::select! {
        biased;
        halt = halted(job) => return call.refused(&Refused::halted(&halt)),
        answered = send(call, model) => answered,
    };
    let whole = match answered {
        Ok(Whole { status: 200..300, r#type, body }) => {
            course.complete(&Cost::default());
            Ok(done(call, r#type, body))
        }
        Ok(whole) => {
            call.turned_down(&mut course, vacant, whole.status, &whole.body);
            Ok(whole)
        }
        Err(broken) => {
            if let Some(turn) = &mut vacant {
                turn.went_wrong(&broken);
            }
            Err(failed(call, model, &mut course, &broken))
        }
    };
    call.reply(whole)
}

fn failed(call: &Call, model: &Resolved, course: &mut Course, broken: &Broken) -> Refused {
    let Call { shared, asked, .. } = call;
    shared.failed(course, model.site, broken);
    Refused::of(asked.route, &asked.model, &broken.error)
}

/// Ollama has nothing to do that takes long, so it is a small question: others may wait for the turn.
async fn send(call: &Call, model: &Resolved) -> Result<Whole, Broken> {
    let patience = call.shared.config.question_timeout;
    let answered = tokio::time::timeout(patience, answer(call, model, patience)).await;
    answered.unwrap_or_else(|_elapsed| Err(Broken::silent(patience)))
}

async fn answer(call: &Call, model: &Resolved, patience: Duration) -> Result<Whole, Broken> {
    let Call { shared, asked, .. } = call;
    let (keep_alive, num_ctx, answer_max) = (None, None, None);
    let body = asked.body(&Changes { model: &model.name, keep_alive, num_ctx, answer_max });
    let (path, user_agent) = (asked.route.path(), asked.user_agent.as_deref());
    let mut response = shared.client.forward(path, body, user_agent, patience).await?;
    let body = read(&mut response).await?;
    let status = response.status().as_u16();
    let r#type = response.content_type().unwrap_or(form::JSON).to_owned();
    response.done();
    Ok(Whole { status, r#type, body })
}

/// The job is over, and this is the answer.
fn done(call: &Call, r#type: String, body: Bytes) -> Whole {
    let ended = Ended { status: 200, reason: "unload", answer: Answer::None };
    call.job.end(outcome::done(&ended));
    Whole { status: 200, r#type, body }
}

/// Waits for the turn of a call after which the client wants the model unloaded. Meanwhile the store is asked now and
/// then whether jobs want it, so that nobody has the turn and waits for the store.
pub(super) async fn turn_of_one_who_unloads(
    shared: &Shared,
    key: &RunnerKey,
    turn: impl Future<Output = Result<Turn, LlmError>>,
    is_wanted: &mut bool,
) -> Result<Turn, LlmError> {
    tokio::pin!(turn);
    loop {
        let asks_again = async {
            tokio::time::sleep(BELIEVED_FOR).await;
            shared.is_wanted_by_jobs(key).await
        };
        tokio::select! {
            biased;
            turn = &mut turn => return turn,
            now = asks_again => *is_wanted = now,
        }
    }
}

impl Shared {
    /// Whether queued jobs ask for the model of this runner. If the store does not say so soon, nobody is known to.
    pub(super) async fn is_wanted_by_jobs(&self, key: &RunnerKey) -> bool {
        let (class, names) = (Class(OLLAMA.to_owned()), self.names_of(key));
        let asked = self.backlog.asks_for(&class, &names);
        match tokio::time::timeout(STORE_PATIENCE, asked).await {
            Ok(Ok(is_wanted)) => is_wanted,
            Ok(Err(error)) => {
                tracing::warn!(%error, "whether jobs want a model that is to be unloaded is not known");
                false
            }
            Err(_elapsed) => {
                tracing::warn!(
                    "the store is too slow to say whether jobs want a model that is to be unloaded"
                );
                false
            }
        }
    }

    /// Whether no call needs this runner.
    fn may_unload(&self, key: &RunnerKey) -> bool {
        [&self.queue, &self.embeddings].iter().all(|queue| !queue.wants(key) && !queue.serves(key))
    }

    /// The model of this runner is about to go.
    fn let_go(&self, key: &RunnerKey) {
        for queue in [&self.queue, &self.embeddings] {
            queue.let_go(key);
        }
    }
}
