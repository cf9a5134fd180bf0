//! Token budgets: how many tokens a job, a kind or a caller may use, and who must wait for more.
//!
//! A call reserves the most it can use before it goes, and settles what it did use when it is over. Calls
//! that run at once therefore never use more than there is together: what is not reserved is not
//! generated. [`Ledger`] keeps the account; it knows no clock and no disk.

mod day;
mod demand;
mod ledger;
mod over;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

pub use day::Day;
pub use demand::{Answer, Demand, Prompt};
pub use ledger::{Grant, Ledger};
pub use over::{OverBudget, Renewal};

use crate::{id::JobId, job::Job};

/// The caller whose budget those share that do not say who they are, if it has one.
pub const ANONYMOUS: &str = "anonymous";

/// Whose tokens are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// A job's, over all of its attempts.
    Job,
    /// All calls for jobs of a kind, by the day.
    Kind(String),
    /// All calls of a caller, by the day.
    Caller(String),
}

impl Whose {
    /// `job`, `kind` or `caller`.
    #[must_use]
    pub fn scope(&self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Kind(_) => "kind",
            Self::Caller(_) => "caller",
        }
    }

    /// The kind or the caller; empty for a job.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Job => "",
            Self::Kind(name) | Self::Caller(name) => name,
        }
    }

    /// What [`Whose::scope`] and [`Whose::subject`] have written.
    #[must_use]
    pub fn read(scope: &str, subject: String) -> Option<Self> {
        match scope {
            "kind" => Some(Self::Kind(subject)),
            "caller" => Some(Self::Caller(subject)),
            _ => None,
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job => f.write_str("one job"),
            Self::Kind(name) => write!(f, "the kind `{name}`"),
            Self::Caller(name) => write!(f, "the caller `{name}`"),
        }
    }
}

/// The operator's budgets, in tokens. What has none is not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each job.
    pub job: Option<u64>,
    /// Of kinds, by the day.
    pub kinds: BTreeMap<String, u64>,
    /// Of callers, by the day.
    pub callers: BTreeMap<String, u64>,
    /// Of each caller that has none of its own, by the day.
    pub caller_default: Option<u64>,
}

impl Limits {
    /// The limit of one job whose manifest names this one: the lower of the two.
    fn of_job(&self, of_manifest: Option<u64>) -> Option<u64> {
        [self.job, of_manifest].into_iter().flatten().min()
    }

    /// The account of a caller that has a budget. One without a name has no budget by default.
    fn of_caller(&self, caller: Option<&str>) -> Option<(Whose, u64)> {
        let default = caller.and(self.caller_default);
        let name = caller.unwrap_or(ANONYMOUS);
        let limit = self.callers.get(name).copied().or(default)?;
        Some((Whose::Caller(name.to_owned()), limit))
    }

    /// Whether nothing has a budget that the operator gave it. A job may have one of its manifest all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.job.is_none()
            && self.kinds.is_empty()
            && self.callers.is_empty()
            && self.caller_default.is_none()
    }

    /// Whether the operator has named this one: the names of other callers are whatever clients say.
    #[must_use]
    pub fn names(&self, whose: &Whose) -> bool {
        match whose {
            Whose::Job => false,
            Whose::Kind(name) => self.kinds.contains_key(name),
            Whose::Caller(name) => self.callers.contains_key(name),
        }
    }

    /// Whether a call of this payer is counted.
    #[must_use]
    pub fn bind(&self, payer: &Payer) -> bool {
        self.of_job(payer.job.and_then(|job| job.max)).is_some()
            || self.of_kind(&payer.kind).is_some()
            || self.of_caller(payer.caller.as_deref()).is_some()
    }

    /// The same with kinds as they are called now, which is how jobs are counted. Where both an older name and the
    /// present one of a kind have a budget, the lower holds.
    fn with_present_names(mut self, name_of: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut kinds = BTreeMap::new();
        for (written, limit) in self.kinds {
            // One that nobody serves keeps its name: its plugin may come later.
            let lowest = kinds.entry(name_of(&written).unwrap_or(written)).or_insert(limit);
            *lowest = limit.min(*lowest);
        }
        self.kinds = kinds;
        self
    }

    fn of_kind(&self, kind: &str) -> Option<(Whose, u64)> {
        Some((Whose::Kind(kind.to_owned()), *self.kinds.get(kind)?))
    }
}

/// On whose account a call goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payer {
    /// The kind of its job, by its present name.
    pub kind: String,
    /// Who asks, as far as they say.
    pub caller: Option<String>,
    /// Its job, if that may have more calls than this one. Such a job waits for its budget; nobody else does.
    pub job: Option<PayingJob>,
}

impl Payer {
    /// A call of this kind, and of nobody else.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    /// A call of this job, which may use so many tokens in all.
    #[must_use]
    pub fn of_job(job: &Job, max: Option<u64>) -> Self {
        Self {
            kind: job.kind.clone(),
            caller: job.caller.as_ref().map(ToString::to_string),
            job: Some(PayingJob { id: job.id, spent: job.usage.tokens(), max }),
        }
    }
}

/// A job of several calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayingJob {
    /// Its id.
    pub id: JobId,
    /// What its earlier attempts have used, as far as the store knows.
    pub spent: u64,
    /// What its manifest allows it.
    pub max: Option<u64>,
}

/// What is spent of a budget on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Of which budget.
    pub whose: Whose,
    /// All of it.
    pub tokens: u64,
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Which one.
    pub whose: Whose,
    /// How many tokens there are a day.
    pub limit: u64,
    /// How many of them are used.
    pub spent: u64,
    /// How many the calls that are under way may still use.
    pub reserved: u64,
}

impl Balance {
    /// What a call may still reserve.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.spent).saturating_sub(self.reserved)
    }
}

/// How all budgets stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// The day that is counted, or none if nothing is.
    pub day: Option<Day>,
    /// What the operator allows a job.
    pub job_max: Option<u64>,
    /// Kinds, then callers.
    pub balances: Vec<Balance>,
}
