//! When gates open that may have kept something back: pauses and rates, of which no bell rings the end.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use roughneck_jobs::{class::Class, clock::Millis};

/// For each class, the first that opens.
#[derive(Default)]
pub(crate) struct Openings(Mutex<BTreeMap<Class, Millis>>);

impl Openings {
    /// What the latest claim of a class said. True if no other one opens as soon.
    pub(crate) fn set(&self, class: &Class, opens_at: Option<Millis>) -> bool {
        let mut openings = self.lock();
        let first = openings.values().min().copied();
        match opens_at {
            Some(at) => drop(openings.insert(class.clone(), at)),
            None => drop(openings.remove(class)),
        }
        opens_at.is_some_and(|at| first.is_none_or(|first| at < first))
    }

    /// The first of all.
    pub(crate) fn next_at(&self) -> Option<Millis> {
        self.lock().values().min().copied()
    }

    /// Takes the classes of which a gate is open by now.
    pub(crate) fn take(&self, now: Millis) -> Vec<Class> {
        self.lock().extract_if(.., |_, at| *at <= now).map(|(class, _)| class).collect()
    }

    /// A poisoned lock holds plain data that is still whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Class, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dispatcher_is_woken_only_for_a_gate_that_opens_sooner_than_all_others() {
        let (openings, io, cpu) = (Openings::default(), Class("io".into()), Class("cpu".into()));
        assert!(openings.set(&io, Some(Millis(50))));
        assert!(!openings.set(&io, Some(Millis(50))), "as after each run that ends");
        assert!(!openings.set(&cpu, Some(Millis(60))));
        assert!(openings.set(&cpu, Some(Millis(40))));
        assert_eq!(openings.next_at(), Some(Millis(40)));
        assert_eq!(openings.take(Millis(50)), [cpu, io.clone()]);
        assert_eq!(openings.next_at(), None);
        openings.set(&io, Some(Millis(70)));
        openings.set(&io, None);
        assert_eq!(openings.next_at(), None);
    }
}
