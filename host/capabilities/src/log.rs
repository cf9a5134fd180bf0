//! The job's own log. It needs no grant.

use roughneck_jobs::job::{LogLevel, LogLine};

use crate::{Session, clip};

/// Longest line.
const LINE_BYTES_MAX: usize = 4 << 10;

/// What a line costs beyond its text, so that empty lines are not free.
const LINE_OVERHEAD_BYTES: u64 = 32;

impl Session {
    /// Writes a line. Once a limit of the manifest is reached one last line says so, and what follows
    /// is dropped. A run that was cancelled or lost its job writes nothing.
    pub fn log(&mut self, level: LogLevel, message: &str) {
        if self.log_is_full || self.holds().is_err() {
            return;
        }
        let Some(lines_left) = self.log_lines_left.checked_sub(1) else {
            let limit = self.limits.host_calls_max;
            return self.end_log(&format!("{limit} lines"), "limits.host-calls");
        };
        self.log_lines_left = lines_left;
        let message = clip(message, LINE_BYTES_MAX);
        let bytes = u64::try_from(message.len()).unwrap_or(u64::MAX);
        let cost = bytes.saturating_add(LINE_OVERHEAD_BYTES);
        if let Some(left) = self.log_bytes_left.checked_sub(cost) {
            self.log_bytes_left = left;
            self.write_line(level, message);
        } else {
            let limit = self.limits.log_bytes_max;
            self.end_log(&format!("{limit} bytes"), "limits.log");
        }
    }

    fn end_log(&mut self, limit: &str, key: &str) {
        self.log_is_full = true;
        let last = format!(
            "the log reached its limit of {limit} and ends here; raise `{key}` in plugin.toml"
        );
        self.write_line(LogLevel::Warn, last);
    }

    fn write_line(&self, level: LogLevel, message: String) {
        self.supervisor.log(LogLine { at: self.ports.clock.now(), level, message });
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::ports::runner::Standing;

    use super::*;
    use crate::fake::World;

    #[test]
    fn a_flood_ends_with_a_sentence_and_stays_within_the_limit() {
        let world = World::new().limits(|limits| limits.log_bytes_max = 1000);
        let mut session = world.session();
        for _ in 0..100 {
            session.log(LogLevel::Info, &"x".repeat(100));
        }
        let lines = world.supervisor.seen().log;
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[7].level, LogLevel::Warn);
        assert!(lines[7].message.contains("limit of 1000 bytes"), "{}", lines[7].message);
        let bytes: usize = lines[..7].iter().map(|line| line.message.len()).sum();
        assert!(bytes <= 1000);
    }

    #[test]
    fn empty_lines_are_not_free() {
        let world = World::new().limits(|limits| limits.log_bytes_max = 320);
        let mut session = world.session();
        for _ in 0..100 {
            session.log(LogLevel::Debug, "");
        }
        assert_eq!(world.supervisor.seen().log.len(), 11);
    }

    #[test]
    fn a_long_line_is_cut() {
        let world = World::new();
        world.session().log(LogLevel::Info, &"x".repeat(10_000));
        assert_eq!(world.supervisor.seen().log[0].message.len(), LINE_BYTES_MAX);
    }

    #[test]
    fn a_stale_run_writes_nothing() {
        let world = World::new();
        world.supervisor.stand(Standing::Fenced);
        world.session().log(LogLevel::Error, "boom");
        assert!(world.supervisor.seen().log.is_empty());
    }

    #[test]
    fn lines_past_their_budget_are_dropped_with_a_sentence_and_cost_nothing_else() {
        let world = World::new().limits(|limits| limits.host_calls_max = 3);
        let mut session = world.session();
        for _ in 0..10 {
            session.log(LogLevel::Info, "on");
        }
        let lines = world.supervisor.seen().log;
        assert_eq!(lines.len(), 4);
        assert!(lines[3].message.contains("limit of 3 lines"), "{}", lines[3].message);
        session.report(Some(50), "half");
        assert_eq!(world.supervisor.seen().progress.len(), 1);
        assert_eq!(session.admit_for_the_end(), Ok(()));
    }
}
