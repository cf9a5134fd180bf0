//! Which job goes first where changing the model is dear.

use std::collections::BTreeSet;

use crate::{clock::Millis, id::JobId, priority::Priority};

/// The wish to go on with the model that is loaded, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// The names under which jobs ask for it: its own, and the aliases that mean it.
    pub models: BTreeSet<String>,
    /// From this instant on the best-ranked job goes first, whatever it needs.
    pub until: Millis,
    /// The same for an urgent one.
    pub urgent_until: Millis,
}

/// A job that may go next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The job.
    pub id: JobId,
    /// The model it asks for, by its name or an alias, if that is known.
    pub model: Option<String>,
    /// Its priority.
    pub priority: Priority,
}

impl Preference {
    /// Whether the best-ranked job goes first. One whose model is unknown may need the one that is loaded,
    /// or none: it is not passed over.
    #[must_use]
    pub fn yields_to(&self, best: &Candidate, at: Millis) -> bool {
        best.model.as_ref().is_none_or(|model| self.models.contains(model))
            || at >= self.until
            || (best.priority >= Priority::URGENT && at >= self.urgent_until)
    }

    /// The jobs that go, as many as there are in `best`, in their order. `best` are the best-ranked of all,
    /// `preferred` those of the preferred model. None of these is left out because there are others.
    #[must_use]
    pub fn order(&self, best: &[Candidate], preferred: &[Candidate], at: Millis) -> Vec<JobId> {
        let first = best.iter().take_while(|one| self.yields_to(one, at)).count();
        let (first, passed_over) = best.split_at_checked(first).unwrap_or((best, &[]));
        let mut seen = BTreeSet::new();
        let order = first.iter().chain(preferred).chain(passed_over).map(|one| one.id);
        order.filter(|id| seen.insert(*id)).take(best.len()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Entropy;

    struct Fixed(u128);
    impl Entropy for Fixed {
        fn roll(&self) -> u128 {
            self.0
        }
    }

    fn id(n: u128) -> JobId {
        JobId::at(Millis(0), &Fixed(n))
    }

    fn candidate(n: u128, model: Option<&str>, priority: Priority) -> Candidate {
        Candidate { id: id(n), model: model.map(str::to_owned), priority }
    }

    fn preference() -> Preference {
        let models = ["qwen3:30b", "default"].map(str::to_owned).into();
        Preference { models, until: Millis(100), urgent_until: Millis(25) }
    }

    #[test]
    fn the_loaded_model_is_kept_for_a_while_and_for_a_shorter_one_if_the_best_is_urgent() {
        let (normal, urgent) = (Priority::NORMAL, Priority::URGENT);
        let table = [
            (Some("qwen3:30b"), normal, 0, true),
            (Some("default"), normal, 0, true),
            (None, normal, 0, true),
            (Some("gemma3"), normal, 0, false),
            (Some("gemma3"), normal, 99, false),
            (Some("gemma3"), normal, 100, true),
            (Some("gemma3"), Priority::HIGH, 99, false),
            (Some("gemma3"), urgent, 24, false),
            (Some("gemma3"), urgent, 25, true),
        ];
        for (model, priority, at, expected) in table {
            let yields = preference().yields_to(&candidate(1, model, priority), Millis(at));
            assert_eq!(yields, expected, "{model:?}, {priority} at {at}");
        }
    }

    #[test]
    fn the_first_that_is_passed_over_leaves_its_place_to_all_of_the_preferred_model() {
        let of = |n, model| candidate(n, Some(model), Priority::NORMAL);
        let (q, g) = ("qwen3:30b", "gemma3");
        let best = [of(1, q), of(2, g), of(3, q)];
        let order = |best: &[Candidate], preferred: &[Candidate], at| {
            preference().order(best, preferred, Millis(at))
        };
        let preferred = [of(1, q), of(3, q), of(4, q), of(5, q)];
        assert_eq!(order(&best, &preferred, 0), [id(1), id(3), id(4)]);
        assert_eq!(order(&best, &preferred[..2], 0), [id(1), id(3), id(2)]);
        assert_eq!(order(&best, &[], 0), [id(1), id(2), id(3)]);
        assert_eq!(order(&best, &preferred, 100), [id(1), id(2), id(3)]);
        assert_eq!(order(&[of(2, g)], &preferred, 0), [id(1)]);
        assert_eq!(order(&[], &[], 0), []);
    }
}
