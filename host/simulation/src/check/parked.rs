//! No job waits for its concurrency key while a place of it is free that nobody is about to take.

use std::collections::BTreeMap;

use roughneck_jobs::{id::JobId, input_key::ConcurrencyKey, state::State};

use crate::{History, history::Seen};

pub(super) fn check(history: &History) -> Vec<String> {
    let wanted = history.wanted();
    let keyed = wanted.filter_map(|wanted| Some((wanted.id, wanted.concurrency.as_ref()?)));
    let keys: BTreeMap<JobId, &ConcurrencyKey> = keyed.collect();
    history.looks().flat_map(|(at, jobs)| parked_for_nothing(&keys, at, jobs)).collect()
}

/// Whatever is queued or runs stands for its key. There are as many of those as the key has places, or none is parked.
fn parked_for_nothing(
    keys: &BTreeMap<JobId, &ConcurrencyKey>,
    at: usize,
    jobs: &[Seen],
) -> Vec<String> {
    let of_key = |job: &Seen| keys.get(&job.id).copied();
    let mut standing: BTreeMap<&str, u32> = BTreeMap::new();
    let stands = |job: &&Seen| job.state == State::Queued || job.state.is_running();
    for key in jobs.iter().filter(stands).filter_map(of_key) {
        *standing.entry(&key.key).or_default() += 1;
    }
    let parked = jobs.iter().filter(|job| job.is_parked);
    let parked = parked.filter_map(|job| Some((job.id, of_key(job)?)));
    let for_nothing = parked.filter_map(|(id, ConcurrencyKey { key, limit })| {
        let count = standing.get(key.as_str()).copied().unwrap_or(0);
        (count < *limit).then(|| {
            format!("{id} was parked at {at} although only {count} of the {limit} places of key {key} were wanted")
        })
    });
    for_nothing.collect()
}

#[cfg(test)]
mod tests {
    use super::{super::given::*, *};
    use crate::history::Moment;

    #[test]
    fn a_job_that_waits_for_a_key_of_which_a_place_is_free_is_found() {
        let parked = || Seen { is_parked: true, ..seen(2, State::Blocked) };
        for (state, broken) in [(State::Working, 0), (State::Queued, 0), (State::Done, 1)] {
            let mut history = History::default();
            history.submitted(keyed(1));
            history.submitted(keyed(2));
            history.note(Moment::Looked(vec![seen(1, state), parked()]));
            assert_eq!(check(&history).len(), broken, "{state:?}");
        }
    }
}
