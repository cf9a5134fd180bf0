//! Between two retries on request a job ends at most once, and what has ended stays as it is.

use std::collections::BTreeMap;

use roughneck_jobs::{id::JobId, ports::store::Cancelled, state::State};

use crate::{
    History,
    history::{Answer, Call, Request, Write},
};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let mut last: BTreeMap<JobId, &Call> = BTreeMap::new();
    let mut ends: Vec<_> =
        history.calls.iter().filter_map(|call| Some((end(call)?, call))).collect();
    ends.sort_by_key(|(_, call)| call.answered);
    for (job, call) in ends {
        let before = last.insert(job, call);
        if let Some(before) = before.filter(|before| !is_retried(history, job, before.asked, call))
        {
            broken.push(format!("job {job} ended twice: {before:?} and {call:?}"));
        }
    }
    broken.extend(rest(history));
    broken
}

/// The job that this call ended.
fn end(call: &Call) -> Option<JobId> {
    match (&call.request, &call.answer) {
        (Request::Write(run, Write::End), Answer::Kept) => Some(run.job),
        (Request::Cancel(job), Answer::Cancelled(Cancelled::Waiting | Cancelled::Running(_))) => {
            Some(*job)
        }
        (
            Request::Submit(_)
            | Request::SubmitFlow(_)
            | Request::Settle(_)
            | Request::Pause(_)
            | Request::Resume(_)
            | Request::Claim(_)
            | Request::Write(..)
            | Request::Cancel(_)
            | Request::CancelFlow(_)
            | Request::Retry(_)
            | Request::RetryFlow(_)
            | Request::RetryDead
            | Request::PurgeDead
            | Request::Recover
            | Request::Reap
            | Request::FailOverdue,
            Answer::Unknown
            | Answer::Submitted(_)
            | Answer::Accepted(_)
            | Answer::Claimed(_)
            | Answer::Kept
            | Answer::Fenced
            | Answer::Cancelled(_)
            | Answer::Retried(_)
            | Answer::Jobs(_)
            | Answer::Lost(_),
        ) => None,
    }
}

fn is_retried(history: &History, job: JobId, from: usize, until: &Call) -> bool {
    history.may_be_retried(job, from, until.answered)
}

/// What a reader saw: a state that is the last one, and another one later.
fn rest(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let mut ended: BTreeMap<JobId, (usize, State)> = BTreeMap::new();
    for (at, jobs) in history.looks() {
        for job in jobs {
            if let Some((before, state)) = ended.get(&job.id)
                && *state != job.state
                && (*state == State::Done || !history.may_be_retried(job.id, *before, at))
            {
                broken.push(format!("job {} was {state:?} and is {:?} now", job.id, job.state));
            }
            if job.state.is_terminal() {
                ended.insert(job.id, (at, job.state));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::ports::store::Retried;

    use super::{super::given::*, *};
    use crate::history::Moment;

    #[test]
    fn a_second_end_is_found_unless_somebody_wanted_a_retry() {
        let ended_twice = |between: Option<Answer>| {
            let mut history = History::default();
            history.ended(run(1, 1));
            if let Some(answer) = between {
                history.call(Request::Retry(job(1)), answer);
            }
            history.ended(run(1, 2));
            check(&history).len()
        };
        assert_eq!(ended_twice(None), 1);
        assert_eq!(ended_twice(Some(Answer::Retried(Retried::Unchanged(State::Done)))), 1);
        assert_eq!(ended_twice(Some(Answer::Retried(Retried::Queued))), 0);
        assert_eq!(ended_twice(Some(Answer::Unknown)), 0);
    }

    #[test]
    fn a_job_that_is_done_is_never_anything_else() {
        let mut history = History::default();
        for state in [State::Working, State::Done, State::Done] {
            history.note(Moment::Looked(vec![seen(1, state)]));
        }
        assert_eq!(check(&history), Vec::<String>::new());
        history.call(Request::RetryDead, Answer::Jobs(1));
        history.note(Moment::Looked(vec![seen(1, State::Queued)]));
        assert_eq!(check(&history).len(), 1);
    }
}
