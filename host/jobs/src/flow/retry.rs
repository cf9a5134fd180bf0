//! Which jobs of a flow come back when some of them are to run again.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Need,
    need::{Standing, standing},
    order::order,
};
use crate::{id::JobId, state::State};

/// A job of a flow, as far as a retry on request looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The job.
    pub job: JobId,
    /// Where it is.
    pub state: State,
    /// Whether it failed because a job that it needs did.
    pub is_dependency_failed: bool,
    /// Whether it is blocked by jobs that it needs, and not by anything else.
    pub is_waiting: bool,
}

/// What a retry on request does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// The jobs that come back, each with the number of jobs it waits for: queued if there is none,
    /// otherwise blocked.
    pub back: Vec<(JobId, u32)>,
    /// Blocked jobs that now wait for this many.
    pub waiting: Vec<(JobId, u32)>,
    /// Jobs that were wanted and cannot come back, each with a needed job that stays without a result.
    pub held_back: Vec<(JobId, JobId)>,
}

/// Decides a retry of the `wanted` jobs of a flow, of which these are all `jobs` and all `needs`. With
/// a job come back all that failed because of it, unless they need another one that stays without a
/// result. What has neither failed nor been cancelled stays as it is.
#[must_use]
pub fn retry(jobs: &[Known], needs: &[(JobId, Need)], wanted: &BTreeSet<JobId>) -> Retry {
    let mut of_job: BTreeMap<JobId, Vec<Need>> = BTreeMap::new();
    for (job, need) in needs {
        of_job.entry(*job).or_default().push(*need);
    }
    let states: BTreeMap<JobId, State> =
        jobs.iter().map(|known| (known.job, known.state)).collect();
    let mut back = BTreeSet::new();
    let mut retry = Retry::default();
    for known in in_order(jobs, &of_job) {
        let needs = of_job.get(&known.job).map_or(&[][..], Vec::as_slice);
        let returns = |need: &Need| back.contains(&need.job);
        let stands = |need: &Need| {
            let needed =
                if returns(need) { Some(State::Blocked) } else { states.get(&need.job).copied() };
            standing(needed, need.on_failure)
        };
        let open = needs.iter().filter(|need| stands(need) == Standing::Open).count();
        let waits = u32::try_from(open).unwrap_or(u32::MAX);
        let broken = needs.iter().find(|need| stands(need) == Standing::Broken);
        let is_wanted = wanted.contains(&known.job);
        let follows = known.is_dependency_failed && needs.iter().any(returns);
        match known.state {
            State::Failed | State::Cancelled if is_wanted || follows => match broken {
                None => {
                    back.insert(known.job);
                    retry.back.push((known.job, waits));
                }
                Some(need) if is_wanted => retry.held_back.push((known.job, need.job)),
                Some(_) => {}
            },
            State::Blocked if known.is_waiting && needs.iter().any(returns) => {
                retry.waiting.push((known.job, waits));
            }
            State::Blocked
            | State::Scheduled
            | State::Queued
            | State::Loading
            | State::Working
            | State::Done
            | State::Failed
            | State::Cancelled => {}
        }
    }
    retry
}

