//! The intentions that reach the writer, each with the way its answer takes.

use std::sync::Arc;

use roughneck_jobs::{
    budget::Spent,
    child::{NewChild, SubmittedChild},
    class::{Class, Slots},
    clock::Millis,
    delivery::DeliveryOutcome,
    flow::NewFlow,
    id::{DeliveryId, FlowId, JobId},
    job::{DeadLetters, LogLine, NewJob},
    past::Past,
    pause::{Pause, Scope},
    ports::{
        flows::{CancelledFlow, RetriedFlow, SubmittedFlow},
        kv::{Key, Written},
        schedules::{Created, Settled, Settlement},
        store::{
            Cancelled, Claim, Claims, Finish, Overdue, Promoted, Reaped, Retried, StoreError,
            Submitted,
        },
    },
    rate::Rate,
    run::Run,
    schedule::{self, Kept, Spec},
    state::State,
    usage::Usage,
};
use tokio::sync::oneshot;

use crate::fault;

/// The way of an answer to its caller, who may be gone.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A job on its way in.
pub(crate) struct Submission {
    pub(crate) job: Box<NewJob>,
    pub(crate) reply: Reply<Submitted>,
}

/// A run on its way to its end.
pub(crate) struct Ending {
    pub(crate) run: Run,
    pub(crate) finish: Box<Finish>,
    pub(crate) reply: Reply<State>,
}

/// A job that is over, on its way in.
pub(crate) struct Keeping {
    pub(crate) past: Arc<Past>,
    pub(crate) reply: Reply<Option<State>>,
}

/// A claim on its way to its jobs.
pub(crate) struct Wish {
    pub(crate) claim: Claim,
    pub(crate) reply: Reply<Claims>,
}

/// A value on its way into the state of a plugin.
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Vec<u8>,
    pub(crate) bytes_max: u64,
}

/// A delivery that cannot be read.
pub(crate) struct Unreadable {
    /// Its row: its id may be what cannot be read.
    pub(crate) seq: i64,
    /// What is wrong with it, in one sentence.
    pub(crate) why: String,
}

/// Makes [`Command`] and [`Kind`] of the table below.
macro_rules! commands {
    ($($name:ident { $($field:ident: $type:ty),* } -> $answer:ty, $label:literal, $doing:literal;)*) => {
        /// One intention.
        pub(crate) enum Command {
            $($name { $($field: $type,)* reply: Reply<$answer> },)*
        }

        /// The name of a [`Command`], for metrics and errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Kind {
            $($name,)*
        }

        impl Kind {
            /// All of them, so that their counters are born at zero.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The label of the metrics.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// Completes the sentence "the store failed while it tried to …".
            pub(crate) fn doing(self) -> &'static str {
                match self { $(Self::$name => $doing,)* }
            }
        }

        impl Kind {
            /// Whether the answer waits for the disk. What the engine asks for on its own account does
            /// not: after a power failure it would do the same again, and delivery is at least once.
            pub(crate) fn needs_disk(self) -> bool {
                !matches!(
                    self,
                    Self::Claim
                        | Self::Begin
                        | Self::Keep
                        | Self::Withdraw
                        | Self::WithdrawAll
                        | Self::SetLoading
                        | Self::GaveWay
                        | Self::Renew
                        | Self::Finish
                        | Self::Release
                        | Self::SubmitChild
                        | Self::Leave
                        | Self::Promote
                        | Self::Reap
                        | Self::FailOverdue
                        | Self::RecordDelivery
                        | Self::ForgetFires
                        | Self::RememberSpent
                        | Self::ForgetSpent
                )
            }
        }

        impl Command {
            /// Its name.
            pub(crate) fn kind(&self) -> Kind {
                match self { $(Self::$name { .. } => Kind::$name,)* }
            }

            /// Answers a command that was not tried, because its whole batch met `error`.
            pub(crate) fn reject(self, error: &Arc<sqlx::Error>) {
                let doing = self.kind().doing();
                match self { $(Self::$name { reply, .. } => refuse(reply, doing, error),)* }
            }
        }
    };
}

