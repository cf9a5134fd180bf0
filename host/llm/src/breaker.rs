//! Whether Ollama is given work, after how the last of it went. Pure: no clock, no IO.
//!
//! Failures in a row, or a call that ended in silence, make the lane stop for a moment: a pulse, which is one
//! token from the model that is loaded, says whether it was the call or Ollama. No pulse, and the lane rests;
//! each rest is longer than the one before, and ends with another pulse. Where nothing is loaded there is no
//! pulse to feel, since loading a model only for that would be work in its own right: then the next call tries.
//!
//! An Ollama that cannot be reached needs no second failure: the lane rests at once, and those who wait go on
//! waiting. One that was only away is well when it is back.
//!
//! A model that cannot be loaded is no reason to stop the others: see [`Barred`]. The lane stops where failures in
//! a row are of more than one model, or of one that was loaded; and of those that try, each model is one.
//!
//! A call that fails for its own fault says nothing. Nor does one whose client leaves, unless it had waited
//! in silence for longer than the pulse would take.

use std::time::Duration;

use roughneck_jobs::{
    guard::{self, Row},
    model::LlmError,
    retry::{self, Backoff},
};
use tokio::time::Instant;

use crate::{
    barred::{Barred, When},
    model_id::ModelId,
};

/// The longest rest. Whoever restarts Ollama does not wait for its end: see [`Breaker::renewed`].
const REST_MAX: Duration = Duration::from_secs(300);

/// What the end of a turn says about Ollama.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It has answered.
    Well,
    /// It has failed.
    Failed(Failure),
    /// It could not be reached, for this reason: nothing was sent.
    Away(String),
    /// The caller left, and had waited for long without a word.
    Left,
    /// Nothing.
    None,
}

/// How Ollama has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: LlmError,
    pub(crate) in_silence: bool,
    /// The model that it was to load.
    pub(crate) load_of: Option<ModelId>,
}

impl Failure {
    /// In Ollama's own words.
    pub(crate) fn why(&self) -> String {
        match &self.error {
            LlmError::Refused { status, message } => format!("status {status}: {message}"),
            LlmError::BrokenOff(why) | LlmError::Unavailable { why, .. } => why.clone(),
            error @ (LlmError::NotInstalled { .. }
            | LlmError::CloudDisabled { .. }
            | LlmError::Moved { .. }
            | LlmError::Full { .. }
            | LlmError::Unwell { .. }
            | LlmError::OverBudget(_)
            | LlmError::Invalid(_)) => error.to_string(),
        }
    }
}

/// Whose the failures in a row are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Whose {
    #[default]
    Nobodys,
    /// All are of loads of this model.
    Models(ModelId),
    /// Ollama's.
    Ollamas,
}

impl Whose {
    fn and(self, load_of: Option<&ModelId>) -> Self {
        match (self, load_of) {
            (Self::Nobodys, Some(model)) => Self::Models(model.clone()),
            (Self::Models(own), Some(model)) if own.is_same(model) => Self::Models(own),
            (Self::Nobodys, None) | (Self::Models(_) | Self::Ollamas, _) => Self::Ollamas,
        }
    }
}

/// What the pulse says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// The token came.
    Felt,
    /// There is none, for this reason.
    Missing(Why),
    /// Nothing is loaded that could be asked.
    Unasked,
}

/// What is wrong with Ollama.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It cannot be reached.
    Away(String),
    /// It is there, and does not do its work.
    Ill(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Calls go.
    Closed,
    /// A pulse is due before the next call goes.
    Suspected { since: Instant, last: String },
    /// No call goes before the pulse that is due then.
    Open { why: Why, rests: u32, until: Instant },
    /// The next call says how Ollama is, unless it is of the model that could not be loaded.
    Trial { rests: u32, failed: Option<ModelId>, last: String },
}

/// The breaker of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breaker {
    policy: guard::Breaker,
    row: Row,
    whose: Whose,
    barred: Barred,
    /// The model that was loaded last, if it has not failed to be since.
    works: Option<ModelId>,
    state: State,
}

impl Breaker {
    /// A closed one. So many failures in a row as `policy` says open it, for as long at first.
    pub(crate) fn new(policy: guard::Breaker) -> Self {
        Self {
            policy,
            row: Row::default(),
            whose: Whose::default(),
            barred: Barred::default(),
            works: None,
            state: State::Closed,
        }
    }

    /// Whether calls go.
    pub(crate) fn admits(&self) -> bool {
        match self.state {
            State::Closed | State::Trial { .. } => true,
            State::Suspected { .. } | State::Open { .. } => false,
        }
    }

    /// What is wrong with Ollama, while it gets no work for it.
    pub(crate) fn why(&self) -> Option<&Why> {
        match &self.state {
            State::Open { why, .. } => Some(why),
            State::Closed | State::Suspected { .. } | State::Trial { .. } => None,
        }
    }

