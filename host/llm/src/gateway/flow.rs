//! An answer on its way from Ollama to a client: nothing is held back that has arrived whole, and
//! nothing is read that the client does not take.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use roughneck_jobs::{
    budget::OverBudget,
    ports::attended::{Attended, Halt},
};
use tokio::time::Instant;

use super::{
    asked::Asked,
    gathered::Gathered,
    keeping,
    opening::{Opened, Opening},
    outcome::{self, Answer, Ended, Words},
    reading::{self, Said, Script},
    refused::Refused,
};
use crate::{
    broken::Broken,
    lane::Shared,
    metrics,
    queue::Turn,
    stats::Figures,
    wire::{Heard, Wire},
};

/// The rest of an answer. Dropping it closes the connection to Ollama, which stops the generation, and
/// lets the next call go.
pub(crate) struct Flow {
    shared: Arc<Shared>,
    asked: Arc<Asked>,
    job: Arc<dyn Attended>,
    halted: BoxFuture<'static, Halt>,
    /// None once the answer is over.
    wire: Option<Wire>,
    opening: Opening,
    /// The turn to be given away, if the answer must be begun anew.
    wanted: Option<Turn>,
    last_token_at: Option<Instant>,
    script: Script,
    /// Why the answer is over, while what came before that is on its way to the client.
    stop: Option<Stop>,
    figures: Figures,
    reason: String,
    /// What is kept of what was said.
    words: Words,
    /// The answer as far as it has come, if its client gets it whole.
    gathered: Option<Gathered>,
}

impl Flow {
    pub(crate) fn new(opened: Opened) -> Self {
        let Opened { response, turn, opening } = opened;
        let Opening { shared, asked, job, .. } = &opening;
        let (shared, asked, job) = (Arc::clone(shared), Arc::clone(asked), Arc::clone(job));
        let script = Script::of(asked.route);
        let words = Words::of(shared.config.record);
        Self {
            halted: halted(&job),
            wire: Some(Wire::of(response, turn, script.framing())),
            opening,
            wanted: None,
            last_token_at: None,
            script,
            stop: None,
            figures: Figures::default(),
            reason: String::new(),
            words,
            gathered: None,
            shared,
            asked,
            job,
        }
    }

    /// One whose answer is put together. A client is passed on what cannot be read; here it would be missing.
    pub(crate) fn gathering(opened: Opened) -> Self {
        Self { gathered: Some(Gathered::default()), ..Self::new(opened) }
    }

    /// What was put together.
    pub(crate) fn gathered(&mut self) -> Gathered {
        self.gathered.take().unwrap_or_default()
    }

