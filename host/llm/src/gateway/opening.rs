//! From a call that has its place in the queue to the first byte of its answer: the turn, the model,
//! the request. It may come here again, if it gives way to an urgent call.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use roughneck_jobs::{
    model::{LlmError, Resolved, Site},
    ports::{attended::Attended, gateway::CallRoute},
    priority::Priority,
};
use tokio::time::Instant;

use super::{
    asked::{Asked, Changes, Wish},
    keep_alive::KeepAlive,
    refused::Refused,
    unload,
};
use crate::{
    broken::Broken,
    course::Course,
    lane::Shared,
    load::{self, Wanted, Way},
    metrics::Kept,
    queue::{Place, Ticket, Turn},
    response::Response,
    runner_key::RunnerKey,
    stand_in::StandIn,
    telling::{Said, Says},
};

/// Keeps a model for so long whose client wanted it to be unloaded while others wait for it, where the
/// operator has said nothing. JSON.
const KEEP_FOR_OTHERS: &str = "\"5m\"";

/// A call that is brought to Ollama, once or more often.
pub(crate) struct Opening {
    pub(crate) shared: Arc<Shared>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) model: Resolved,
    /// What it goes out by, if not by the model itself.
    pub(crate) stand_in: Option<Arc<StandIn>>,
    pub(crate) key: RunnerKey,
    /// Whether queued jobs want the model, as far as it is known, if the client wants it unloaded after the call.
    pub(crate) is_wanted: bool,
    pub(crate) priority: Priority,
    pub(crate) job: Arc<dyn Attended>,
    /// Where it says what it waits for.
    pub(crate) says: Says,
    pub(crate) course: Course,
    /// Its bytes, while it waits.
    pub(crate) kept: Option<Kept>,
    /// When it first found Ollama away, if it did.
    pub(crate) lost_at: Option<Instant>,
}

/// A call that Ollama has begun to answer, whatever its status.
pub(crate) struct Opened {
    pub(crate) response: Response,
    pub(crate) turn: Turn,
    /// With it the call can be made anew.
    pub(crate) opening: Opening,
}

/// Says how a call is to be weighed, and whether it gives way. One that is answered elsewhere is in nobody's way.
pub(super) fn prepare(course: &mut Course, shared: &Shared, asked: &Asked, model: &Resolved) {
    course.measured.two_passes = asked.has_format();
    let gives_way = shared.config.preempt && model.site == Site::Here;
    if gives_way && asked.wish == Wish::Answer && !asked.route.embeds() {
        course.may_give_way(asked.answer_max);
    }
}

impl Opening {
    /// Waits for the turn, has the model loaded and sends the call, as often as it must give way before
    /// its answer begins.
    pub(crate) async fn run(self, ticket: Ticket) -> Result<Opened, Refused> {
        let (shared, asked) = (Arc::clone(&self.shared), Arc::clone(&self.asked));
        let site = self.model.site;
        self.begin(ticket).await.map_err(|broken| {
            shared.react(site, &broken.error);
            Refused::of(asked.route, &asked.model, &broken.error)
        })
    }

    /// Makes the call anew. Whoever calls this has closed the connection to Ollama.
    pub(crate) async fn again(mut self, turn: Turn) -> Result<Opened, Refused> {
        self.job.supervisor().retract();
        let ticket = self.course.gave_way(turn);
        self.run(ticket).await
    }

    /// Whole frames of the answer, as they would be without a stand-in.
    pub(crate) fn unmasked(&self, answer: Bytes) -> Bytes {
        match &self.stand_in {
            Some(stand_in) => stand_in.unmasked(answer, self.asked.echoed(&self.model.name)),
            None => answer,
        }
    }

    /// The same for an answer that is an error.
    pub(crate) fn unmasked_words(&self, error: Bytes) -> Bytes {
        match &self.stand_in {
            Some(stand_in) => stand_in.unmasked_words(error, self.asked.echoed(&self.model.name)),
            None => error,
        }
    }