    /// How Ollama has failed last, while the next call says how it is.
    pub(crate) fn on_trial(&self) -> Option<&str> {
        match &self.state {
            State::Trial { last, .. } => Some(last),
            State::Closed | State::Suspected { .. } | State::Open { .. } => None,
        }
    }

    /// When a pulse is due.
    pub(crate) fn pulse_at(&self) -> Option<Instant> {
        match self.state {
            State::Suspected { since, .. } => Some(since),
            State::Open { until, .. } => Some(until),
            State::Closed | State::Trial { .. } => None,
        }
    }

    /// How Ollama has failed to load this model, while it is not asked to again.
    pub(crate) fn barred(&self, model: &ModelId, now: Instant) -> Option<&LlmError> {
        self.barred.error(model, now)
    }

    /// Ollama has loaded this model.
    pub(crate) fn loaded(&mut self, model: &ModelId) {
        self.barred.loaded(model);
        self.works = Some(model.clone());
    }

    /// A turn has ended.
    pub(crate) fn ended(&mut self, sign: Sign, now: Instant) {
        match (&self.state, sign) {
            (_, Sign::None) => {}
            (_, Sign::Well) => self.close(),
            (State::Closed, Sign::Failed(failure)) => {
                self.count(&failure, When::InRow, now);
                if self.is_row() || failure.in_silence {
                    self.state = State::Suspected { since: now, last: failure.why() };
                }
            }
            (State::Trial { rests, failed, .. }, Sign::Failed(failure)) => {
                let (rests, failed) = (*rests, failed.clone());
                self.count(&failure, When::AtOnce, now);
                let last = format!("the call that tried has failed, too: {}", failure.why());
                match &failure.load_of {
                    // Another model may tell more.
                    Some(model) if failed.as_ref().is_none_or(|failed| failed.is_same(model)) => {
                        self.state = State::Trial { rests, failed: failure.load_of, last };
                    }
                    Some(_) | None => self.rest(rests.saturating_add(1), Why::Ill(last), now),
                }
            }
            (State::Closed | State::Trial { .. }, Sign::Left) => {
                let last = "a caller left that had waited in silence for long".to_owned();
                self.state = State::Suspected { since: now, last };
            }
            (State::Closed | State::Suspected { .. }, Sign::Away(why)) => {
                self.rest(1, Why::Away(why), now);
            }
            (State::Trial { rests, .. }, Sign::Away(why)) => {
                let rests = rests.saturating_add(1);
                self.rest(rests, Why::Away(why), now);
            }
            // It had begun before the lane stopped, and tells no more than is known.
            (State::Suspected { .. } | State::Open { .. }, Sign::Failed(_) | Sign::Left)
            | (State::Open { .. }, Sign::Away(_)) => {}
        }
    }

    /// The pulse that was due has been felt for.
    pub(crate) fn felt(&mut self, pulse: Pulse, now: Instant) {
        match (&self.state, pulse) {
            (_, Pulse::Felt) => self.close(),
            (State::Suspected { .. }, Pulse::Missing(why)) => self.rest(1, why, now),
            (State::Open { rests, .. }, Pulse::Missing(why)) => {
                let rests = rests.saturating_add(1);
                self.rest(rests, why, now);
            }
            (State::Suspected { last, .. }, Pulse::Unasked) => {
                if !self.is_row() {
                    self.state = State::Closed;
                } else {
                    let failures = self.row.failures();
                    let why =
                        format!("{failures} calls in a row have failed, the last one: {last}");
                    self.rest(1, Why::Ill(why), now);
                }
            }
            // It is there again, and nothing else was wrong. What failed before is not forgotten.
            (State::Open { why: Why::Away(_), .. }, Pulse::Unasked) => self.state = State::Closed,
            (State::Open { why: Why::Ill(why), rests, .. }, Pulse::Unasked) => {
                self.state = State::Trial { rests: *rests, failed: None, last: why.clone() };
            }
            (State::Closed | State::Trial { .. }, Pulse::Missing(_) | Pulse::Unasked) => {}
        }
    }

    /// Ollama is back after it was away, or has let go of a runner: it may be well, and the rest is over.
    pub(crate) fn renewed(&mut self, now: Instant) {
        match &mut self.state {
            State::Open { until, .. } => *until = now.min(*until),
            State::Closed | State::Suspected { .. } | State::Trial { .. } => {}
        }
    }

    fn close(&mut self) {
        (self.row, self.whose) = (Row::default(), Whose::default());
        self.state = State::Closed;
    }

