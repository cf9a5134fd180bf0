//! What the people who wait may see. It needs no grant.

use crate::{Session, clip};

/// Longest note.
const NOTE_BYTES_MAX: usize = 256;

impl Session {
    /// Tells the supervisor how far the run is. What is past the budget is dropped, and a run that was
    /// cancelled or lost its job tells nothing.
    pub fn report(&mut self, percent: Option<u8>, note: &str) {
        let Some(reports_left) = self.reports_left.checked_sub(1) else { return };
        self.reports_left = reports_left;
        if self.holds().is_ok() {
            let percent = percent.map(|percent| percent.min(100));
            self.supervisor.progress(percent, clip(note, NOTE_BYTES_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{job::LogLevel, ports::runner::Standing};

    use super::*;
    use crate::fake::World;

    #[test]
    fn a_report_is_clamped_and_cut() {
        let world = World::new();
        world.session().report(Some(250), &"x".repeat(1000));
        let seen = world.supervisor.seen();
        let (percent, note) = seen.progress.last().unwrap();
        assert_eq!((*percent, note.len()), (Some(100), NOTE_BYTES_MAX));
    }

    #[test]
    fn a_stale_run_reports_nothing() {
        let world = World::new();
        world.supervisor.stand(Standing::Fenced);
        world.session().report(Some(50), "half");
        assert!(world.supervisor.seen().progress.is_empty());
    }

    #[test]
    fn reports_past_their_budget_are_dropped_and_cost_nothing_else() {
        let world = World::new().limits(|limits| limits.host_calls_max = 3);
        let mut session = world.session();
        for n in 0..10 {
            session.report(Some(n), "on");
        }
        assert_eq!(world.supervisor.seen().progress.len(), 3);
        session.log(LogLevel::Info, "still heard");
        assert_eq!(world.supervisor.seen().log[0].message, "still heard");
        assert_eq!(session.admit_for_the_end(), Ok(()));
    }
}