// What it carries, what it answers, its label, and the end of the sentence that tells its failure.
commands! {
    SetSlots { slots: Vec<Slots> } -> (),
        "set_slots", "set the slots of the classes";
    SetRates { rates: Vec<(String, Rate)> } -> (),
        "set_rates", "set the rate limits of the kinds";
    Pause { pause: Pause } -> (),
        "pause", "pause a class or a kind";
    Resume { scope: Scope } -> bool,
        "resume", "resume a class or a kind";
    Sync {} -> (),
        "sync", "bring what was written to the disk";
    Submit { job: Box<NewJob> } -> Submitted,
        "submit", "accept a job";
    Claim { claim: Claim } -> Claims,
        "claim", "claim jobs";
    Begin { id: JobId, at: Millis, lease_until: Millis } -> Option<Run>,
        "begin", "begin a run";
    Keep { past: Arc<Past> } -> Option<State>,
        "keep", "keep a job that is over";
    Withdraw { id: JobId, reason: String, at: Millis } -> Cancelled,
        "withdraw", "cancel a job that nobody waits for";
    WithdrawAll { class: Class, reason: String, at: Millis, limit: u32 } -> u32,
        "withdraw_all", "cancel jobs that nobody waits for";
    SetLoading { run: Run, loading: bool, at: Millis } -> (),
        "set_loading", "note that a run waits for its model";
    GaveWay { run: Run, at: Millis } -> (),
        "gave_way", "note that a run waits for its model again";
    Renew { runs: Vec<Run>, lease_until: Millis } -> Vec<Run>,
        "renew", "renew leases";
    Finish { run: Run, finish: Box<Finish> } -> State,
        "finish", "end a run";
    Cancel { id: JobId, at: Millis } -> Cancelled,
        "cancel", "cancel a job";
    Retry { id: JobId, at: Millis } -> Retried,
        "retry", "run a job again";
    RetryMany { which: DeadLetters, limit: u32, at: Millis } -> u32,
        "retry_many", "run dead letters again";
    Purge { which: DeadLetters, limit: u32 } -> u32,
        "purge", "delete dead letters";
    Retire { state: State, until: Millis, limit: u32 } -> u32,
        "retire", "delete jobs that ended long ago";
    SubmitChild { run: Run, child: Box<NewChild> } -> SubmittedChild,
        "submit_child", "accept a child of a job";
    SubmitFlow { flow: Box<NewFlow> } -> SubmittedFlow,
        "submit_flow", "accept a flow";
    CancelFlow { id: FlowId, at: Millis } -> CancelledFlow,
        "cancel_flow", "cancel a flow";
    RetryFlow { id: FlowId, at: Millis } -> RetriedFlow,
        "retry_flow", "run jobs of a flow again";
    MendWaits { at: Millis, limit: u32 } -> Vec<JobId>,
        "mend_waits", "mend blocked jobs";
    Release { run: Run, at: Millis } -> (),
        "release", "give a run back";
    Leave { run: Run, usage: Usage, log: Vec<LogLine> } -> (),
        "leave", "keep what a stopped run leaves";
    Recover { at: Millis } -> u32,
        "recover", "recover the runs of the last process";
    Reap { at: Millis, limit: u32 } -> Reaped,
        "reap", "take back expired runs";
    Promote { at: Millis, limit: u32 } -> Promoted,
        "promote", "queue the jobs that are due";
    FailOverdue { at: Millis, limit: u32 } -> Overdue,
        "fail_overdue", "fail the jobs whose deadline has passed";
    RecordDelivery { id: DeliveryId, outcome: DeliveryOutcome, at: Millis } -> (),
        "record_delivery", "record a delivery";
    BuryDeliveries { unreadable: Vec<Unreadable>, at: Millis } -> (),
        "bury_deliveries", "give up deliveries that cannot be read";
    RememberSchedule { id: String, timing: String, now: Millis } -> Kept,
        "remember_schedule", "remember a schedule";
    CreateSchedule { spec: Box<Spec>, pause: Option<schedule::Pause>, at: Millis, max: u32 } -> Created,
        "create_schedule", "make a schedule";
    ChangeSchedule { spec: Box<Spec>, at: Millis } -> bool,
        "change_schedule", "change a schedule";
    DeleteSchedule { id: String } -> bool,
        "delete_schedule", "delete a schedule";
    PauseSchedule { id: String, pause: schedule::Pause } -> bool,
        "pause_schedule", "pause a schedule";
    ResumeSchedule { id: String, at: Millis } -> bool,
        "resume_schedule", "resume a schedule";
    Settle { settlement: Settlement } -> Settled,
        "settle", "settle the fires of a schedule";
    ForgetFires { until: Millis, limit: u32 } -> u32,
        "forget_fires", "forget the old fires of schedules";
    RememberSpent { date: String, spent: Vec<Spent> } -> (),
        "remember_spent", "remember what was spent of the budgets";
    ForgetSpent { date: String, limit: u32 } -> u32,
        "forget_spent", "forget what was spent of the budgets long ago";
    SetValue { run: Run, entry: Box<Entry> } -> Written,
        "set_value", "set a value of a plugin";
    DeleteValue { run: Run, key: Key } -> bool,
        "delete_value", "delete a value of a plugin";
}

impl From<Submission> for Command {
    fn from(Submission { job, reply }: Submission) -> Self {
        Self::Submit { job, reply }
    }
}

impl From<Ending> for Command {
    fn from(Ending { run, finish, reply }: Ending) -> Self {
        Self::Finish { run, finish, reply }
    }
}

impl From<Keeping> for Command {
    fn from(Keeping { past, reply }: Keeping) -> Self {
        Self::Keep { past, reply }
    }
}

impl From<Wish> for Command {
    fn from(Wish { claim, reply }: Wish) -> Self {
        Self::Claim { claim, reply }
    }
}

/// A failure of a whole batch, as each of its callers sees it.
pub(crate) fn broken(doing: &'static str, error: &Arc<sqlx::Error>) -> StoreError {
    fault::failed(doing, fault::illness(error), fault::source(&**error))
}

fn refuse<T>(reply: Reply<T>, doing: &'static str, error: &Arc<sqlx::Error>) {
    // A caller that is gone does not mind.
    drop(reply.send(Err(broken(doing, error))));
}
