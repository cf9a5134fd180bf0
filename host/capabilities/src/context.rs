//! Facts about the run. They need no grant and are not charged: they are in memory.

use std::fmt::Write;

use roughneck_jobs::ports::runner::Standing;
use sha2::{Digest, Sha256};

use crate::Session;

impl Session {
    /// The job's id.
    pub fn job_id(&self) -> String {
        self.run.job.to_string()
    }

    /// 1 on the first attempt.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Attempts in all.
    pub fn max_attempts(&self) -> u32 {
        self.attempts_max
    }

    /// When the host stops the guest, in Unix milliseconds.
    pub fn deadline(&self) -> u64 {
        u64::try_from(self.deadline.0).unwrap_or(0)
    }

    /// Whether the job was cancelled, so that going on is in vain. A host that stops is no reason:
    /// it lets the run finish if it can.
    pub fn cancelled(&self) -> bool {
        match self.supervisor.standing() {
            Standing::Held | Standing::Stopping => false,
            Standing::Cancelled | Standing::Fenced | Standing::Overdue => true,
        }
    }

    /// The submission's `traceparent`.
    pub fn trace_parent(&self) -> Option<String> {
        self.trace_parent.clone()
    }

    /// A key that is the same in every attempt of this job, differs between scopes and jobs, and is
    /// safe in a header.
    pub fn idempotency_key(&self, scope: &str) -> String {
        let digest = Sha256::digest(format!("{}\0{scope}", self.run.job));
        let mut key = format!("{}-", self.run.job);
        for byte in digest.iter().take(8) {
            // Writing to a string cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// A value the operator set for this plugin.
    pub fn config(&self, key: &str) -> Option<String> {
        self.grant.config.get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::World;

    #[test]
    fn an_idempotency_key_is_stable_across_attempts_and_differs_between_scopes() {
        let world = World::new();
        let key = world.session().idempotency_key("invoice");
        assert_eq!(world.session().idempotency_key("invoice"), key);
        assert_ne!(world.session().idempotency_key("reminder"), key);
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{key}");
    }

    #[test]
    fn a_guest_hears_of_its_cancellation_and_goes_on_when_the_host_stops() {
        let world = World::new();
        let session = world.session();
        for (standing, expected) in [
            (Standing::Held, false),
            (Standing::Stopping, false),
            (Standing::Cancelled, true),
            (Standing::Fenced, true),
            (Standing::Overdue, true),
        ] {
            world.supervisor.stand(standing);
            assert_eq!(session.cancelled(), expected, "{standing:?}");
        }
    }

    #[test]
    fn a_guest_reads_its_own_configuration_and_nothing_else() {
        let world = World::new().grant(|grant| {
            grant.config.insert("tone".into(), "formal".into());
        });
        let session = world.session();
        assert_eq!(session.config("tone").as_deref(), Some("formal"));
        assert_eq!(session.config("PATH"), None);
    }

    #[test]
    fn facts_cost_nothing() {
        let world = World::new().limits(|limits| limits.host_calls_max = 1);
        let mut session = world.session();
        for _ in 0..10 {
            assert_eq!(session.attempt(), 1);
        }
        assert_eq!(session.admit(), Ok(()));
    }
}
