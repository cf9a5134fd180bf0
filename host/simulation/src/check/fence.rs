//! Tokens only grow, a run that lost its job writes nothing, and its plugin is not blamed for the loss.

use std::collections::BTreeMap;

use roughneck_jobs::{id::JobId, ports::store::Cancelled, run::Run};

use crate::{
    History,
    history::{Answer, Call, Moment, Request, Write},
};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut broken = tokens(history);
    for (_, moment) in &history.moments {
        if let Moment::Blamed(run) = moment {
            broken.push(format!("{run:?} had lost its job, and its plugin has failed for that"));
        }
    }
    for call in history.calls.iter().filter(|call| call.answer == Answer::Kept) {
        let Request::Write(run, write) = call.request else { continue };
        let mut before = history.calls.iter().filter(|other| other.answered < call.asked);
        if let Some(loss) = before.rfind(|other| has_lost(history, other, run)) {
            broken
                .push(format!("{run:?} had lost its job by {loss:?}, and its {write:?} was kept"));
        }
    }
    broken
}

fn tokens(history: &History) -> Vec<String> {
    let mut claims: Vec<_> = history.taken().collect();
    claims.sort_by_key(|(call, _)| call.answered);
    let mut last: BTreeMap<JobId, i64> = BTreeMap::new();
    let mut broken = Vec::new();
    for (_, taken) in claims {
        let Run { job, token } = taken.run;
        if last.insert(job, token).is_some_and(|last| last >= token) {
            broken.push(format!("the token of {:?} has not grown", taken.run));
        }
    }
    broken
}

/// Whether this answer says that the run does not hold its job.
fn has_lost(history: &History, call: &Call, run: Run) -> bool {
    match (&call.request, &call.answer) {
        (_, Answer::Claimed(taken)) => {
            taken.iter().any(|one| one.run.job == run.job && one.run.token > run.token)
        }
        (_, Answer::Lost(runs)) => runs.contains(&run),
        (Request::Write(writer, Write::End | Write::GiveBack), Answer::Kept) => *writer == run,
        (Request::Cancel(job), Answer::Cancelled(Cancelled::Running(_))) => {
            *job == run.job && was_claimed_before(history, run, call.asked)
        }
        (Request::Recover, Answer::Jobs(_)) => was_claimed_before(history, run, call.asked),
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
            | Answer::Kept
            | Answer::Fenced
            | Answer::Cancelled(_)
            | Answer::Retried(_)
            | Answer::Jobs(_),
        ) => false,
    }
}

fn was_claimed_before(history: &History, run: Run, at: usize) -> bool {
    history.taken().any(|(claim, taken)| taken.run == run && claim.answered < at)
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::class::Class;

    use super::{super::given::*, *};

    #[test]
    fn a_stale_run_whose_write_is_kept_is_found() {
        let losses: [(Request, Answer); 5] = [
            (Request::Reap, Answer::Lost(vec![run(1, 1)])),
            (Request::FailOverdue, Answer::Lost(vec![run(1, 1)])),
            (Request::Recover, Answer::Jobs(1)),
            (Request::Cancel(job(1)), Answer::Cancelled(Cancelled::Running(run(1, 1)))),
            (Request::Write(run(1, 1), Write::GiveBack), Answer::Kept),
        ];
        for (request, answer) in losses {
            for write in [Write::End, Write::GiveBack, Write::Loading, Write::KeyValue] {
                let mut history = History::default();
                history.claimed(run(1, 1));
                history.call(request.clone(), answer.clone());
                history.call(Request::Write(run(1, 1), write), Answer::Fenced);
                assert_eq!(check(&history), Vec::<String>::new());
                history.call(Request::Write(run(1, 1), write), Answer::Kept);
                assert_eq!(check(&history).len(), 1, "{request:?} {write:?}");
            }
        }
    }

    #[test]
    fn a_write_after_the_next_claim_is_found_and_a_token_that_does_not_grow() {
        let mut history = History::default();
        history.claimed(run(1, 1));
        history.claimed(run(1, 2));
        history.call(Request::Write(run(1, 2), Write::Loading), Answer::Kept);
        assert_eq!(check(&history), Vec::<String>::new());
        history.call(Request::Write(run(1, 1), Write::Loading), Answer::Kept);
        assert_eq!(check(&history).len(), 1);
        history.claimed(run(1, 2));
        assert!(check(&history)[0].contains("has not grown"));
    }

    #[test]
    fn a_loss_that_is_kept_as_a_failure_is_found() {
        let mut history = History::default();
        history.note(Moment::Blamed(run(1, 1)));
        assert_eq!(check(&history).len(), 1);
    }

    #[test]
    fn a_write_that_crossed_the_loss_on_its_way_is_no_breach() {
        let mut history = History::default();
        history.claimed(run(1, 1));
        let write = history.ask(Request::Write(run(1, 1), Write::End));
        history.call(Request::Reap, Answer::Lost(vec![]));
        history.call(Request::Claim(Class("io".to_owned())), Answer::Claimed(vec![]));
        history.answer(write, Answer::Kept);
        assert_eq!(check(&history), Vec::<String>::new());
    }
}