    fn count(&mut self, failure: &Failure, when: When, now: Instant) {
        let load_of = failure.load_of.as_ref();
        self.row.failed(&self.policy);
        self.whose = std::mem::take(&mut self.whose).and(load_of);
        let Some(model) = load_of else { return };
        self.works.take_if(|works| works.is_same(model));
        if when == When::AtOnce || self.works.is_some() {
            self.barred.failed((model, &failure.error), &self.policy, when, now);
        }
    }

    /// Whether so much has failed in a row that it is Ollama's fault. Where no other model is known to load, nobody can
    /// tell a model that is broken from an Ollama that is.
    fn is_row(&self) -> bool {
        let is_ollamas = match &self.whose {
            Whose::Nobodys => false,
            Whose::Models(_) => self.works.is_none(),
            Whose::Ollamas => true,
        };
        is_ollamas && self.row.failures() >= self.policy.failures
    }

    fn rest(&mut self, rests: u32, why: Why, now: Instant) {
        self.state = State::Open { why, rests, until: now + rest(&self.policy, rests) };
    }
}

/// How long the rest is that comes after so many, itself among them.
pub(crate) fn rest(policy: &guard::Breaker, rests: u32) -> Duration {
    let cap_ms = u64::try_from(REST_MAX.as_millis()).unwrap_or(u64::MAX);
    let backoff = Backoff::Exponential { base_ms: policy.pause_ms, cap_ms };
    Duration::from_millis(retry::delay_ms(&backoff, rests))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_id::known_by;

    const POLICY: guard::Breaker = guard::Breaker { failures: 3, pause_ms: 5_000 };

    fn failure(why: &str) -> Failure {
        let error = LlmError::BrokenOff(why.to_owned());
        Failure { error, in_silence: false, load_of: None }
    }

    fn failed() -> Sign {
        Sign::Failed(failure("boom"))
    }

    fn silent() -> Sign {
        Sign::Failed(Failure { in_silence: true, ..failure("nothing") })
    }

    fn unloadable(model: &str) -> Sign {
        Sign::Failed(Failure { load_of: Some(known_by(model)), ..failure("boom") })
    }

    fn ill(why: &str) -> Why {
        Why::Ill(why.to_owned())
    }

    fn missing() -> Pulse {
        Pulse::Missing(ill("no token"))
    }

    /// A breaker after these ends of turns.
    fn after(signs: impl IntoIterator<Item = Sign>, now: Instant) -> Breaker {
        let mut breaker = Breaker::new(POLICY);
        for sign in signs {
            breaker.ended(sign, now);
        }
        breaker
    }

    /// How long the rest is.
    fn rest_s(breaker: &Breaker, now: Instant) -> Option<u64> {
        breaker.why()?;
        breaker.pulse_at().map(|at| (at - now).as_secs())
    }

    #[test]
    fn failures_in_a_row_and_any_silence_ask_for_a_pulse_and_what_is_no_fault_of_ollama_does_not() {
        let now = Instant::now();
        for (signs, asks) in [
            (vec![failed(), failed()], false),
            (vec![failed(), failed(), failed()], true),
            (vec![failed(), failed(), Sign::None, failed()], true),
            (vec![failed(), failed(), Sign::Well, failed()], false),
            (vec![silent()], true),
            (vec![Sign::Left], true),
            (vec![unloadable("a"), unloadable("b"), unloadable("a")], true),
            (vec![unloadable("a"), failed(), failed()], true),
            (vec![unloadable("a"); 3], true),
            (vec![Sign::None; 9], false),
        ] {
            let breaker = after(signs.clone(), now);
            assert_eq!(breaker.pulse_at(), asks.then_some(now), "{signs:?}");
            assert_eq!(breaker.admits(), !asks, "{signs:?}");
            assert_eq!(breaker.why(), None, "nobody is told before the pulse: {signs:?}");
        }
    }

    #[test]
    fn a_pulse_that_is_felt_closes_it_and_forgets_the_row() {
        let now = Instant::now();
        for mut breaker in [after([silent()], now), after([failed(), failed(), failed()], now)] {
            breaker.felt(Pulse::Felt, now);
            assert_eq!(breaker, Breaker::new(POLICY));
        }
        let mut open = after([silent()], now);
        open.felt(missing(), now);
        open.felt(Pulse::Felt, now);
        assert_eq!(open, Breaker::new(POLICY));
    }

    #[test]
    fn each_rest_is_twice_as_long_up_to_five_minutes() {
        let now = Instant::now();
        let mut breaker = after([silent()], now);
        let rests: Vec<Option<u64>> = (0..8)
            .map(|_| {
                breaker.felt(missing(), now);
                rest_s(&breaker, now)
            })
            .collect();
        assert_eq!(rests, [5, 10, 20, 40, 80, 160, 300, 300].map(Some));
        assert_eq!(breaker.why(), Some(&ill("no token")));
        assert!(!breaker.admits());
    }

    #[test]
    fn where_nothing_is_loaded_the_next_call_tries() {
        let now = Instant::now();
        let mut breaker = after([silent()], now);
        breaker.felt(Pulse::Unasked, now);
        assert!(breaker.admits() && breaker.on_trial().is_none(), "one silence is no row");

        let mut breaker = after([failed(), failed(), failed()], now);
        breaker.felt(Pulse::Unasked, now);
        assert_eq!(rest_s(&breaker, now), Some(5));
        let why = ill("3 calls in a row have failed, the last one: boom");
        assert_eq!(breaker.why(), Some(&why));
        breaker.felt(Pulse::Unasked, now);
        assert_eq!((breaker.admits(), breaker.why()), (true, None));
        let last = "3 calls in a row have failed, the last one: boom";
        assert_eq!(breaker.on_trial(), Some(last), "it has failed, though calls go");
        breaker.ended(Sign::None, now);
        assert!(breaker.on_trial().is_some(), "a call that says nothing leaves it to the next");

        let mut well = breaker.clone();
        well.ended(Sign::Well, now);
        assert_eq!(well, Breaker::new(POLICY));
        breaker.ended(failed(), now);
        assert_eq!((breaker.admits(), rest_s(&breaker, now)), (false, Some(10)));
    }

    #[test]
    fn a_model_that_cannot_be_loaded_is_refused_and_keeps_no_other_from_trying() {
        let now = Instant::now();
        let boom = LlmError::BrokenOff("boom".to_owned());
        let mut breaker = Breaker::new(POLICY);
        breaker.loaded(&known_by("b"));
        for _ in 0..3 {
            breaker.ended(unloadable("a"), now);
        }
        assert_eq!(
            (breaker.barred(&known_by("a"), now), breaker.barred(&known_by("b"), now)),
            (Some(&boom), None)
        );
        assert!(breaker.admits(), "another model is known to load");
        breaker.ended(Sign::Well, now);
        assert_eq!(
            breaker.barred(&known_by("a"), now),
            Some(&boom),
            "what others do says nothing about it"
        );
        breaker.loaded(&known_by("a"));
        assert_eq!(breaker.barred(&known_by("a"), now), None);
        // The last one that was loaded fails as well.
        for _ in 0..3 {
            breaker.ended(unloadable("a"), now);
        }
        assert_eq!((breaker.admits(), breaker.barred(&known_by("a"), now)), (false, None));

        let mut breaker = after([failed(), failed(), failed()], now);
        breaker.felt(Pulse::Unasked, now);
        breaker.felt(Pulse::Unasked, now);
        breaker.ended(unloadable("a"), now);
        assert_eq!(
            breaker.barred(&known_by("a"), now),
            Some(&boom),
            "at once: it has had its turn"
        );
        let last = "the call that tried has failed, too: boom";
        assert_eq!(breaker.on_trial(), Some(last), "another model may try");
        breaker.ended(unloadable("b"), now);
        assert_eq!((breaker.admits(), rest_s(&breaker, now)), (false, Some(10)));
    }

    #[test]
    fn one_that_cannot_be_reached_is_away_at_once_and_when_it_is_back_calls_go() {
        let now = Instant::now();
        let away = || Sign::Away("refused".to_owned());
        for signs in [vec![away()], vec![failed(), away(), away()], vec![silent(), away()]] {
            let mut breaker = after(signs.clone(), now);
            assert_eq!(breaker.why(), Some(&Why::Away("refused".to_owned())), "{signs:?}");
            assert_eq!((breaker.admits(), rest_s(&breaker, now)), (false, Some(5)), "{signs:?}");
            breaker.felt(Pulse::Unasked, now);
            assert!(breaker.admits() && breaker.on_trial().is_none(), "{signs:?}");
        }
        let mut dies_each_time = after([failed(), away()], now);
        dies_each_time.felt(Pulse::Unasked, now);
        dies_each_time.ended(failed(), now);
        dies_each_time.ended(failed(), now);
        assert!(!dies_each_time.admits(), "three failures are a row though it was away in between");

        let mut on_trial = after([failed(), failed(), failed()], now);
        on_trial.felt(Pulse::Unasked, now);
        on_trial.felt(Pulse::Unasked, now);
        on_trial.ended(away(), now);
        assert_eq!((on_trial.admits(), rest_s(&on_trial, now)), (false, Some(10)));
    }

    #[test]
    fn an_ollama_that_comes_back_does_not_wait_for_the_end_of_the_rest() {
        let now = Instant::now();
        let mut breaker = after([silent()], now);
        breaker.felt(missing(), now);
        let later = now + Duration::from_secs(1);
        breaker.renewed(later);
        assert_eq!(breaker.pulse_at(), Some(later));
        breaker.renewed(later + Duration::from_secs(1));
        assert_eq!(breaker.pulse_at(), Some(later), "it is due already");
    }
}
