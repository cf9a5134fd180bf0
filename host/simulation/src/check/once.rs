//! One idempotency key is one job, and one unique key is one active job.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::id::JobId;

use crate::History;

pub(super) fn check(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let (mut keys, mut uniques) = (BTreeMap::new(), BTreeMap::new());
    for wanted in history.wanted() {
        keys.extend(wanted.idempotency_key.clone().map(|key| (wanted.id, key)));
        uniques.extend(wanted.unique.clone().map(|key| (wanted.id, key)));
    }
    for (at, jobs) in history.looks() {
        let all = jobs.iter().map(|job| job.id);
        broken.extend(twice(all, &keys).map(|key| format!("{key} is two jobs at {at}")));
        // A retry on request takes no unique key: it is kept from new submissions only.
        let active = jobs.iter().filter(|job| !job.state.is_terminal()).map(|job| job.id);
        let active = active.filter(|job| !history.may_be_retried(*job, 0, at));
        let twice = twice(active, &uniques);
        broken.extend(twice.map(|key| format!("{key} is two active jobs at {at}")));
    }
    broken
}

/// Keys that two of the jobs have.
fn twice(
    jobs: impl Iterator<Item = JobId>,
    keys: &BTreeMap<JobId, String>,
) -> impl Iterator<Item = &String> {
    let mut known = BTreeSet::new();
    let keys: Vec<_> = jobs.filter_map(|job| keys.get(&job)).collect();
    keys.into_iter().filter(move |key| !known.insert(*key))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::state::State;

    use super::{super::given::*, *};
    use crate::history::{Moment, Wanted};

    #[test]
    fn a_key_with_two_jobs_is_found() {
        let mut history = History::default();
        for n in [1, 2] {
            let idempotency_key = Some("a".to_owned());
            history.submitted(Wanted { idempotency_key, ..wanted(n) });
        }
        history.note(Moment::Looked(vec![seen(1, State::Done)]));
        assert_eq!(check(&history), Vec::<String>::new());
        history.note(Moment::Looked(vec![seen(1, State::Done), seen(2, State::Done)]));
        assert_eq!(check(&history).len(), 1);
    }

    #[test]
    fn a_unique_key_with_two_active_jobs_is_found() {
        let mut history = History::default();
        for n in [1, 2] {
            history.submitted(Wanted { unique: Some("u".to_owned()), ..wanted(n) });
        }
        history.note(Moment::Looked(vec![seen(1, State::Done), seen(2, State::Queued)]));
        assert_eq!(check(&history), Vec::<String>::new());
        history.note(Moment::Looked(vec![seen(1, State::Working), seen(2, State::Queued)]));
        assert_eq!(check(&history).len(), 1);
    }
}
