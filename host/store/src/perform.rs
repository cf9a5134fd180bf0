//! From a command to what it does.

use std::sync::Arc;

use roughneck_jobs::{
    job::NewJob,
    past::Past,
    ports::store::{Claims, Finish, StoreError, Submitted},
    run::Run,
    state::State,
};

use crate::{
    command::{self, Command, Ending, Keeping, Kind, Reply, Submission, Wish},
    fault::Fault,
    transaction::Transaction,
    write::{
        bury, cancel, cancel_flow, claim, finish, keep, kv, leave, loading, lost, mend_waits,
        overdue, pause, promote, purge, record, release, renew, retire, retry, retry_flow,
        schedule, settle, slots, spending, submit, submit_child, submit_flow, withdraw,
    },
};

/// Answers, after the commit or after what kept it from happening.
type Sender = Box<dyn FnOnce(Option<&Arc<sqlx::Error>>) + Send>;

/// An answer that waits for the commit.
pub(crate) struct Answer {
    /// Whether the intention did what it should; otherwise it must leave nothing behind.
    pub(crate) is_ok: bool,
    /// Whether its caller was promised that what it wanted is on the disk.
    pub(crate) needs_disk: bool,
    send: Sender,
}

impl Answer {
    pub(crate) fn new<T: Send + 'static>(
        reply: Reply<T>,
        kind: Kind,
        result: Result<T, Fault>,
    ) -> Self {
        let is_ok = result.is_ok();
        let needs_disk = is_ok && kind.needs_disk();
        let send = move |lost: Option<&Arc<sqlx::Error>>| {
            let result = match (result, lost) {
                (Ok(_), Some(error)) => Err(command::broken(kind.doing(), error)),
                (Ok(value), None) => Ok(value),
                (Err(fault), Some(_) | None) => Err(fault.told(kind.doing())),
            };
            // A caller that is gone does not mind; what it wanted is done.
            drop(reply.send(result));
        };
        Self { is_ok, needs_disk, send: Box::new(send) }
    }

    /// Of somebody who waits on a connection and was promised nothing: the answer does not wait for the disk.
    pub(crate) fn of_attended(self, is_attended: bool) -> Self {
        Self { needs_disk: self.needs_disk && !is_attended, ..self }
    }

    /// Answers after the transaction was committed and, where that was promised, synced, or `lost` to an error.
    pub(crate) fn send(self, lost: Option<&Arc<sqlx::Error>>) {
        (self.send)(lost);
    }
}

/// Accepts submissions, all with one statement for each table, if all of them are new.
pub(crate) async fn submissions(
    tx: &mut Transaction<'_>,
    submissions: &[Submission],
) -> Result<bool, Fault> {
    let jobs: Vec<&NewJob> = submissions.iter().map(|submission| &*submission.job).collect();
    submit::all(tx, &jobs).await
}

/// Answers submissions that were all new.
pub(crate) fn answer_submissions(submissions: Vec<Submission>) -> impl Iterator<Item = Answer> {
    submissions.into_iter().map(|Submission { job, reply }| {
        let answer = Answer::new(reply, Kind::Submit, Ok(Submitted::Created(job.id)));
        answer.of_attended(job.class.is_attended())
    })
}

/// Ends runs, all with one statement for each table. Answers one by one; they fail together.
pub(crate) async fn endings(
    tx: &mut Transaction<'_>,
    endings: &[Ending],
) -> Result<Vec<Result<State, StoreError>>, Fault> {
    let ends: Vec<(Run, &Finish)> =
        endings.iter().map(|ending| (ending.run, &*ending.finish)).collect();
    finish::all(tx, &ends).await
}

/// Answers the ends of runs with what became of each.
pub(crate) fn answer_endings(
    endings: Vec<Ending>,
    ended: Vec<Result<State, StoreError>>,
) -> impl Iterator<Item = Answer> {
    endings
        .into_iter()
        .zip(ended)
        .map(|(ending, ended)| Answer::new(ending.reply, Kind::Finish, ended.map_err(Fault::from)))
}

/// Keeps jobs that are over, all with one statement for each table. They fail together, also if one of them is known.
pub(crate) async fn keepings(
    tx: &mut Transaction<'_>,
    keepings: &[Keeping],
) -> Result<Vec<State>, Fault> {
    let pasts: Vec<&Past> = keepings.iter().map(|keeping| &*keeping.past).collect();
    keep::all(tx, &pasts).await
}

