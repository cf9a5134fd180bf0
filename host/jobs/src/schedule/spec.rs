//! A schedule as a manifest or a caller describes it.

use super::{CATCH_UP_MAX, Missed, Overlap};
use crate::{caller::Caller, priority::Priority};

/// What a schedule is: everything about it but what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Identity: `plugin/id` for one of a manifest. Changing anything else makes no second schedule.
    pub id: String,
    /// The kind it submits.
    pub kind: String,
    /// Cron expression or `@every <duration>`, as written.
    pub expr: String,
    /// IANA zone that the expression is meant in.
    pub zone: String,
    /// JSON input of each job.
    pub input: String,
    /// The priority of each job; the kind's own by default.
    pub priority: Option<Priority>,
    /// On whose token budget its jobs go.
    pub caller: Option<Caller>,
    /// What to do about missed fires.
    pub missed: Missed,
    /// Fires that may run at once with [`Missed::All`].
    pub missed_max: u32,
    /// What to do about overlap.
    pub overlap: Overlap,
}

impl Spec {
    /// What decides its instants. The mark of what is handled holds for one timing only: another one
    /// has a past that was never promised.
    #[must_use]
    pub fn timing(&self) -> String {
        format!("{} {}", self.zone, self.expr)
    }
}

/// Why a schedule cannot be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// Not an expression.
    #[error(
        "`{expr}` is not a schedule: {why}; write five cron fields such as `0 6 * * MON`, or `@every 5m`"
    )]
    Expression {
        /// As written.
        expr: String,
        /// What the parser says.
        why: String,
    },
    /// Not a zone.
    #[error("`{0}` is not a time zone; write an IANA name such as `Europe/Berlin`")]
    Zone(String),
    /// It would never fire.
    #[error("`{0}` names no day that ever comes; mend its day and month")]
    Never(String),
    /// Too few or too many.
    #[error("a schedule catches up on 1 to {CATCH_UP_MAX} missed fires, not on {0}")]
    MissedMax(u32),
}
