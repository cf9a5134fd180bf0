//! A job that needs others runs after them, and never waits when they are over.

use std::collections::BTreeMap;

use roughneck_jobs::{
    flow::{
        Need,
        need::{Standing, standing},
    },
    id::JobId,
    state::State,
};

use crate::{
    History,
    history::{Seen, Wanted},
};

pub(super) fn check(history: &History) -> Vec<String> {
    let wanted: BTreeMap<JobId, &Wanted> =
        history.wanted().filter(|job| job.flow.is_some()).map(|job| (job.id, job)).collect();
    let mut broken = Vec::new();
    for (at, jobs) in history.looks() {
        let states: BTreeMap<JobId, State> = jobs.iter().map(|job| (job.id, job.state)).collect();
        for job in jobs {
            let Some(wanted) = wanted.get(&job.id) else { continue };
            let look = Look { history, at, states: &states };
            broken
                .extend(look.wrong(job, wanted).map(|why| format!("job {} {why} at {at}", job.id)));
        }
    }
    broken
}

/// One read of all jobs.
struct Look<'a> {
    history: &'a History,
    at: usize,
    states: &'a BTreeMap<JobId, State>,
}

impl Look<'_> {
    /// What is wrong with a job, by those that it needs.
    fn wrong(&self, job: &Seen, wanted: &Wanted) -> Option<String> {
        let stands = |need: &&Need| standing(self.states.get(&need.job).copied(), need.on_failure);
        let open = |need: &&Need| stands(need) == Standing::Open;
        let open = wanted.needs.iter().filter(open).count();
        let is_blocked = job.state == State::Blocked;
        if is_blocked && job.waits as usize != open {
            return Some(format!("waits for {}, and {open} of its needs are not over", job.waits));
        }
        // One that is parked waits for its key.
        if is_blocked && job.waits == 0 && wanted.concurrency.is_none() {
            return Some("is blocked by nothing".to_owned());
        }
        // What was run again may need what is run again after it.
        let is_lost = matches!(job.state, State::Failed | State::Cancelled);
        if is_lost || self.is_retried(job.id, wanted) {
            return None;
        }
        let is_kept = |need: &&Need| self.states.contains_key(&need.job);
        let mut kept = wanted.needs.iter().filter(is_kept);
        if kept.any(|need| stands(&need) == Standing::Broken) {
            return Some("goes on although a job that it needs has failed".to_owned());
        }
        (!is_blocked && open > 0).then(|| format!("goes on before {open} jobs that it needs"))
    }

    fn is_retried(&self, job: JobId, wanted: &Wanted) -> bool {
        let mut all = wanted.needs.iter().map(|need| need.job).chain([job]);
        all.any(|job| self.history.may_be_retried(job, 0, self.at))
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::flow::OnFailure;

    use super::{super::given::*, *};
    use crate::history::{Answer, Moment, Request};

    /// What is found if `2` needs `1`, and they are seen like this.
    fn found(on_failure: OnFailure, first: State, second: State, waits: u32) -> usize {
        let mut history = History::default();
        let needs = vec![Need { job: job(1), on_failure }];
        let jobs = [(wanted(1), Vec::new()), (wanted(2), needs)];
        let jobs = jobs.map(|(job, needs)| Wanted { flow: Some(flow(1)), needs, ..job });
        let ids = jobs.iter().map(|job| job.id).collect();
        history.call(Request::SubmitFlow(jobs.to_vec()), Answer::Accepted(ids));
        let second = Seen { waits, ..seen(2, second) };
        history.note(Moment::Looked(vec![seen(1, first), second]));
        check(&history).len()
    }

    #[test]
    fn a_job_that_is_left_blocked_or_goes_too_early_is_found() {
        use OnFailure::{Continue, Fail};
        use State::{Blocked, Cancelled, Done, Failed, Queued, Working};
        let fine = [
            (Fail, Working, Blocked, 1),
            (Fail, Done, Queued, 0),
            (Fail, Failed, Failed, 0),
            (Fail, Working, Cancelled, 0),
            (Continue, Failed, Working, 0),
        ];
        for (rule, first, second, waits) in fine {
            assert_eq!(found(rule, first, second, waits), 0, "{first:?} {second:?}");
        }
        let wrong = [
            (Fail, Done, Blocked, 1),
            (Fail, Done, Blocked, 0),
            (Fail, Working, Blocked, 0),
            (Fail, Working, Queued, 0),
            (Fail, Failed, Queued, 0),
            (Continue, Failed, Blocked, 1),
        ];
        for (rule, first, second, waits) in wrong {
            assert_eq!(found(rule, first, second, waits), 1, "{first:?} {second:?}");
        }
    }
}