    /// The next bytes for the client, or none at the end. An answer that breaks off says so in its last
    /// piece.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        match self.advance().await {
            Ok(bytes) => bytes,
            Err(refused) => Some(refused.last_piece(self.asked.route)),
        }
    }

    /// The next whole frames, or none at the end. It may also end because it must be begun anew: see
    /// [`Flow::gave_way`].
    ///
    /// # Errors
    /// Why the answer broke off. It is over then.
    pub(crate) async fn advance(&mut self) -> Result<Option<Bytes>, Refused> {
        while self.wire.is_some() {
            let read = match self.stop.take() {
                Some(stop) => Err(stop),
                None => self.read().await,
            };
            match read {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(self.opening.unmasked(bytes))),
                Err(Stop::Halted(halt)) => return Err(self.stop(Refused::halted(&halt))),
                // Only the turn is kept, so the connection is closed.
                Err(Stop::Wanted) => self.wanted = self.wire.take().map(Wire::close),
                Err(Stop::Over(over)) => return Err(self.stop(Refused::stopped(over))),
                Err(Stop::Broken(broken)) => return Err(self.fail(&broken)),
                Err(Stop::Failed(words)) => {
                    let broken = Broken::off(metrics::Outcome::Error, words);
                    return Err(self.fail(&broken).with_status(500));
                }
            }
        }
        Ok(None)
    }

    /// It is taken away from its client, who does not read it. Returns what is said last, unless it was over.
    pub(crate) fn unread(&mut self) -> Option<Bytes> {
        self.wire.as_ref()?;
        Some(self.stop(Refused::unread()).last_piece(self.asked.route))
    }

    /// What begins the answer anew, if it ended because an urgent call needs the turn. Nobody may have seen
    /// anything of it.
    pub(crate) fn gave_way(self) -> Option<(Opening, Turn)> {
        let Self { wanted, opening, .. } = self;
        wanted.map(|turn| (opening, turn))
    }

    /// Reads once from the wire.
    async fn read(&mut self) -> Result<Bytes, Stop> {
        let Some(wire) = &mut self.wire else { return Ok(Bytes::new()) };
        let heard = tokio::select! {
            biased;
            halt = &mut self.halted => return Err(Stop::Halted(halt)),
            heard = wire.next(&self.opening.course, &self.shared.config) => heard?,
        };
        match heard {
            Heard::Frames(whole) => self.pass(whole),
            Heard::End(rest) => {
                let passed = self.pass(rest)?;
                if self.wire.is_none() { Ok(passed) } else { Err(Broken::ended().into()) }
            }
            Heard::Wanted => Err(Stop::Wanted),
        }
    }

    /// Learns from frames that are whole, and returns those that are the client's. What ends the answer behind
    /// some of them waits for its turn: it may have come in one piece with them.
    fn pass(&mut self, whole: Bytes) -> Result<Bytes, Stop> {
        let now = Instant::now();
        let mut kept: Option<BytesMut> = None;
        let mut passed = 0;
        for frame in self.script.framing().split(&whole) {
            let said = self.script.read(frame);
            if let Some(words) = said.error {
                if passed == 0 {
                    return Err(Stop::Failed(words));
                }
                self.stop = Some(Stop::Failed(words));
                return Ok(kept.map_or_else(|| whole.slice(..passed), BytesMut::freeze));
            }
            if let Some(gathered) = &mut self.gathered {
                gathered.push(self.opening.unmasked(whole.slice_ref(frame)))?;
            }
            let instead = self.instead_of(&said, || whole.slice_ref(frame));
            let over = self.learn(said, now).err();
            if instead.is_some() && kept.is_none() {
                kept = Some(BytesMut::from(whole.get(..passed).unwrap_or_default()));
            }
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(instead.as_deref().unwrap_or(frame));
            }
            passed += frame.len();
            if let Some(over) = over {
                self.stop = Some(Stop::Over(over));
                return Ok(kept.map_or_else(|| whole.slice(..passed), BytesMut::freeze));
            }
        }
        Ok(kept.map_or(whole, BytesMut::freeze))
    }

    /// What the client gets instead of a frame with a usage that it has not asked for.
    fn instead_of(&self, said: &Said<'_>, frame: impl FnOnce() -> Bytes) -> Option<Bytes> {
        if said.figures.is_none() || !self.asked.adds_usage() {
            None
        } else if said.is_usage_only {
            Some(Bytes::new())
        } else {
            reading::without_usage(&frame())
        }
    }

    fn learn(&mut self, said: Said<'_>, now: Instant) -> Result<(), OverBudget> {
        let mut counted = Ok(());
        if said.is_visible {
            let turn = self.wire.as_mut().map(|wire| &mut wire.turn);
            counted = self.opening.course.piece(turn);
            self.last_token_at = Some(now);
        }
        if let Some(text) = &said.text
            && self.words.push(text)
        {
            self.job.supervisor().text(text);
        }
        if let Some(figures) = said.figures {
            self.figures.merge(&figures);
        }
        if let Some(reason) = said.reason {
            self.reason = reason.into_owned();
        }
        if said.is_end {
            self.complete();
        }
        counted
    }

    fn complete(&mut self) {
        let Some(wire) = self.wire.take() else { return };
        let course = &mut self.opening.course;
        let first_token = course.measured.first_token.unwrap_or_default();
        let last = self.last_token_at.map(|at| at - course.dispatched_at());
        self.figures.fill_in(first_token, last.unwrap_or_default());
        let cost = self.shared.answered(course, self.opening.model.site, &self.figures);
        wire.done();
        let Opening { shared, asked, model, key, .. } = &self.opening;
        keeping::after(shared, asked, model, key);
        self.job.supervisor().spent(&cost.usage);
        let answer = Answer::Words(&self.words);
        self.job.end(outcome::done(&Ended { status: 200, reason: &self.reason, answer }));
    }

    fn stop(&mut self, refused: Refused) -> Refused {
        self.wire = None;
        self.opening.course.fail(metrics::Outcome::Cancelled);
        self.job.end(refused.outcome());
        refused
    }

    fn fail(&mut self, broken: &Broken) -> Refused {
        if let Some(mut wire) = self.wire.take() {
            wire.turn.went_wrong(broken);
        }
        let Opening { shared, model, course, .. } = &mut self.opening;
        shared.failed(course, model.site, broken);
        let refused = Refused::of(self.asked.route, &self.asked.model, &broken.error);
        self.job.end(refused.outcome());
        refused
    }
}

/// Why reading stops.
enum Stop {
    Halted(Halt),
    /// An urgent call needs the turn.
    Wanted,
    /// There are no tokens left for it.
    Over(OverBudget),
    Broken(Broken),
    /// Ollama has failed, and says why. Who has seen nothing of the answer gets the status that Ollama has for it.
    Failed(String),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Completes once the job must stop.
pub(crate) fn halted(job: &Arc<dyn Attended>) -> BoxFuture<'static, Halt> {
    let job = Arc::clone(job);
    Box::pin(async move { job.halted().await })
}
