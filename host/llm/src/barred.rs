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

use crate::{breaker, model_id::ModelId};

/// The models whose last load failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Barred(BTreeMap<ModelId, Model>);

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
        (model, error): (&ModelId, &LlmError),
        policy: &guard::Breaker,
        when: When,
        now: Instant,
    ) {
        // It stays known by what is known of it now.
        let known = self.0.keys().find(|known| known.is_same(model)).cloned();
        let mut failing = known.and_then(|known| self.0.remove(&known)).unwrap_or_default();
        let is_row = failing.row.failed(policy);
        if is_row || when == When::AtOnce {
            let before = failing.row.failures().saturating_sub(policy.failures);
            let until = now + breaker::rest(policy, before.saturating_add(1));
            failing.bar = Some((until, error.clone()));
        }
        self.0.insert(model.clone(), failing);
    }

    /// This model was loaded.
    pub(crate) fn loaded(&mut self, model: &ModelId) {
        self.0.retain(|known, _| !known.is_same(model));
    }

    /// How the last load of this model failed, while there is to be no other.
    pub(crate) fn error(&self, model: &ModelId, now: Instant) -> Option<&LlmError> {
        let bars = self.0.iter().filter(|(known, _)| known.is_same(model));
        bars.filter_map(|(_, failing)| failing.bar.as_ref())
            .find_map(|(until, error)| (now < *until).then_some(error))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{model_id::known_by, resolve};

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
            barred.failed((&known_by("m"), &died()), &POLICY, When::InRow, now);
            let is_barred = |seconds: &u64| {
                barred.error(&known_by("m"), now + Duration::from_secs(*seconds)) == Some(&died())
            };
            rests.push([0, 4, 9, 19, 39].iter().filter(|seconds| is_barred(seconds)).count());
        }
        assert_eq!(rests, [0, 0, 2, 3, 4, 5], "none, none, 5 s, 10 s, 20 s, 40 s");
        assert_eq!(barred.error(&known_by("another"), now), None);
        barred.loaded(&known_by("m"));
        assert_eq!(barred, Barred::default());
        barred.failed((&known_by("m"), &died()), &POLICY, When::AtOnce, now);
        assert_eq!(barred.error(&known_by("m"), now), Some(&died()));
        let learnt = |name| ModelId::of(&resolve::named(name, name), Some("w"));
        assert_eq!(barred.error(&learnt("m"), now), Some(&died()), "by its digest");
        barred.failed((&learnt("m"), &died()), &POLICY, When::InRow, now);
        assert_eq!(barred.error(&learnt("copy"), now), Some(&died()), "by its weights");
        barred.loaded(&learnt("copy"));
        assert_eq!(barred, Barred::default());
    }
}
