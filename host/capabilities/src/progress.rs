//! What the people who wait may see. It needs no grant.

use crate::{Exhausted, Session, clip};

/// Longest note.
const NOTE_BYTES_MAX: usize = 256;

impl Session {
    /// Tells the supervisor how far the run is. A run that was cancelled or lost its job tells
    /// nothing.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn report(&mut self, percent: Option<u8>, note: &str) -> Result<(), Exhausted> {
        self.count()?;
        if self.holds().is_ok() {
            let percent = percent.map(|percent| percent.min(100));
            self.supervisor.progress(percent, clip(note, NOTE_BYTES_MAX));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::ports::runner::Standing;

    use super::*;
    use crate::fake::World;

    #[test]
    fn a_report_is_clamped_and_cut() {
        let world = World::new();
        world.session().report(Some(250), &"x".repeat(1000)).unwrap();
        let seen = world.supervisor.seen();
        let (percent, note) = seen.progress.last().unwrap();
        assert_eq!((*percent, note.len()), (Some(100), NOTE_BYTES_MAX));
    }

    #[test]
    fn a_stale_run_reports_nothing() {
        let world = World::new();
        world.supervisor.stand(Standing::Fenced);
        world.session().report(Some(50), "half").unwrap();
        assert!(world.supervisor.seen().progress.is_empty());
    }
}
