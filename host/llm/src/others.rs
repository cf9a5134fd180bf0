//! Whether somebody else uses the same Ollama. Nobody can stop them, and their calls and those of the host
//! make each other slow, so the operator is told.
//!
//! What is compared is pure: two looks at what is loaded, and what the host itself did in between. Where that is
//! not known for sure, as after a call that was cut off and that Ollama may still be busy with, nothing is said.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use roughneck_jobs::clock::Millis;
use tokio::time::Instant;

use crate::{
    metrics::Metrics,
    queue::Doings,
    report::{FOR_EVER, Running},
    stats::Cost,
};

/// Operators are told at most so often; the counter tells the rest.
const WARN_EVERY: Duration = Duration::from_secs(60 * 60);
/// So long Ollama may still be at what it was asked for by a call that was cut off.
const LEFTOVERS: Duration = Duration::from_secs(600);
/// Ollama sets the time at which a model expires a moment after its last token.
const EXPIRY_SLACK_MS: i64 = 2_000;
/// Nothing but another call makes one wait for so long inside Ollama, where only one is in flight.
const HIDDEN_WAIT: Duration = Duration::from_secs(1);

/// What somebody else leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Trace {
    /// A model is loaded that the host did not ask for.
    Model,
    /// A model was used while the host did nothing.
    Expiry,
    /// A call waited inside Ollama, though it was the only one of the host.
    Wait,
    /// Ollama had too many calls, of which one was of the host.
    Full,
}

impl Trace {
    pub(crate) const ALL: [Self; 4] = [Self::Model, Self::Expiry, Self::Wait, Self::Full];

    /// For metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Expiry => "expiry",
            Self::Wait => "wait",
            Self::Full => "full",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Model => "it has loaded a model that this host did not ask for",
            Self::Expiry => "a model was used while this host asked for nothing",
            Self::Wait => "a call had to wait inside of it, though this host sends one at a time",
            Self::Full => "its queue is full, though this host sends one call at a time",
        }
    }
}

/// One look at what is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    /// The same by the clock on the wall, which is Ollama's as well.
    pub(crate) now: Millis,
    pub(crate) models: Vec<Running>,
    /// What the host did until then, since the look before.
    pub(crate) doings: Doings,
    /// Whether the host did nothing while it looked.
    pub(crate) is_quiet: bool,
}

impl Look {
    /// Whether all that the host asked for is over for Ollama as well.
    fn is_settled(&self) -> bool {
        let left_at = self.doings.left_at;
        left_at.is_none_or(|left_at| self.at.saturating_duration_since(left_at) > LEFTOVERS)
    }
}

/// What two looks, one after the other, say about others.
pub(crate) fn traces(before: &Look, after: &Look) -> BTreeSet<Trace> {
    let mut traces = BTreeSet::new();
    if !before.is_settled() || !after.is_settled() {
        return traces;
    }
    let did_nothing =
        before.is_quiet && after.is_quiet && before.doings.turns == after.doings.turns;
    for model in &after.models {
        let same = |other: &&Running| model.loaded.is_as_listed(&other.loaded);
        match before.models.iter().find(same) {
            Some(earlier) if did_nothing && stays_longer(earlier, model, after.now) => {
                traces.insert(Trace::Expiry);
            }
            // What the host asked for may show one look later.
            None if ![before, after].iter().any(|look| is_asked_for(&look.doings, model)) => {
                traces.insert(Trace::Model);
            }
            Some(_) | None => {}
        }
    }
    traces
}

/// Whether a model expires later than it was to. One that was to stay for ever cannot.
fn stays_longer(earlier: &Running, later: &Running, now: Millis) -> bool {
    let was_to_expire = earlier.left(now).is_some_and(|left| left < FOR_EVER);
    let (Some(earlier), Some(later)) = (earlier.expires_at(), later.expires_at()) else {
        return false;
    };
    let moved_ms = later.as_millisecond().saturating_sub(earlier.as_millisecond());
    was_to_expire && moved_ms > EXPIRY_SLACK_MS
}

fn is_asked_for(doings: &Doings, model: &Running) -> bool {
    doings.asked.iter().any(|asked| asked.is_same(model.loaded.key.model()))
}

/// Counts what others leave behind, and tells the operator now and then.
#[derive(Debug)]
pub(crate) struct Others {
    /// The address of Ollama, fit to be shown.
    url: String,
    metrics: Arc<Metrics>,
    warned_at: Mutex<Option<Instant>>,
}

impl Others {
    pub(crate) fn new(url: &str, metrics: Arc<Metrics>) -> Self {
        Self { url: url.to_owned(), metrics, warned_at: Mutex::default() }
    }

    /// Learns from what a call cost.
    pub(crate) fn judge(&self, cost: &Cost) {
        if cost.hidden_wait > HIDDEN_WAIT {
            self.notice(Trace::Wait);
        }
    }