    async fn begin(mut self, mut ticket: Ticket) -> Result<Opened, Broken> {
        if self.course.is_again() {
            let _nobody_listens = self.says.send(Said::GaveWay);
        }
        loop {
            let sent = match self.turn(ticket).await {
                Ok(turn) => {
                    let place = turn.place();
                    self.send(turn).await.map_err(|broken| (broken, Some(place)))
                }
                Err(error) => Err((error.into(), None)),
            };
            let waits = match sent {
                Ok((Some(response), turn)) => {
                    self.lost_at = None;
                    return Ok(Opened { response, turn, opening: self });
                }
                Ok((None, turn)) => {
                    let _nobody_listens = self.says.send(Said::GaveWay);
                    Ok(self.course.gave_way(turn))
                }
                Err((broken, place)) => self.wait_for_ollama(broken, place).await,
            };
            match waits {
                Ok(again) => ticket = again,
                Err(broken) => {
                    if broken.is_free() {
                        self.course.refused();
                    }
                    self.course.fail(broken.outcome);
                    return Err(self.shared.missing(broken, &self.asked.model, &self.model));
                }
            }
        }
    }

    /// Has a call that Ollama was not sent, because it is away, wait again where it stood: for as long in all
    /// as a client waits. The turn is given away, and the lane is stopped.
    ///
    /// # Errors
    /// Why it must not.
    async fn wait_for_ollama(
        &mut self,
        broken: Broken,
        place: Option<Place>,
    ) -> Result<Ticket, Broken> {
        let (LlmError::Unavailable { .. }, Some(place)) = (&broken.error, place) else {
            return Err(broken);
        };
        self.lost_at.get_or_insert_with(Instant::now);
        let patience = self.patience();
        if patience.is_zero() {
            return Err(broken);
        }
        self.shared.react(self.model.site, &broken.error);
        let _nobody_listens = self.says.send(Said::Loading);
        self.course.was_not_sent();
        self.kept = Some(self.shared.metrics.kept(self.asked.bytes()));
        if !place.is_kept_back() {
            drop(self.shared.inventory.up_within(patience).await?);
        }
        Ok(place.again())
    }

    /// How much longer it waits for an Ollama that is away.
    fn patience(&self) -> Duration {
        let waited = self.lost_at.map(|at| at.elapsed()).unwrap_or_default();
        self.shared.away_patience(self.asked.origin).saturating_sub(waited)
    }

    async fn turn(&mut self, ticket: Ticket) -> Result<Turn, LlmError> {
        let queued_at = Instant::now();
        let kept = self.kept.take();
        let kept = kept.unwrap_or_else(|| self.shared.metrics.kept(self.asked.bytes()));
        let awaited = self.shared.inventory.awaited();
        let turn = ticket.turn_unless_ill(self.patience());
        let turn = if self.asked.unloads() && self.model.site == Site::Here {
            let (shared, key) = (&self.shared, &self.key);
            unload::turn_of_one_who_unloads(shared, key, turn, &mut self.is_wanted).await?
        } else {
            turn.await?
        };
        drop((kept, awaited));
        self.course.has_turn(self.priority, queued_at.elapsed());
        Ok(turn)
    }

    /// Has the model loaded and sends the call. There is no answer if it must give way.
    async fn send(&mut self, turn: Turn) -> Result<(Option<Response>, Turn), Broken> {
        let mut turn = self.loaded(turn).await?;
        let Self { shared, asked, model, key, is_wanted, .. } = self;
        let (keep_alive, unloads) = match model.site {
            Site::Here => {
                *is_wanted |= shared.queue_of(asked.route, model).wants(key);
                keep_alive(shared, asked, *is_wanted)
            }
            // Nothing is loaded that could be kept.
            Site::Cloud => (None, false),
        };
        let sent = self.dispatch(&mut turn, keep_alive).await;
        if unloads {
            // However the call ends: Ollama lets go of the model even if its client leaves.
            turn.residency().doubt();
        }
        let mut response = sent?;
        if self.loses_stand_in(response.as_ref()) {
            // Ollama loads the model with a context of its own.
            turn.residency().doubt();
            response = self.dispatch(&mut turn, None).await?;
        }
        turn.hears();
        Ok((response, turn))
    }