/// The jobs, each after those that it needs. A circle, which no flow has, keeps the given order.
fn in_order<'a>(jobs: &'a [Known], of_job: &BTreeMap<JobId, Vec<Need>>) -> Vec<&'a Known> {
    let places: BTreeMap<JobId, usize> =
        jobs.iter().enumerate().map(|(place, known)| (known.job, place)).collect();
    let needs: Vec<Vec<usize>> = jobs
        .iter()
        .map(|known| {
            let needs = of_job.get(&known.job).into_iter().flatten();
            needs.filter_map(|need| places.get(&need.job).copied()).collect()
        })
        .collect();
    match order(&needs) {
        Ok(order) => order.into_iter().filter_map(|place| jobs.get(place)).collect(),
        Err(_) => jobs.iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::OnFailure, *};
    use crate::clock::{Entropy, Millis};

    struct Number(u128);
    impl Entropy for Number {
        fn roll(&self) -> u128 {
            self.0
        }
    }

    fn id(n: usize) -> JobId {
        JobId::at(Millis(1), &Number(n as u128))
    }

    fn known(n: usize, state: State) -> Known {
        let is_waiting = state == State::Blocked;
        Known { job: id(n), state, is_dependency_failed: false, is_waiting }
    }

    fn followed(n: usize) -> Known {
        Known { is_dependency_failed: true, ..known(n, State::Failed) }
    }

    fn need(job: usize, needed: usize, on_failure: OnFailure) -> (JobId, Need) {
        (id(job), Need { job: id(needed), on_failure })
    }

    fn wanted(jobs: &[usize]) -> BTreeSet<JobId> {
        jobs.iter().map(|n| id(*n)).collect()
    }

    #[test]
    fn with_a_job_come_back_all_that_failed_because_of_it_in_any_order() {
        // 2 needs 0 and 1, and 1 needs 0: it is met before 1 has come back.
        let jobs = [followed(2), followed(1), known(0, State::Failed), known(3, State::Done)];
        let needs = [
            need(2, 0, OnFailure::Fail),
            need(2, 1, OnFailure::Fail),
            need(1, 0, OnFailure::Fail),
            need(1, 3, OnFailure::Fail),
        ];
        let retry = retry(&jobs, &needs, &wanted(&[0]));
        assert_eq!(retry.back, [(id(0), 0), (id(1), 1), (id(2), 2)]);
        assert_eq!((retry.waiting, retry.held_back), (vec![], vec![]));
    }

    #[test]
    fn a_job_that_needs_another_one_without_a_result_stays() {
        let jobs = [known(0, State::Failed), known(1, State::Failed), followed(2)];
        let needs = [need(2, 0, OnFailure::Fail), need(2, 1, OnFailure::Fail)];
        let one = retry(&jobs, &needs, &wanted(&[0]));
        assert_eq!((one.back, one.held_back), (vec![(id(0), 0)], vec![]));
        let both = retry(&jobs, &needs, &wanted(&[0, 1]));
        assert_eq!(both.back, [(id(0), 0), (id(1), 0), (id(2), 2)]);
        let alone = retry(&jobs, &needs, &wanted(&[2]));
        assert_eq!((alone.back, alone.held_back), (vec![], vec![(id(2), id(0))]));
    }

    #[test]
    fn a_job_whose_needed_one_was_deleted_cannot_come_back_unless_it_may_do_without() {
        let jobs = [followed(1), known(2, State::Failed)];
        let needs = [need(1, 0, OnFailure::Fail), need(2, 0, OnFailure::Continue)];
        let retry = retry(&jobs, &needs, &wanted(&[1, 2]));
        assert_eq!((retry.back, retry.held_back), (vec![(id(2), 0)], vec![(id(1), id(0))]));
    }

    #[test]
    fn a_blocked_job_waits_again_for_what_comes_back_and_one_that_runs_does_not() {
        let jobs = [
            known(0, State::Failed),
            known(1, State::Blocked),
            known(2, State::Working),
            known(3, State::Queued),
        ];
        let needs = [
            need(1, 0, OnFailure::Continue),
            need(1, 2, OnFailure::Fail),
            need(2, 0, OnFailure::Ignore),
            need(3, 0, OnFailure::Continue),
        ];
        let retry = retry(&jobs, &needs, &wanted(&[0]));
        assert_eq!((retry.back, retry.waiting), (vec![(id(0), 0)], vec![(id(1), 2)]));
    }

    #[test]
    fn a_job_that_is_blocked_by_something_else_waits_for_nothing_new() {
        let parked = Known { is_waiting: false, ..known(1, State::Blocked) };
        let needs = [need(1, 0, OnFailure::Continue)];
        let retry = retry(&[known(0, State::Failed), parked], &needs, &wanted(&[0]));
        assert_eq!((retry.back, retry.waiting), (vec![(id(0), 0)], vec![]));
    }

    #[test]
    fn a_failure_of_its_own_is_not_mended_by_another_job() {
        let jobs = [known(0, State::Failed), known(1, State::Failed), known(2, State::Cancelled)];
        let needs = [need(1, 0, OnFailure::Continue), need(2, 0, OnFailure::Fail)];
        assert_eq!(retry(&jobs, &needs, &wanted(&[0])).back, [(id(0), 0)]);
    }

    prop_compose! {
        fn flows()(
            states in prop::collection::vec((0..State::ALL.len(), any::<bool>()), 1..10),
            edges in prop::collection::vec((0..10_usize, 0..10_usize, 0..3_usize), 0..20),
            wanted in prop::collection::btree_set(0..10_usize, 0..10),
        ) -> (Vec<Known>, Vec<(JobId, Need)>, BTreeSet<JobId>) {
            let jobs = states.iter().enumerate().map(|(n, (state, follows))| Known {
                job: id(n),
                state: State::ALL[*state],
                is_dependency_failed: *follows,
                is_waiting: *follows && State::ALL[*state] == State::Blocked,
            });
            // Needed jobs come first, so there is no circle; those beyond the last were deleted.
            let rules = [OnFailure::Fail, OnFailure::Continue, OnFailure::Ignore];
            let edges = edges.iter().filter(|(job, needed, _)| needed < job || *needed >= states.len());
            let needs = edges.map(|(job, needed, rule)| need(*job, *needed, rules[*rule])).collect();
            (jobs.collect(), needs, wanted.into_iter().map(id).collect())
        }
    }

    proptest! {
        #[test]
        fn what_comes_back_waits_for_all_that_is_not_over_and_for_nothing_broken((jobs, needs, wanted) in flows()) {
            let retry = retry(&jobs, &needs, &wanted);
            let back: BTreeSet<JobId> = retry.back.iter().map(|(job, _)| *job).collect();
            let after = |job: JobId| match jobs.iter().find(|known| known.job == job) {
                Some(_) if back.contains(&job) => Some(State::Blocked),
                known => known.map(|known| known.state),
            };
            let stands = |job: JobId, meant: Standing| needs.iter()
                .filter(|(of, need)| *of == job && standing(after(need.job), need.on_failure) == meant).count();
            for (job, waits) in retry.back.iter().chain(&retry.waiting) {
                prop_assert_eq!(stands(*job, Standing::Open), *waits as usize);
            }
            for job in &back {
                prop_assert_eq!(stands(*job, Standing::Broken), 0);
                let state = jobs.iter().find(|known| known.job == *job).unwrap().state;
                prop_assert!(matches!(state, State::Failed | State::Cancelled));
            }
            for (job, _) in &retry.held_back {
                prop_assert!(wanted.contains(job) && stands(*job, Standing::Broken) > 0);
            }
        }
    }
}
