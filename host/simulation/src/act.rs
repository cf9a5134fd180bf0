//! What a run does.

use roughneck_jobs::failure::Failure;

use crate::Dice;

/// What a run does, drawn for each run of each job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Returns at once.
    Succeed,
    /// Works for so many milliseconds and does something to the world now and then.
    Work(u64),
    /// Waits for its model, then works.
    Think(u64),
    /// Writes state of the plugin before and after some work.
    Write(u64),
    /// Fails after so many milliseconds.
    Fail(u64, Failure),
    /// Cannot run for a reason that is not its own.
    Postpone(Failure),
}

impl Act {
    /// What run number `token` of job number `job` does.
    pub(crate) fn draw(seed: u64, job: u64, token: i64) -> Self {
        let mut dice = Dice::of(&[seed, job, token.unsigned_abs()]);
        let ms = dice.between(0, 20_000);
        match dice.between(0, 100) {
            0..30 => Self::Succeed,
            30..50 => Self::Work(ms),
            // Longer than a lease: it lives by its heartbeats.
            50..55 => Self::Work(ms + 80_000),
            55..65 => Self::Think(ms),
            65..75 => Self::Write(ms),
            75..88 => Self::Fail(ms / 4, Failure::retry("unavailable", "not now")),
            88..94 => Self::Fail(ms / 4, Failure::fatal("invalid-input", "never")),
            _ => Self::Postpone(Failure::retry("unavailable", "not here")),
        }
    }
}
