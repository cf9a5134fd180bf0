//! How the process ends, for scripts.

use std::process::ExitCode;

/// What `--help` says about exit codes.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done
  1  an error: the host is not reachable, or refused the request
  2  the command line cannot be used
  3  the job that was waited for has failed
  4  the job that was waited for was cancelled
  5  --timeout passed before the job ended";

/// The end of a command. Code 2 is clap's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did what it was asked to.
    Done,
    /// It did not; standard error says why.
    Error,
    /// The job that was waited for has failed.
    JobFailed,
    /// The job that was waited for was cancelled.
    JobCancelled,
    /// The job had not ended when the time was up.
    TimedOut,
}

impl Exit {
    /// How a wait ends for a job in this state, or none if the job goes on.
    pub(crate) fn of_job(state: &str) -> Option<Self> {
        match state {
            "done" => Some(Self::Done),
            "failed" => Some(Self::JobFailed),
            "cancelled" => Some(Self::JobCancelled),
            // A newer host may know more states than this client.
            _ => None,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::JobFailed => 3,
            Self::JobCancelled => 4,
            Self::TimedOut => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_a_job_can_end_in_has_a_code_of_its_own() {
        for (state, code) in [("done", 0), ("failed", 3), ("cancelled", 4)] {
            assert_eq!(Exit::of_job(state).map(Exit::code), Some(code), "{state}");
        }
        for state in ["blocked", "scheduled", "queued", "loading", "working", "new"] {
            assert_eq!(Exit::of_job(state), None, "{state}");
        }
    }

    #[test]
    fn the_help_names_every_code() {
        for exit in [Exit::Done, Exit::Error, Exit::JobFailed, Exit::JobCancelled, Exit::TimedOut] {
            let line = format!("\n  {}  ", exit.code());
            assert!(CODES.contains(&line), "{line}");
        }
    }
}