/// Answers those whose jobs were all new.
pub(crate) fn answer_keepings(
    keepings: Vec<Keeping>,
    states: Vec<State>,
) -> impl Iterator<Item = Answer> {
    let pairs = keepings.into_iter().zip(states);
    pairs.map(|(keeping, state)| Answer::new(keeping.reply, Kind::Keep, Ok(Some(state))))
}

/// Hands out jobs of one class to all who want some: to the first what there is, and to the next only if the first
/// got all it wanted. They fail together.
pub(crate) async fn wishes(
    tx: &mut Transaction<'_>,
    wishes: &[Wish],
) -> Result<Vec<Claims>, Fault> {
    let mut granted: Vec<Claims> = Vec::with_capacity(wishes.len());
    let mut wanted_before = 0;
    for Wish { claim, .. } in wishes {
        let claims = match granted.last() {
            Some(Claims { claimed, next_at, .. }) if claimed.len() < wanted_before => {
                Claims { next_at: *next_at, ..Claims::default() }
            }
            Some(_) | None => claim::best(tx, claim).await?,
        };
        wanted_before = usize::try_from(claim.limit).unwrap_or(usize::MAX);
        granted.push(claims);
    }
    Ok(granted)
}

/// Answers wishes with what each got.
pub(crate) fn answer_wishes(
    wishes: Vec<Wish>,
    granted: Vec<Claims>,
) -> impl Iterator<Item = Answer> {
    let pairs = wishes.into_iter().zip(granted);
    pairs.map(|(wish, claims)| Answer::new(wish.reply, Kind::Claim, Ok(claims)))
}

