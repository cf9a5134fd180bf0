//! What was accepted is there in the end, and has ended.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{id::JobId, state::State};

use crate::{
    History,
    history::{Answer, Moment, Request, Seen},
};

pub(super) fn check(history: &History) -> Vec<String> {
    let settled = history.moments.iter().find_map(|(_, moment)| {
        let Moment::Settled(seen) = moment else { return None };
        Some(seen)
    });
    let Some(settled) = settled else { return vec!["the story has no end".to_owned()] };
    let mut broken: Vec<String> =
        settled.iter().filter(|job| !job.state.is_terminal()).map(open).collect();
    let there: BTreeSet<JobId> = settled.iter().map(|job| job.id).collect();
    let gone: BTreeSet<JobId> = accepted(history).difference(&there).copied().collect();
    let last = last_seen(history);
    for job in &gone {
        // Only a dead letter can be purged. One that nobody ever saw may have been one.
        if let Some(state) =
            last.get(job).filter(|state| matches!(state, State::Done | State::Cancelled))
        {
            broken.push(format!("job {job}, which was {state:?}, is gone"));
        }
    }
    let purged = purged(history);
    if gone.len() > purged {
        broken.push(format!("{} jobs are gone, and {purged} were purged: {gone:?}", gone.len()));
    }
    broken
}

fn open(job: &Seen) -> String {
    format!("job {} is still {:?} in the end", job.id, job.state)
}

/// Every job that somebody was told of.
fn accepted(history: &History) -> BTreeSet<JobId> {
    let told = history.calls.iter().flat_map(|call| match &call.answer {
        Answer::Submitted(submitted) => vec![submitted.id()],
        Answer::Accepted(jobs) => jobs.clone(),
        Answer::Unknown
        | Answer::Claimed(_)
        | Answer::Kept
        | Answer::Fenced
        | Answer::Cancelled(_)
        | Answer::Retried(_)
        | Answer::Jobs(_)
        | Answer::Lost(_) => Vec::new(),
    });
    told.collect()
}

fn last_seen(history: &History) -> BTreeMap<JobId, State> {
    let jobs = history.looks().flat_map(|(_, jobs)| jobs);
    jobs.map(|job| (job.id, job.state)).collect()
}

/// How many jobs may have been purged. A purge that was not answered purged one at most: the client
/// asks for no more.
pub(super) fn purged(history: &History) -> usize {
    let purges = history.calls.iter().filter(|call| call.request == Request::PurgeDead);
    purges.map(|call| if let Answer::Jobs(jobs) = call.answer { jobs as usize } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::{super::given::*, *};

    #[test]
    fn a_job_that_was_accepted_and_is_gone_is_found_unless_it_was_purged() {
        let mut history = History::default();
        history.submitted(wanted(1));
        history.submitted(wanted(2));
        let mut purged = history.clone();
        history.note(Moment::Settled(vec![seen(1, State::Done)]));
        assert_eq!(check(&history).len(), 1);
        purged.call(Request::PurgeDead, Answer::Jobs(1));
        let mut done = purged.clone();
        purged.note(Moment::Settled(vec![seen(1, State::Done)]));
        assert_eq!(check(&purged), Vec::<String>::new());
        done.note(Moment::Looked(vec![seen(2, State::Done)]));
        done.note(Moment::Settled(vec![seen(1, State::Done)]));
        assert_eq!(check(&done).len(), 1);
    }

    #[test]
    fn a_job_that_has_not_ended_in_the_end_is_found() {
        let mut history = History::default();
        history.submitted(wanted(1));
        history.note(Moment::Settled(vec![seen(1, State::Blocked)]));
        assert_eq!(check(&history).len(), 1);
    }

    #[test]
    fn what_was_never_answered_may_be_missing() {
        let mut history = History::default();
        history.ask(Request::Submit(wanted(1)));
        history.note(Moment::Settled(vec![]));
        assert_eq!(check(&history), Vec::<String>::new());
    }
}
