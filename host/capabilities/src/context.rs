//! Facts about the run. They need no grant.

use std::fmt::Write;

use roughneck_jobs::ports::runner::Standing;
use sha2::{Digest, Sha256};

use crate::{Exhausted, Session};

impl Session {
    /// The job's id.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn job_id(&mut self) -> Result<String, Exhausted> {
        self.count()?;
        Ok(self.run.job.to_string())
    }

    /// 1 on the first attempt.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn attempt(&mut self) -> Result<u32, Exhausted> {
        self.count()?;
        Ok(self.attempt)
    }

    /// Attempts in all.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn max_attempts(&mut self) -> Result<u32, Exhausted> {
        self.count()?;
        Ok(self.attempts_max)
    }

    /// When the host stops the guest, in Unix milliseconds.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn deadline(&mut self) -> Result<u64, Exhausted> {
        self.count()?;
        Ok(u64::try_from(self.deadline.0).unwrap_or(0))
    }

    /// Whether the job was cancelled, so that going on is in vain. A host that stops is no reason:
    /// it lets the run finish if it can.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn cancelled(&mut self) -> Result<bool, Exhausted> {
        self.count()?;
        Ok(match self.supervisor.standing() {
            Standing::Held | Standing::Stopping => false,
            Standing::Cancelled | Standing::Fenced => true,
        })
    }

    /// The submission's `traceparent`.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn trace_parent(&mut self) -> Result<Option<String>, Exhausted> {
        self.count()?;
        Ok(self.trace_parent.clone())
    }

    /// A key that is the same in every attempt of this job, differs between scopes and jobs, and is
    /// safe in a header.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn idempotency_key(&mut self, scope: &str) -> Result<String, Exhausted> {
        self.count()?;
        let digest = Sha256::digest(format!("{}\0{scope}", self.run.job));
        let mut key = format!("{}-", self.run.job);
        for byte in digest.iter().take(8) {
            // Writing to a string cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        Ok(key)
    }

    /// A value the operator set for this plugin.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn config(&mut self, key: &str) -> Result<Option<String>, Exhausted> {
        self.count()?;
        Ok(self.grant.config.get(key).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::World;

    #[test]
    fn an_idempotency_key_is_stable_across_attempts_and_differs_between_scopes() {
        let world = World::new();
        let key = world.session().idempotency_key("invoice").unwrap();
        assert_eq!(world.session().idempotency_key("invoice").unwrap(), key);
        assert_ne!(world.session().idempotency_key("reminder").unwrap(), key);
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{key}");
    }

    #[test]
    fn a_guest_hears_of_its_cancellation_and_goes_on_when_the_host_stops() {
        let world = World::new();
        let mut session = world.session();
        for (standing, expected) in [
            (Standing::Held, false),
            (Standing::Stopping, false),
            (Standing::Cancelled, true),
            (Standing::Fenced, true),
        ] {
            world.supervisor.stand(standing);
            assert_eq!(session.cancelled(), Ok(expected), "{standing:?}");
        }
    }

    #[test]
    fn a_guest_reads_its_own_configuration_and_nothing_else() {
        let world = World::new().grant(|grant| {
            grant.config.insert("tone".into(), "formal".into());
        });
        let mut session = world.session();
        assert_eq!(session.config("tone").unwrap().as_deref(), Some("formal"));
        assert_eq!(session.config("PATH").unwrap(), None);
    }
}