    /// Has the model loaded. Whether the call may still go there is asked before that, and once more behind it, because it
    /// may take minutes.
    async fn loaded(&mut self, mut turn: Turn) -> Result<Turn, Broken> {
        self.stays(&mut turn).await?;
        let is_again = self.course.is_again() || self.lost_at.is_some();
        let Self { shared, asked, model, key, job, says, course, .. } = self;
        if !is_again {
            job.begin();
        }
        let wanted = Wanted { name: &model.name, key, way: way(asked.route) };
        let (mut turn, load) = load::ensure_loaded(shared, turn, wanted, says).await?;
        course.loaded(load);
        self.stays(&mut turn).await?;
        if is_again {
            let _nobody_listens = self.says.send(Said::Ready);
        }
        Ok(turn)
    }

    /// Whether the call may still go where it has waited.
    async fn stays(&self, turn: &mut Turn) -> Result<(), Broken> {
        let stays = self.shared.stays(&self.model).await.map_err(Broken::from);
        stays.inspect_err(|broken| turn.went_wrong(broken))
    }

    /// Sends the call, whose model is loaded. None if it must give way.
    async fn dispatch(
        &mut self,
        turn: &mut Turn,
        keep_alive: Option<String>,
    ) -> Result<Option<Response>, Broken> {
        let Self { shared, asked, model, stand_in, course, .. } = self;
        let body = asked.body(&Changes {
            model: stand_in.as_ref().map_or(&model.name, |stand_in| stand_in.name()),
            keep_alive,
            num_ctx: shared.config.pin_of(model),
            answer_max: course.answer_max(),
        });
        course.dispatch(turn);
        if asked.comes_whole() {
            turn.expects_silence();
        }
        let (path, user_agent) = (asked.route.path(), asked.user_agent.as_deref());
        let sent = shared.client.forward(path, body, user_agent, asked.patience(&shared.config));
        let response = turn.unless_wanted(None, sent).await.transpose();
        response.inspect_err(|broken| turn.went_wrong(broken))
    }

    /// Whether somebody has deleted what stood in for the model. The call is then made without it: its client did not ask
    /// for it. The next call has it made anew.
    fn loses_stand_in(&mut self, response: Option<&Response>) -> bool {
        let is_gone = response.is_some_and(|response| response.status().as_u16() == 404);
        let Some(stand_in) = self.stand_in.take_if(|_| is_gone) else { return false };
        self.shared.stand_ins.forget(stand_in.name());
        self.shared.metrics.unpinned();
        true
    }
}

/// How the model of a route is loaded: one that embeds refuses to generate.
pub(super) fn way(route: CallRoute) -> Way {
    if route.embeds() { Way::Embed } else { Way::Generate }
}

/// How long the model is to stay loaded, if not as the client says, and whether it is unloaded. A client
/// that wants it to be unloaded is heard only if nobody waits for it.
fn keep_alive(shared: &Shared, asked: &Asked, is_wanted: bool) -> (Option<String>, bool) {
    let operator = shared.config.keep_alive.as_deref();
    let operator = operator.map(|text| crate::request::keep_alive_value(text).to_string());
    match asked.keep_alive {
        Some(KeepAlive::Some) => (None, false),
        Some(KeepAlive::None) if is_wanted => {
            (Some(operator.unwrap_or_else(|| KEEP_FOR_OTHERS.to_owned())), false)
        }
        Some(KeepAlive::None) => (None, true),
        None if asked.has_options() => (operator, false),
        None => (None, false),
    }
}
