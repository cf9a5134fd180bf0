//! What is remembered of a job's life.

use crate::{clock::Millis, state::State};

/// A move of a job, written in the transaction that made it. `seq` starts at 1 and only grows, so it
/// is the resumption point of `GET /jobs/{id}/events`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct JobEvent {
    /// Position in the job's life.
    pub seq: i64,
    /// When it happened.
    pub at: Millis,
    /// The state it led to.
    pub state: State,
    /// The attempt during or after which it happened; 0 before the first.
    pub attempt: u32,
    /// Why, where there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a running job shows before it ends. It lives in memory: a crash ends the run and this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The run it belongs to: the fencing token.
    pub run: i64,
    /// The attempt.
    pub attempt: u32,
    /// 0..=100, if the plugin reported it.
    pub percent: Option<u8>,
    /// The plugin's note.
    pub note: String,
    /// Counts reports, so that a reader can tell whether it has seen the last one.
    pub reports: u64,
    /// Text generated so far, from byte `text_from` of the run on.
    pub text: String,
    /// Bytes that were dropped at the front to keep the text bounded.
    pub text_from: u64,
}