    pub(crate) fn notice(&self, trace: Trace) {
        self.metrics.upstream.external_use(trace);
        if self.may_warn(Instant::now()) {
            tracing::warn!(
                sign = trace.word(),
                "somebody else uses the Ollama at {} ({}), which makes all its callers wait; point them at this host, \
                 and let Ollama listen on loopback only, with OLLAMA_HOST=127.0.0.1",
                self.url,
                trace.sentence()
            );
        }
    }

    fn may_warn(&self, now: Instant) -> bool {
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        let may = warned_at.is_none_or(|at| now.saturating_duration_since(at) >= WARN_EVERY);
        if may {
            *warned_at = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{model_id, report};

    /// A model with its digest, and the minute at which it expires.
    fn running(model: &str, minute: u32) -> Running {
        let expires_at = format!("2027-01-15T08:{minute:02}:00Z");
        let json = json!({"name": model, "digest": model, "expires_at": expires_at});
        let mut running: Running = serde_json::from_value(json).unwrap();
        running.loaded = report::loaded(&format!("{model}:latest"), model, None);
        running
    }

    fn look(at: Instant, models: Vec<Running>, turns: u64) -> Look {
        let doings = Doings { turns, is_free: true, ..Doings::default() };
        Look { at, now: Millis(1_800_000_000_000), models, doings, is_quiet: true }
    }

    /// A model that stays for ever, as Ollama shows it in this minute.
    fn kept(model: &str, minute: u32) -> Running {
        let expires_at = format!("2319-01-15T08:{minute:02}:00Z");
        let json = json!({"name": model, "digest": model, "expires_at": expires_at});
        let mut running: Running = serde_json::from_value(json).unwrap();
        running.loaded = report::loaded(&format!("{model}:latest"), model, None);
        running
    }

    fn asking(look: Look, model: &str) -> Look {
        let doings = Doings { asked: BTreeSet::from([model_id::known_by(model)]), ..look.doings };
        Look { doings, ..look }
    }

    #[test]
    fn a_model_that_the_host_did_not_ask_for_is_somebody_else_s() {
        let now = Instant::now();
        let before = look(now, vec![running("a", 5)], 7);
        for (after, found) in [
            (look(now, vec![running("a", 5)], 7), false),
            (look(now, vec![], 7), false),
            (look(now, vec![running("a", 5), running("b", 5)], 7), true),
            // Whatever the host is doing meanwhile.
            (Look { is_quiet: false, ..look(now, vec![running("b", 5)], 9) }, true),
            (asking(look(now, vec![running("b", 5)], 8), "b"), false),
            (asking(look(now, vec![running("b", 5)], 8), "a"), true),
        ] {
            let expected = found.then_some(Trace::Model);
            assert_eq!(traces(&before, &after).first().copied(), expected, "{after:?}");
        }
        let late = look(now, vec![running("b", 5)], 8);
        assert!(traces(&asking(before, "b"), &late).is_empty(), "it shows one look later");
    }

    #[test]
    fn a_model_that_expires_later_though_the_host_did_nothing_was_used_by_somebody_else() {
        let now = Instant::now();
        let before = look(now, vec![running("a", 5)], 7);
        let busy = |look: Look| Look { is_quiet: false, ..look };
        for (before, after, found) in [
            (before.clone(), look(now, vec![running("a", 6)], 7), true),
            (before.clone(), look(now, vec![running("a", 5)], 7), false),
            (before.clone(), look(now, vec![running("a", 4)], 7), false),
            (before.clone(), look(now, vec![running("a", 6)], 8), false),
            (before.clone(), busy(look(now, vec![running("a", 6)], 7)), false),
            (busy(before.clone()), look(now, vec![running("a", 6)], 7), false),
            (before.clone(), look(now, vec![kept("a", 5)], 7), true),
            (look(now, vec![kept("a", 5)], 7), look(now, vec![kept("a", 6)], 7), false),
        ] {
            let expected = found.then_some(Trace::Expiry);
            assert_eq!(traces(&before, &after).first().copied(), expected, "{after:?}");
        }
    }

    #[test]
    fn after_a_call_that_was_cut_off_ollama_may_still_be_at_it() {
        let now = Instant::now();
        let before = look(now, vec![], 7);
        let after = |left_ago: Duration| {
            let at = now + Duration::from_secs(3600);
            let mut look = look(at, vec![running("b", 5)], 7);
            look.doings.left_at = Some(at - left_ago);
            look
        };
        assert!(traces(&before, &after(LEFTOVERS)).is_empty());
        let later = after(LEFTOVERS + Duration::from_secs(1));
        assert_eq!(traces(&before, &later), BTreeSet::from([Trace::Model]));
    }

    #[tokio::test(start_paused = true)]
    async fn operators_are_told_once_an_hour() {
        let others = Others::new("http://o", Arc::new(Metrics::new()));
        let mut told = 0;
        for _ in 0..150 {
            told += usize::from(others.may_warn(Instant::now()));
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(told, 3);
    }
}
