//! What Ollama has loaded, as far as the lane knows.

use std::time::Duration;

use tokio::time::Instant;

use crate::{probe::Loaded, runner_key::RunnerKey};

/// After so long without a call Ollama is asked again: a model expires, and people run
/// `ollama stop`.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// What is loaded, and since when nobody looked.
#[derive(Debug)]
pub(crate) struct Residency {
    known: Known,
    at: Instant,
}

#[derive(Debug)]
enum Known {
    /// Never asked, or something went wrong since.
    Nothing,
    /// What `/api/ps` listed.
    Listed(Vec<Loaded>),
    /// What the host loaded itself.
    Ours(RunnerKey),
}

/// Why a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SwapReason {
    /// Nothing was loaded.
    Cold,
    /// Another model was.
    Model,
    /// The same model was, with other options.
    Options,
}

impl Residency {
    pub(crate) fn unknown(now: Instant) -> Self {
        Self { known: Known::Nothing, at: now }
    }

    /// Whether Ollama must be asked before this can be relied on.
    pub(crate) fn is_doubtful(&self, now: Instant) -> bool {
        matches!(self.known, Known::Nothing) || now.saturating_duration_since(self.at) > TRUSTED_FOR
    }

    /// Takes in what `/api/ps` lists. What the host loaded stays known by its whole key, unless it
    /// is gone.
    pub(crate) fn observe(&mut self, loaded: Vec<Loaded>, now: Instant) {
        let still_there = match &self.known {
            Known::Ours(key) => loaded.iter().any(|model| key.is_model(model)),
            Known::Nothing | Known::Listed(_) => false,
        };
        if !still_there {
            self.known = Known::Listed(loaded);
        }
        self.at = now;
    }

    /// The host has loaded `key`.
    pub(crate) fn loaded(&mut self, key: RunnerKey, now: Instant) {
        *self = Self { known: Known::Ours(key), at: now };
    }

    /// A call went well: what was loaded still is.
    pub(crate) fn confirm(&mut self, now: Instant) {
        self.at = now;
    }

    /// Something went wrong: the runner may have died.
    pub(crate) fn doubt(&mut self) {
        self.known = Known::Nothing;
    }

    /// Why `key` has to be loaded, or none if it is.
    pub(crate) fn swap_for(&self, key: &RunnerKey) -> Option<SwapReason> {
        match &self.known {
            Known::Ours(ours) if ours == key => None,
            Known::Ours(ours) if ours.has_model_of(key) => Some(SwapReason::Options),
            Known::Ours(_) => Some(SwapReason::Model),
            Known::Listed(list) if list.iter().any(|model| key.is_served_by(model)) => None,
            Known::Listed(list) if list.iter().any(|model| key.is_model(model)) => {
                Some(SwapReason::Options)
            }
            Known::Listed(list) if !list.is_empty() => Some(SwapReason::Model),
            Known::Listed(_) | Known::Nothing => Some(SwapReason::Cold),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roughneck_jobs::model::Resolved;
    use serde_json::json;

    fn key(digest: &str, num_ctx: u64) -> RunnerKey {
        let model = Resolved { name: digest.to_owned(), digest: Some(digest.to_owned()) };
        RunnerKey::of(&model, json!({"num_ctx": num_ctx}).as_object().unwrap())
    }

    fn listed(digest: &str) -> Vec<Loaded> {
        let name = format!("{digest}:latest");
        vec![Loaded { name, digest: digest.to_owned(), context_length: Some(4096) }]
    }

    #[test]
    fn a_model_is_loaded_once_and_again_only_for_another_key() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        assert!(residency.is_doubtful(now));
        residency.observe(Vec::new(), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), Some(SwapReason::Cold));
        residency.loaded(key("a", 4096), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), None);
        assert_eq!(residency.swap_for(&key("a", 8192)), Some(SwapReason::Options));
        assert_eq!(residency.swap_for(&key("b", 4096)), Some(SwapReason::Model));
        residency.doubt();
        assert!(residency.is_doubtful(now));
    }

    #[test]
    fn what_somebody_else_loaded_is_used_if_it_fits() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        residency.observe(listed("a"), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), None);
        assert_eq!(residency.swap_for(&key("a", 8192)), Some(SwapReason::Options));
        assert_eq!(residency.swap_for(&key("b", 4096)), Some(SwapReason::Model));
    }

    #[test]
    fn after_an_idle_while_ollama_is_asked_and_believed() {
        let start = Instant::now();
        let later = start + TRUSTED_FOR + Duration::from_millis(1);
        let mut residency = Residency::unknown(start);
        residency.loaded(key("a", 8192), start);
        assert!(!residency.is_doubtful(start + TRUSTED_FOR));
        assert!(residency.is_doubtful(later));
        residency.observe(listed("a"), later);
        assert_eq!(residency.swap_for(&key("a", 8192)), None, "still there, so still ours");
        residency.observe(Vec::new(), later);
        assert_eq!(residency.swap_for(&key("a", 8192)), Some(SwapReason::Cold));
    }
}
