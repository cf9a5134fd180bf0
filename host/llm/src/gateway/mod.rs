//! Ollama's own surface: what its clients send is queued, ordered, and passed on byte by byte.
//!
//! To follow one call: `asked` reads it, `exchange` runs it, `opening` brings it to Ollama, `flow` brings
//! the answer back, and `reading` learns from what passes by. `form` knows how the three surfaces say that
//! something is wrong, `objection` what Ollama would refuse anyway. What does not need a model is in `passage`; of that, `errands` does what changes the
//! models, one thing at a time for each of them.

mod asked;
mod completion;
mod envelope;
mod errand;
mod errands;
mod exchange;
mod flow;
mod form;
mod gathered;
pub(crate) mod keep_alive;
mod keeping;
mod lists;
mod objection;
mod opening;
mod outcome;
mod passage;
mod questions;
mod readers;
mod reading;
mod refused;
mod unload;

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use roughneck_jobs::{
    budget::{Demand, OverBudget},
    model::{LlmError, Resolved, Site},
    ports::{
        budgets::{Free, Reservation},
        gateway::{self, Admitted, CallRoute, ClientCall, Form, Gateway, Origin, Passage, Reply},
    },
    priority::Priority,
};
use serde_json::{Map, Value};

use crate::{
    course::Course,
    lane::{Lane, Shared},
    metrics::{Account, Asker, Kept, Outcome},
    model_name,
    queue::{Outside, Queue},
    resolve,
    stand_in::{self, StandIn},
};
use asked::{Asked, Wish};
use envelope::Envelope;
pub(crate) use errands::Errands;
use exchange::Exchange;
pub(crate) use questions::Questions;
pub(crate) use readers::Readers;
use refused::Refused;

/// A call with its model and its tokens.
struct Granted {
    asked: Asked,
    model: Resolved,
    /// What it goes out by, if not by the model itself.
    stand_in: Option<Arc<StandIn>>,
    reserved: Box<dyn Reservation>,
    waits: Waits,
}

/// What is counted of a call that waits.
struct Waits {
    kept: Kept,
    /// Its place outside, if it could not line up at once: its place in the line takes its room.
    outside: Option<Outside>,
}

/// Why there is none, for the client and for the metrics.
type Denied = (Refused, Outcome);

#[async_trait]
impl Gateway for Lane {
    async fn admit(&self, call: ClientCall) -> Result<Box<dyn Admitted>, Reply> {
        let route = call.route;
        let shared = Arc::clone(&self.shared);
        let asker = Asker::caller(call.origin, call.caller.as_deref(), &shared.config.callers);
        let mut account = Account::open(Arc::clone(&shared.metrics), asker, route);
        match shared.admit(call, &mut account).await {
            Ok(Granted { asked, model, stand_in, reserved, waits }) => {
                let mut course = Course::open(account);
                course.has(reserved);
                opening::prepare(&mut course, &shared, &asked, &model);
                let asked = Arc::new(asked);
                Ok(Box::new(Exchange { shared, asked, model, stand_in, course, waits }))
            }
            Err((refused, outcome)) => {
                account.fail(outcome);
                Err(refused.reply(route, shared.clock.now()))
            }
        }
    }

    fn forbids(&self, input: &str) -> Option<String> {
        let (route, body) = gateway::call_of(input)?;
        let envelope = Envelope::read(Bytes::copy_from_slice(body.get().as_bytes())).ok()?;
        let searches = !self.shared.config.cloud && objection::searches_the_web(route, &envelope);
        searches.then(|| objection::SEARCH_IS_OFF.to_owned())
    }

    async fn pass(&self, passage: Passage) -> Reply {
        passage::pass(&self.shared, passage).await
    }

    fn completion(&self, result: &str) -> Option<String> {
        completion::of(result)
    }

    fn refusal(&self, form: Form, status: u16, message: &str) -> Reply {
        form::refusal(form, status, message)
    }
}

impl Waits {
    /// Waits outside from now on. The priority of a call is told when it lines up; this is what it has unless
    /// it says otherwise.
    fn outside(&mut self, queue: &Queue, origin: Origin) -> Result<(), LlmError> {
        let priority = match origin {
            Origin::Client => Priority::HIGH,
            Origin::Job => Priority::NORMAL,
        };
        if self.outside.is_none() {
            self.outside = Some(queue.wait_outside(priority)?);
        }
        Ok(())
    }
}

