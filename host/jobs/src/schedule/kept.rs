//! What the store keeps of a schedule.

use super::Spec;
use crate::{clock::Millis, id::JobId};

/// What is kept of a schedule, whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The schedule's id.
    pub id: String,
    /// Another number after every change, and never one again that it had: what was decided for an
    /// older one is not written.
    pub revision: i64,
    /// Fires up to here are handled, whether they ran or not.
    pub handled_up_to: Millis,
    /// [`Spec::timing`] that `handled_up_to` holds for. None was kept by older hosts.
    pub timing: Option<String>,
    /// Since when it fires nothing, if it does not.
    pub paused: Option<Pause>,
    /// The latest fire that ran.
    pub last_fire: Option<LastFire>,
    /// Fires that passed and were not made up for.
    pub fires_missed: u64,
    /// Fires that were dropped because the last job had not ended, or another one had the unique key.
    pub fires_skipped: u64,
    /// What it is, if it was made over HTTP. The others are in manifests.
    pub made: Option<Made>,
}

/// A schedule that was made over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What it is.
    pub spec: Spec,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub changed_at: Millis,
}

/// Why a schedule fires nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Millis,
    /// Why, in a few words.
    pub reason: String,
}

/// The latest fire that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFire {
    /// The instant of the schedule.
    pub at: Millis,
    /// Its job, as long as that is kept.
    pub job: Option<JobId>,
}
