//! Models that Ollama fails to load, which says nothing about the others. Pure: no clock, no IO.
//!
//! A model whose loads fail again and again is barred for a while: its calls fail at once, in the words that Ollama
//! failed with, as they would anyhow, but without putting the model out that works. Then one of them tries.
//! A model is its weights: a copy is barred with it, and one that was pulled anew is another one.

use std::collections::BTreeMap;

use roughneck_jobs::{
    guard::{self, Row},
    model::LlmError,
};
use tokio::time::Instant;

use crate::breaker;

/// The models whose last load failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Barred(BTreeMap<String, Model>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    row: Row,
    /// Until when, and how its last load failed.
    bar: Option<(Instant, LlmError)>,
}

/// How many failures it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As many in a row as the policy says.
    InRow,
    /// This one, so that others get their turn.
    AtOnce,
}

impl Barred {
    /// A load of this model has failed.
    pub(crate) fn failed(
        &mut self,
        (model, error): (&str, &LlmError),
        policy: &guard::Breaker,
        when: When,
        now: Instant,
    ) {
        let model = self.0.entry(model.to_owned()).or_default();
        let is_row = model.row.failed(policy);
        if is_row || when == When::AtOnce {
            let before = model.row.failures().saturating_sub(policy.failures);
            let until = now + breaker::rest(policy, before.saturating_add(1));
            model.bar = Some((until, error.clone()));
        }
    }

    /// This model was loaded.
    pub(crate) fn loaded(&mut self, model: &str) {
        self.0.remove(model);
    }

    /// How the last load of this model failed, while there is to be no other.
    pub(crate) fn error(&self, model: &str, now: Instant) -> Option<&LlmError> {
        let (until, error) = self.0.get(model)?.bar.as_ref()?;
        (now < *until).then_some(error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: guard::Breaker = guard::Breaker { failures: 3, pause_ms: 5_000 };

    fn died() -> LlmError {
        LlmError::Refused { status: 500, message: "llama runner process has terminated".to_owned() }
    }

    #[test]
    fn a_model_that_fails_to_load_is_not_loaded_for_longer_and_longer_until_it_was() {
        let now = Instant::now();
        let mut barred = Barred::default();
        let mut rests = Vec::new();
        for _ in 0..6 {
            barred.failed(("m", &died()), &POLICY, When::InRow, now);
            let is_barred = |seconds: &u64| {
                barred.error("m", now + Duration::from_secs(*seconds)) == Some(&died())
            };
            rests.push([0, 4, 9, 19, 39].iter().filter(|seconds| is_barred(seconds)).count());
        }
        assert_eq!(rests, [0, 0, 2, 3, 4, 5], "none, none, 5 s, 10 s, 20 s, 40 s");
        assert_eq!(barred.error("another", now), None);
        barred.loaded("m");
        assert_eq!(barred, Barred::default());
        barred.failed(("m", &died()), &POLICY, When::AtOnce, now);
        assert_eq!(barred.error("m", now), Some(&died()));
    }
}
