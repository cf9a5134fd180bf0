//! A plugin's call, from its place in the queue to the beginning of its answer. It can be made anew.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use roughneck_jobs::{
    model::{Call, Delivery, LlmError, Resolved, Site},
    ports::{
        gateway::CallRoute,
        runner::{Standing, Supervisor},
    },
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    broken::Broken,
    course::Course,
    demand,
    frames::Framing,
    lane::Shared,
    load::{self, Way},
    metrics::Outcome,
    option::{self, NUM_PREDICT},
    queue::{Seat, Ticket, Turn},
    request, resolve,
    telling::{Said, Says},
    wire::Wire,
};

/// A call whose model is known.
pub(crate) struct Asking {
    pub(crate) shared: Arc<Shared>,
    pub(crate) supervisor: Arc<dyn Supervisor>,
    pub(crate) model: Resolved,
    pub(crate) delivery: Delivery,
    /// Tool calls in the conversation so far.
    pub(crate) tool_calls_before: usize,
    /// The model's name as the plugin wrote it.
    name: String,
    seat: Seat,
    body: Bytes,
}

impl Asking {
    /// Finds the model of a call, of which only its body stays: with pictures it may have megabytes.
    pub(crate) async fn read(
        shared: &Arc<Shared>,
        call: Call,
        supervisor: Arc<dyn Supervisor>,
        course: &mut Course,
    ) -> Result<Self, Broken> {
        let wanted = resolve::wanted(&shared.config.aliases, &call.model).checked()?;
        let models = match shared.inventory.models() {
            Some(models) => models,
            None => {
                // What may not be asked need not wait for Ollama.
                shared.admissible(wanted.unchecked())?;
                shared.inventory.refresh().await?
            }
        };
        let model = shared.installed(&wanted, &models).await?;
        course.account.model(shared.inventory.label(&model.name), model.site);
        let mut options = shared.config.with_pin(&model, &call.options);
        let demand = || demand::of_call(&call, &options);
        course.has(shared.budgets.reserve(&call.payer, &demand).map_err(LlmError::OverBudget)?);
        limit_answer(&mut options, course.answer_max());
        course.measured.two_passes = call.response_schema.is_some();
        if shared.config.preempt && model.site == Site::Here {
            course.may_give_way(option::tokens(options.get(NUM_PREDICT)));
        }
        let keep_alive = shared.config.keep_alive.as_deref().filter(|_| model.site == Site::Here);
        let body = request::chat(&call, &options, &model.name, keep_alive)?.into();
        let key = shared.inventory.key(&model, &options, None);
        Ok(Self {
            shared: Arc::clone(shared),
            supervisor,
            seat: Seat { key, rank: call.rank, priority: call.priority },
            model,
            delivery: call.delivery,
            tool_calls_before: call.messages.iter().map(|it| it.tool_calls.len()).sum(),
            name: call.model,
            body,
        })
    }

    pub(crate) fn line_up(&self) -> Result<Ticket, Broken> {
        let lined_up =
            self.shared.queue_of(CallRoute::Chat, &self.model).line_up(self.seat.clone());
        Ok(lined_up.map_err(LlmError::from)?)
    }

    /// Waits for the turn, has the model loaded and sends the call, as often as it must give way before
    /// its answer begins.
    pub(crate) async fn begin(
        &self,
        mut ticket: Ticket,
        says: &Says,
        course: &mut Course,
    ) -> Result<Wire, Broken> {
        loop {
            let mut turn = self.turn(ticket, says, course).await?;
            course.dispatch(&mut turn);
            let sent = self.shared.client.post("/api/chat", self.body.clone());
            match turn.unless_wanted(None, sent).await {
                Some(Ok(response)) => {
                    turn.hears();
                    return Ok(Wire::of(response, turn, Framing::Lines));
                }
                Some(Err(broken)) => {
                    turn.went_wrong(&broken);
                    if broken.is_free() {
                        course.refused();
                    }
                    return Err(self.missing(broken));
                }
                None => ticket = give_way(turn, says, course),
            }
        }
    }

    /// The turn, with the model loaded.
    async fn turn(&self, ticket: Ticket, says: &Says, course: &mut Course) -> Result<Turn, Broken> {
        let queued_at = Instant::now();
        let kept = self.shared.metrics.kept(self.body.len());
        // The job of the call waits in the store for an Ollama that is ill.
        let mut turn = ticket.turn_unless_ill(Duration::ZERO).await?;
        drop(kept);
        course.has_turn(self.seat.priority, queued_at.elapsed());

        self.may_go_on(&mut turn).await?;
        let name = &self.model.name;
        let wanted = load::Wanted { name, key: &self.seat.key, way: Way::Generate };
        let loaded = load::ensure_loaded(&self.shared, turn, wanted, says).await;
        let (mut turn, load): (Turn, Option<Duration>) =
            loaded.map_err(|broken| self.missing(self.unless_barred(broken)))?;
        course.loaded(load);
        self.may_go_on(&mut turn).await?;
        if course.is_again() {
            let _nobody_listens = says.send(Said::Ready);
        }
        Ok(turn)
    }

    fn missing(&self, broken: Broken) -> Broken {
        self.shared.missing(broken, &self.name, &self.model)
    }

    /// A job waits for a model that Ollama is not asked to load at present, as it waits for an Ollama that is ill.
    fn unless_barred(&self, broken: Broken) -> Broken {
        match self.shared.circuit.barred(self.seat.key.model()) {
            Some(error) => {
                let why = format!("it cannot load the model `{}`: {error}", self.model.name);
                let url = self.shared.client.shown().to_owned();
                Broken { error: LlmError::Unwell { url, why }, ..broken }
            }
            None => broken,
        }
    }

    /// Whether a run that has waited may still have a model loaded and its call sent.
    async fn may_go_on(&self, turn: &mut Turn) -> Result<(), Broken> {
        let stays = self.shared.stays(&self.model).await.map_err(Broken::from);
        stays.inspect_err(|broken| turn.went_wrong(broken))?;
        let why = match self.supervisor.confirmed().await {
            Standing::Held | Standing::Stopping => return Ok(()),
            Standing::Cancelled => "the job was cancelled while it waited for its model",
            Standing::Fenced => "this run lost its job while it waited for its model",
            Standing::Overdue => "the deadline of the job passed while it waited for its model",
        };
        Err(Broken { outcome: Outcome::Cancelled, error: LlmError::Invalid(why.to_owned()) })
    }
}

/// Has an answer end where its reservation does, if nothing else ends it.
fn limit_answer(options: &mut Cow<'_, Map<String, Value>>, answer_max: Option<u64>) {
    if let Some(tokens) = answer_max
        && option::tokens(options.get(NUM_PREDICT)).is_none()
    {
        options.to_mut().insert(NUM_PREDICT.to_owned(), tokens.into());
    }
}

/// Gives the turn away. Whoever calls this has closed the connection to Ollama.
pub(crate) fn give_way(turn: Turn, says: &Says, course: &mut Course) -> Ticket {
    let _nobody_listens = says.send(Said::GaveWay);
    course.gave_way(turn)
}