impl Shared {
    /// The installed model that is meant. While Ollama is away this waits for it for a while: a restart is no
    /// reason to refuse anybody. Whoever waits, be it for a second look, waits outside; for whom there is no room, what is
    /// known must do.
    async fn meant(&self, asked: &Asked, waits: &mut Waits) -> Result<Resolved, LlmError> {
        let wanted = resolve::wanted(&self.config.aliases, &asked.model).checked()?;
        let models = match self.inventory.models() {
            Some(models) => models,
            None => {
                // What may not be asked need not wait for Ollama.
                let unchecked = self.admissible(wanted.unchecked())?;
                waits.outside(self.queue_of(asked.route, &unchecked), asked.origin)?;
                self.inventory.up_within(self.away_patience(asked.origin)).await?
            }
        };
        if let Err(refusal) = wanted.among(&models) {
            let queue = self.queue_of(asked.route, &wanted.unchecked());
            waits.outside(queue, asked.origin).map_err(|_full| refusal)?;
        }
        self.installed(&wanted, &models).await
    }

    /// How long a call waits for an Ollama that is away. A job waits in the store, where it keeps no slot from others.
    fn away_patience(&self, origin: Origin) -> Duration {
        match origin {
            Origin::Client => self.config.away_patience,
            Origin::Job => Duration::ZERO,
        }
    }

    /// Reads a call, looks for its model and reserves its tokens.
    async fn admit(
        self: &Arc<Self>,
        call: ClientCall,
        account: &mut Account,
    ) -> Result<Granted, Denied> {
        let route = call.route;
        let invalid = |why: String| (Refused::invalid(why), Outcome::Rejected);
        let asked = Asked::read(call).map_err(|refused| (refused, Outcome::Rejected))?;
        if !self.config.cloud && asked.searches_the_web() {
            return Err((Refused::cloud_disabled(objection::SEARCH_IS_OFF), Outcome::Rejected));
        }
        let failed =
            |error: LlmError| (Refused::of(route, &asked.model, &error), Outcome::of(&error));
        let kept = self.metrics.kept_within(asked.bytes(), self.config.waiting_bytes_max);
        let kept = kept.ok_or_else(|| (Refused::full(), Outcome::Rejected))?;
        let mut waits = Waits { kept, outside: None };
        let model = self.meant(&asked, &mut waits).await.map_err(failed)?;
        account.model(self.inventory.label(&model.name), model.site);
        if let Some(why) = self.objection(&asked, &model, &mut waits).await {
            return Err(invalid(why));
        }
        // Before its answer is begun, so that what is wrong can still be said by a status.
        let queue = self.queue_of(route, &model);
        if !queue.is_well() {
            waits.outside(queue, asked.origin).map_err(failed)?;
            queue.well_within(self.away_patience(asked.origin)).await.map_err(failed)?;
        }
        // Before it has its turn, which nobody should wait for meanwhile.
        let stand_in = if asked.has_options() { None } else { stand_in::of(self, &model).await };
        let options = || self.options(&asked, &model, stand_in.as_deref());
        let reserved = self.reserve(&asked, &|| asked.demand(&options()));
        let over = |over| (Refused::over_budget(over), Outcome::Rejected);
        let reserved = reserved.map_err(over)?;
        Ok(Granted { asked, model, stand_in, reserved, waits })
    }

    /// Reserves the tokens of a call. What asks nothing of its model costs none.
    fn reserve(
        &self,
        asked: &Asked,
        demand: &dyn Fn() -> Demand,
    ) -> Result<Box<dyn Reservation>, OverBudget> {
        match asked.wish {
            Wish::Answer => self.budgets.reserve(&asked.payer, demand),
            Wish::Load | Wish::Unload => Ok(Box::new(Free)),
        }
    }

    /// The options that a call goes out with, be it by those of what stands in for its model.
    fn options<'a>(
        &self,
        asked: &'a Asked,
        model: &Resolved,
        stand_in: Option<&StandIn>,
    ) -> Cow<'a, Map<String, Value>> {
        if asked.can_pin() || stand_in.is_some() {
            self.config.with_pin(model, &asked.options)
        } else {
            Cow::Borrowed(&asked.options)
        }
    }

    /// Where a call waits: in the lane, or, for an embedding by the embedder that Ollama has room for beside
    /// what is loaded, where other embeddings do. A question of milliseconds need not stand behind minutes. Nor need one that
    /// is answered elsewhere stand behind any that need this machine.
    pub(crate) fn queue_of(&self, route: CallRoute, model: &Resolved) -> &Queue {
        let embedder = self.config.embedder.as_deref().filter(|_| route.embeds());
        let is_embedder =
            || embedder.is_some_and(|embedder| model_name::is_same(embedder, &model.name));
        match model.site {
            Site::Cloud => &self.cloud,
            Site::Here if is_embedder() => &self.embeddings,
            Site::Here => &self.queue,
        }
    }

    /// Now, as Ollama writes it.
    fn now(&self) -> String {
        jiff::Timestamp::from_millisecond(self.clock.now().0).unwrap_or_default().to_string()
    }
}
