//! After its cancellation was answered, a job is not run any more, and its run does nothing.

use roughneck_jobs::{id::JobId, ports::store::Cancelled, run::Run};

use crate::{
    History,
    history::{Answer, Moment, Request},
};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for call in &history.calls {
        if let (Request::CancelFlow(_), Answer::Lost(runs)) = (&call.request, &call.answer) {
            broken.extend(runs.iter().filter_map(|run| acts(history, *run, call.answered)));
        }
        let (Request::Cancel(job), Answer::Cancelled(cancelled)) = (&call.request, &call.answer)
        else {
            continue;
        };
        match cancelled {
            Cancelled::Ended(_) => continue,
            Cancelled::Waiting => {}
            Cancelled::Running(run) => broken.extend(acts(history, *run, call.answered)),
        }
        broken.extend(claims(history, *job, call.asked, call.answered));
    }
    broken
}

/// What the run did after `at`.
fn acts(history: &History, run: Run, at: usize) -> Option<String> {
    let late = history.moments.iter().find(|(moment_at, moment)| {
        *moment_at > at && (*moment == Moment::Began(run) || *moment == Moment::Acted(run))
    });
    late.map(|(_, moment)| format!("{moment:?} after the job was cancelled"))
}

/// Claims of the job that were asked for after its cancellation, and after no retry.
fn claims(history: &History, job: JobId, asked: usize, answered: usize) -> Option<String> {
    let late = history.taken().find(|(claim, taken)| {
        taken.run.job == job
            && claim.asked > answered
            && !history.may_be_retried(job, asked, claim.answered)
    });
    late.map(|(_, taken)| format!("{:?} was handed out after the job was cancelled", taken.run))
}

#[cfg(test)]
mod tests {
    use super::{super::given::*, *};

    fn cancelled(how: Cancelled) -> History {
        let mut history = History::default();
        history.claimed(run(1, 1));
        history.note(Moment::Began(run(1, 1)));
        history.call(Request::Cancel(job(1)), Answer::Cancelled(how));
        history
    }

    #[test]
    fn a_cancelled_run_that_goes_on_is_found() {
        let mut history = cancelled(Cancelled::Running(run(1, 1)));
        assert_eq!(check(&history), Vec::<String>::new());
        history.note(Moment::Acted(run(1, 1)));
        assert_eq!(check(&history).len(), 1);
    }

    #[test]
    fn a_cancelled_job_that_is_handed_out_is_found_unless_somebody_wanted_a_retry() {
        let mut history = cancelled(Cancelled::Waiting);
        let mut retried = history.clone();
        history.claimed(run(1, 2));
        assert_eq!(check(&history).len(), 1);
        retried.ask(Request::Retry(job(1)));
        retried.claimed(run(1, 2));
        assert_eq!(check(&retried), Vec::<String>::new());
    }
}
