//! The intentions that reach the writer, each with the way its answer takes.

use std::sync::Arc;

use roughneck_jobs::{
    class::Slots,
    clock::Millis,
    delivery::DeliveryOutcome,
    id::{DeliveryId, JobId},
    job::NewJob,
    ports::{
        kv::{Key, Written},
        schedules::Settlement,
        store::{Cancelled, Claim, Claimed, Finish, StoreError, Submitted, Swept},
    },
    run::Run,
    state::State,
};
use tokio::sync::oneshot;

/// The way of an answer to its caller, who may be gone.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A job on its way in.
pub(crate) struct Submission {
    pub(crate) job: NewJob,
    pub(crate) reply: Reply<Submitted>,
}

/// A value on its way into the state of a plugin.
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Vec<u8>,
    pub(crate) bytes_max: u64,
}

/// One intention.
pub(crate) enum Command {
    SetSlots { slots: Vec<Slots>, reply: Reply<()> },
    Submit(Box<Submission>),
    Claim { claim: Claim, reply: Reply<Vec<Claimed>> },
    SetLoading { run: Run, loading: bool, at: Millis, reply: Reply<()> },
    Renew { runs: Vec<Run>, lease_until: Millis, reply: Reply<Vec<Run>> },
    Finish { run: Run, finish: Box<Finish>, reply: Reply<State> },
    Cancel { id: JobId, at: Millis, reply: Reply<Cancelled> },
    Release { run: Run, at: Millis, reply: Reply<()> },
    Recover { at: Millis, reply: Reply<u32> },
    Reap { at: Millis, limit: u32, reply: Reply<Swept> },
    Promote { at: Millis, limit: u32, reply: Reply<Swept> },
    RecordDelivery { id: DeliveryId, outcome: DeliveryOutcome, at: Millis, reply: Reply<()> },
    RememberSchedule { schedule: String, now: Millis, reply: Reply<Millis> },
    Settle { settlement: Settlement, reply: Reply<Vec<JobId>> },
    SetValue { run: Run, entry: Box<Entry>, reply: Reply<Written> },
    DeleteValue { run: Run, key: Key, reply: Reply<bool> },
}

/// The name of a [`Command`], for metrics and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    SetSlots,
    Submit,
    Claim,
    SetLoading,
    Renew,
    Finish,
    Cancel,
    Release,
    Recover,
    Reap,
    Promote,
    RecordDelivery,
    RememberSchedule,
    Settle,
    SetValue,
    DeleteValue,
}

impl Kind {
    /// All of them, so that their counters are born at zero.
    pub(crate) const ALL: [Self; 16] = [
        Self::SetSlots,
        Self::Submit,
        Self::Claim,
        Self::SetLoading,
        Self::Renew,
        Self::Finish,
        Self::Cancel,
        Self::Release,
        Self::Recover,
        Self::Reap,
        Self::Promote,
        Self::RecordDelivery,
        Self::RememberSchedule,
        Self::Settle,
        Self::SetValue,
        Self::DeleteValue,
    ];

    /// The label of the metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SetSlots => "set_slots",
            Self::Submit => "submit",
            Self::Claim => "claim",
            Self::SetLoading => "set_loading",
            Self::Renew => "renew",
            Self::Finish => "finish",
            Self::Cancel => "cancel",
            Self::Release => "release",
            Self::Recover => "recover",
            Self::Reap => "reap",
            Self::Promote => "promote",
            Self::RecordDelivery => "record_delivery",
            Self::RememberSchedule => "remember_schedule",
            Self::Settle => "settle",
            Self::SetValue => "set_value",
            Self::DeleteValue => "delete_value",
        }
    }

    /// Completes the sentence "the store failed while it tried to …".
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::SetSlots => "set the slots of the classes",
            Self::Submit => "accept a job",
            Self::Claim => "claim jobs",
            Self::SetLoading => "note that a run waits for its model",
            Self::Renew => "renew leases",
            Self::Finish => "end a run",
            Self::Cancel => "cancel a job",
            Self::Release => "give a run back",
            Self::Recover => "recover the runs of the last process",
            Self::Reap => "take back expired runs",
            Self::Promote => "queue the jobs that are due",
            Self::RecordDelivery => "record a delivery",
            Self::RememberSchedule => "remember a schedule",
            Self::Settle => "settle the fires of a schedule",
            Self::SetValue => "set a value of a plugin",
            Self::DeleteValue => "delete a value of a plugin",
        }
    }
}

impl Command {
    /// Its name.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::SetSlots { .. } => Kind::SetSlots,
            Self::Submit(_) => Kind::Submit,
            Self::Claim { .. } => Kind::Claim,
            Self::SetLoading { .. } => Kind::SetLoading,
            Self::Renew { .. } => Kind::Renew,
            Self::Finish { .. } => Kind::Finish,
            Self::Cancel { .. } => Kind::Cancel,
            Self::Release { .. } => Kind::Release,
            Self::Recover { .. } => Kind::Recover,
            Self::Reap { .. } => Kind::Reap,
            Self::Promote { .. } => Kind::Promote,
            Self::RecordDelivery { .. } => Kind::RecordDelivery,
            Self::RememberSchedule { .. } => Kind::RememberSchedule,
            Self::Settle { .. } => Kind::Settle,
            Self::SetValue { .. } => Kind::SetValue,
            Self::DeleteValue { .. } => Kind::DeleteValue,
        }
    }

    /// Answers a command that was not tried, because its whole batch met `error`.
    pub(crate) fn reject(self, error: &Arc<sqlx::Error>) {
        let doing = self.kind().doing();
        match self {
            Self::SetSlots { reply, .. } => refuse(reply, doing, error),
            Self::Submit(submission) => refuse(submission.reply, doing, error),
            Self::Claim { reply, .. } => refuse(reply, doing, error),
            Self::SetLoading { reply, .. } => refuse(reply, doing, error),
            Self::Renew { reply, .. } => refuse(reply, doing, error),
            Self::Finish { reply, .. } => refuse(reply, doing, error),
            Self::Cancel { reply, .. } => refuse(reply, doing, error),
            Self::Release { reply, .. } => refuse(reply, doing, error),
            Self::Recover { reply, .. } => refuse(reply, doing, error),
            Self::Reap { reply, .. } => refuse(reply, doing, error),
            Self::Promote { reply, .. } => refuse(reply, doing, error),
            Self::RecordDelivery { reply, .. } => refuse(reply, doing, error),
            Self::RememberSchedule { reply, .. } => refuse(reply, doing, error),
            Self::Settle { reply, .. } => refuse(reply, doing, error),
            Self::SetValue { reply, .. } => refuse(reply, doing, error),
            Self::DeleteValue { reply, .. } => refuse(reply, doing, error),
        }
    }
}

/// A failure of a whole batch, as each of its callers sees it.
pub(crate) fn broken(doing: &'static str, error: &Arc<sqlx::Error>) -> StoreError {
    StoreError::Broken { doing, source: Box::new(Arc::clone(error)) }
}

fn refuse<T>(reply: Reply<T>, doing: &'static str, error: &Arc<sqlx::Error>) {
    // A caller that is gone does not mind.
    drop(reply.send(Err(broken(doing, error))));
}