/// Does what a command wants.
#[expect(clippy::too_many_lines, reason = "a table, with one entry for each intention")]
pub(crate) async fn command(tx: &mut Transaction<'_>, command: Command) -> Answer {
    let kind = command.kind();
    match command {
        Command::SetSlots { slots, reply } => {
            Answer::new(reply, kind, slots::set(tx, &slots).await)
        }
        Command::SetRates { rates, reply } => {
            Answer::new(reply, kind, pause::rates(tx, &rates).await)
        }
        Command::Pause { pause, reply } => Answer::new(reply, kind, pause::begin(tx, &pause).await),
        Command::Resume { scope, reply } => Answer::new(reply, kind, pause::end(tx, &scope).await),
        // It has nothing to write: its answer waits for what others have written.
        Command::Sync { reply } => Answer::new(reply, kind, Ok(())),
        Command::Submit { job, reply } => {
            let answer = Answer::new(reply, kind, submit::one(tx, &job).await);
            answer.of_attended(job.class.is_attended())
        }
        Command::Claim { claim, reply } => Answer::new(reply, kind, claim::best(tx, &claim).await),
        Command::Begin { id, at, lease_until, reply } => {
            Answer::new(reply, kind, claim::one(tx, id, at, lease_until).await)
        }
        Command::Keep { past, reply } => Answer::new(reply, kind, keep::one(tx, &past).await),
        Command::Withdraw { id, reason, at, reply } => {
            Answer::new(reply, kind, cancel::because(tx, id, &reason, at).await)
        }
        Command::WithdrawAll { class, reason, at, limit, reply } => {
            Answer::new(reply, kind, withdraw::all(tx, &class, &reason, at, limit).await)
        }
        Command::SetLoading { run, loading, at, reply } => {
            Answer::new(reply, kind, loading::set(tx, run, loading, at).await)
        }
        Command::GaveWay { run, at, reply } => {
            Answer::new(reply, kind, loading::gave_way(tx, run, at).await)
        }
        Command::Renew { runs, lease_until, reply } => {
            Answer::new(reply, kind, renew::all(tx, runs, lease_until).await)
        }
        Command::Finish { run, finish, reply } => {
            Answer::new(reply, kind, finish::one(tx, run, &finish).await)
        }
        Command::Cancel { id, at, reply } => {
            Answer::new(reply, kind, cancel::job(tx, id, at).await)
        }
        Command::Retry { id, at, reply } => Answer::new(reply, kind, retry::job(tx, id, at).await),
        Command::RetryMany { which, limit, at, reply } => {
            Answer::new(reply, kind, retry::many(tx, &which, limit, at).await)
        }
        Command::Purge { which, limit, reply } => {
            Answer::new(reply, kind, purge::dead(tx, &which, limit).await)
        }
        Command::Retire { state, until, limit, reply } => {
            Answer::new(reply, kind, retire::jobs(tx, state, until, limit).await)
        }
        Command::SubmitChild { run, child, reply } => {
            Answer::new(reply, kind, submit_child::one(tx, run, &child).await)
        }
        Command::SubmitFlow { flow, reply } => {
            Answer::new(reply, kind, submit_flow::all(tx, &flow).await)
        }
        Command::CancelFlow { id, at, reply } => {
            Answer::new(reply, kind, cancel_flow::all(tx, id, at).await)
        }
        Command::RetryFlow { id, at, reply } => {
            Answer::new(reply, kind, retry_flow::flow(tx, id, at).await)
        }
        Command::MendWaits { at, limit, reply } => {
            Answer::new(reply, kind, mend_waits::all(tx, at, limit).await)
        }
        Command::Release { run, at, reply } => {
            Answer::new(reply, kind, release::run(tx, run, at).await)
        }
        Command::Leave { run, usage, log, reply } => {
            Answer::new(reply, kind, leave::run(tx, run, &usage, &log).await)
        }
        Command::Recover { at, reply } => Answer::new(reply, kind, lost::recover(tx, at).await),
        Command::Reap { at, limit, reply } => {
            Answer::new(reply, kind, lost::reap(tx, at, limit).await)
        }
        Command::Promote { at, limit, reply } => {
            Answer::new(reply, kind, promote::due(tx, at, limit).await)
        }
        Command::FailOverdue { at, limit, reply } => {
            Answer::new(reply, kind, overdue::fail(tx, at, limit).await)
        }
        Command::RecordDelivery { id, outcome, at, reply } => {
            Answer::new(reply, kind, record::delivery(tx, id, outcome, at).await)
        }
        Command::BuryDeliveries { unreadable, at, reply } => {
            Answer::new(reply, kind, bury::deliveries(tx, &unreadable, at).await)
        }
        Command::RememberSchedule { id, timing, now, reply } => {
            Answer::new(reply, kind, schedule::remember(tx, &id, &timing, now).await)
        }
        Command::CreateSchedule { spec, pause, at, max, reply } => {
            let created = schedule::create(tx, &spec, pause.as_ref(), at, max).await;
            Answer::new(reply, kind, created)
        }
        Command::ChangeSchedule { spec, at, reply } => {
            Answer::new(reply, kind, schedule::change(tx, &spec, at).await)
        }
        Command::DeleteSchedule { id, reply } => {
            Answer::new(reply, kind, schedule::delete(tx, &id).await)
        }
        Command::PauseSchedule { id, pause, reply } => {
            Answer::new(reply, kind, schedule::pause(tx, &id, &pause).await)
        }
        Command::ResumeSchedule { id, at, reply } => {
            Answer::new(reply, kind, schedule::resume(tx, &id, at).await)
        }
        Command::Settle { settlement, reply } => {
            Answer::new(reply, kind, settle::fires(tx, &settlement).await)
        }
        Command::ForgetFires { until, limit, reply } => {
            Answer::new(reply, kind, settle::forget(tx, until, limit).await)
        }
        Command::RememberSpent { date, spent, reply } => {
            Answer::new(reply, kind, spending::remember(tx, &date, &spent).await)
        }
        Command::ForgetSpent { date, limit, reply } => {
            Answer::new(reply, kind, spending::forget(tx, &date, limit).await)
        }
        Command::SetValue { run, entry, reply } => {
            Answer::new(reply, kind, kv::set(tx, run, &entry).await)
        }
        Command::DeleteValue { run, key, reply } => {
            Answer::new(reply, kind, kv::delete(tx, run, &key).await)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn only_who_was_promised_the_disk_waits_for_it() {
        let answer = |kind| {
            let (reply, _) = oneshot::channel::<Result<(), StoreError>>();
            Answer::new(reply, kind, Ok(()))
        };
        assert!(answer(Kind::Submit).of_attended(false).needs_disk);
        assert!(!answer(Kind::Submit).of_attended(true).needs_disk);
        for kind in [Kind::Claim, Kind::SetLoading, Kind::GaveWay, Kind::Release, Kind::ForgetFires]
        {
            assert!(!answer(kind).of_attended(false).needs_disk, "{kind:?}");
        }
    }
}
