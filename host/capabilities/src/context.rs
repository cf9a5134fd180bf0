//! Facts about the run. They need no grant and are not charged: they are in memory.

use std::fmt::Write;

use roughneck_jobs::{failure::Failure, flow::Dependency, ports::runner::Standing};
use sha2::{Digest, Sha256};

use crate::{Refusal, Session, clip, enqueue::too_large, store_error::store_error};

/// Needed jobs that a refusal names, and bytes of the one that is not.
const SHOWN_MAX: usize = 20;
const SHOWN_BYTES_MAX: usize = 100;

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

    /// The jobs that this one needs and that are kept, without their results.
    #[must_use]
    pub fn needs(&self) -> &[Dependency] {
        &self.needs
    }

    /// What the needed job of this name returned, or none if it has no result. It is read from the store, hence
    /// charged.
    ///
    /// # Errors
    /// [`Refusal`] if the job needs none of this name, or the result is too large.
    pub async fn need_output(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        self.admit().await?;
        let is_needed = self.needs.iter().any(|need| need.name == name);
        if !is_needed {
            let shown = clip(name, SHOWN_BYTES_MAX);
            let names: Vec<&str> =
                self.needs.iter().take(SHOWN_MAX).map(|need| &*need.name).collect();
            let sentence =
                format!("this job needs no `{shown}`; it needs these: [{}]", names.join(", "));
            return Err(Refusal::fatal("not-needed", sentence));
        }
        let needed = self.relatives.needed(name).await.map_err(|error| store_error(&error))?;
        let Some(needed) = needed else { return Ok(None) };
        match needed.output {
            Some(output) => Ok(Some(output.into_bytes())),
            None if needed.output_bytes > 0 => Err(too_large("jobs").into()),
            None => Ok(None),
        }
    }

    /// Why the needed job of this name has no result.
    #[must_use]
    pub fn need_failure(&self, name: &str) -> Option<&Failure> {
        self.needs.iter().find(|need| need.name == name)?.failure.as_ref()
    }

    /// A value the operator set for this plugin.
    pub fn config(&self, key: &str) -> Option<String> {
        self.grant.config.get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{World, told};

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

    #[tokio::test]
    async fn a_guest_sees_what_its_job_needs_and_reads_the_results() {
        let world = World::new();
        let broken = Failure::fatal("broken", "it broke");
        world.relatives.need("fetch", Ok("[1]"));
        world.relatives.need("login", Err(broken.clone()));
        let mut session = world.session();
        let names: Vec<&str> = session.needs().iter().map(|need| &*need.name).collect();
        assert_eq!(names, ["fetch", "login"]);
        assert_eq!(session.need_output("fetch").await, Ok(Some(b"[1]".to_vec())));
        assert_eq!(session.need_output("login").await, Ok(None));
        assert_eq!(session.need_failure("login"), Some(&broken));
        assert_eq!((session.need_failure("fetch"), session.need_failure("x")), (None, None));
        let error = told(session.need_output("x").await);
        assert_eq!(error.code, "not-needed");
        assert!(error.message.ends_with("it needs these: [fetch, login]"), "{error}");
    }

    #[test]
    fn facts_cost_nothing() {
        let world = World::new().limits(|limits| limits.host_calls_max = 1);
        let mut session = world.session();
        for _ in 0..10 {
            assert_eq!(session.attempt(), 1);
        }
        assert_eq!(session.admit_for_the_end(), Ok(()));
    }
}
