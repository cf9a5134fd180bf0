//! How a run ended, and what it leaves.

use crate::{
    clock::Millis, delivery::Notice, failure::Failure, id::JobId, job::LogLine, usage::Usage,
};

/// How a run ended, as the retry policy judged it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// A result.
    Done {
        /// JSON.
        output: String,
    },
    /// Another attempt later.
    Retry {
        /// Milliseconds until then.
        delay_ms: u64,
        /// What went wrong.
        failure: Failure,
    },
    /// The dead letters.
    Fail {
        /// What went wrong.
        failure: Failure,
    },
    /// Not the job's fault; the attempt is given back.
    Postpone {
        /// Milliseconds until the job may run again.
        delay_ms: u64,
        /// What went wrong.
        failure: Failure,
    },
    /// No longer wanted, says the plugin.
    Cancel {
        /// Why.
        failure: Failure,
    },
    /// The job runs again when these children of it are over. The attempt is given back, and so is the slot.
    Await {
        /// The children.
        children: Vec<JobId>,
    },
}

/// The end of a run, written in one transaction with its slot, attempt, event and deliveries.
#[derive(Clone, Debug)]
pub struct Finish {
    /// How it ended.
    pub verdict: Verdict,
    /// When.
    pub at: Millis,
    /// Digest of the plugin that ran.
    pub plugin: Option<String>,
    /// What the run cost.
    pub usage: Usage,
    /// The job's own log.
    pub log: Vec<LogLine>,
    /// What the plugin asked to be told; sent only with [`Verdict::Done`].
    pub notices: Vec<Notice>,
}

impl Finish {
    /// Bytes of what the plugin made: its result, its failure, its log.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let verdict = match &self.verdict {
            Verdict::Done { output } => output.len(),
            Verdict::Retry { failure, .. }
            | Verdict::Fail { failure }
            | Verdict::Postpone { failure, .. }
            | Verdict::Cancel { failure } => {
                failure.message.len() + failure.detail.as_deref().map_or(0, str::len)
            }
            Verdict::Await { .. } => 0,
        };
        self.log.iter().map(|line| line.message.len()).sum::<usize>() + verdict
    }
}
