//! What Ollama has loaded, as far as the lane knows.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    planner,
    report::Loaded,
    runner_key::RunnerKey,
    swap::{self, Swap, SwapCost},
};

/// After so long without a call Ollama is asked again: a model expires, and people run
/// `ollama stop`.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// What is loaded, since when nobody looked, and what the planner must know of both.
#[derive(Clone, Debug)]
pub(crate) struct Residency {
    known: Known,
    at: Instant,
    quantum_began_at: Instant,
    /// Whether a load begins a new quantum: not in a turn that passed over a better rank, or a runner
    /// that dies at every call could hold the lane for ever.
    grants_quantum: bool,
    /// When the last turn ended.
    used_until: Option<Instant>,
    swap_cost: SwapCost,
    /// What the host loaded last, if it is known.
    loaded_last: Option<RunnerKey>,
    /// How long first tokens have taken lately, an exponentially weighted mean.
    first_token: Option<Duration>,
}

/// What is loaded, and how long it is preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resident {
    /// The name that it was loaded by.
    pub(crate) model: String,
    pub(crate) quantum_began_at: Instant,
    pub(crate) quantum: Duration,
}

#[derive(Clone, Debug)]
enum Known {
    /// Never asked, or something went wrong since.
    Nothing,
    /// What `/api/ps` listed.
    Listed(Vec<Loaded>),
    /// What the host loaded itself.
    Ours(Ours),
}

#[derive(Clone, Debug)]
struct Ours {
    key: RunnerKey,
    /// The name that it was loaded by.
    name: String,
    /// What was seen of it since.
    seen: Option<Loaded>,
}

impl Ours {
    /// Whether it has the weights of `key`. How its model is made may not have been known when it was loaded.
    fn has_model_of(&self, key: &RunnerKey) -> bool {
        self.key.has_model_of(key) || self.seen.as_ref().is_some_and(|seen| key.is_model(seen))
    }

    /// Whether it serves `key`, whose weights it has. Where Ollama gave less context than was asked for, it still does.
    fn serves(&self, key: &RunnerKey) -> bool {
        let context = self.seen.as_ref().and_then(|seen| seen.context_length);
        key.asks_as(&self.key) || key.fits(&self.key, context)
    }
}

impl Residency {
    pub(crate) fn unknown(now: Instant) -> Self {
        Self {
            known: Known::Nothing,
            at: now,
            quantum_began_at: now,
            grants_quantum: true,
            used_until: None,
            swap_cost: SwapCost::default(),
            loaded_last: None,
            first_token: None,
        }
    }

    /// Whether Ollama must be asked before this can be relied on.
    pub(crate) fn is_doubtful(&self, now: Instant) -> bool {
        matches!(self.known, Known::Nothing) || now.saturating_duration_since(self.at) > TRUSTED_FOR
    }

    /// Takes in what `/api/ps` lists. What the host loaded stays known by its whole key, unless it
    /// is gone.
    pub(crate) fn observe(&mut self, loaded: Vec<Loaded>, now: Instant) {
        let still_there = match &mut self.known {
            Known::Ours(ours) => {
                ours.seen = loaded.iter().find(|model| ours.key.is_model(model)).cloned();
                ours.seen.is_some()
            }
            // Their order is that in which they expire, and changes with every use.
            Known::Listed(before) => {
                before.len() == loaded.len()
                    && before.iter_mut().all(|model| is_listed_still(model, &loaded))
            }
            Known::Nothing => false,
        };
        if !still_there {
            self.change(Known::Listed(loaded), now);
        }
        self.at = now;
    }

    /// The host has loaded `key`, by this name.
    pub(crate) fn loaded(&mut self, name: &str, key: RunnerKey, now: Instant) {
        self.loaded_last = Some(key.clone());
        self.change(Known::Ours(Ours { key, name: name.to_owned(), seen: None }), now);
        self.at = now;
    }

    fn change(&mut self, known: Known, now: Instant) {
        self.known = known;
        if self.grants_quantum {
            self.quantum_began_at = now;
        }
    }

    /// Whether what is loaded from now on gets a quantum.
    pub(crate) fn grant_quantum(&mut self, grants: bool) {
        self.grants_quantum = grants;
    }

    /// A turn ends.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.used_until = Some(now);
    }

    /// How what is loaded has been used.
    pub(crate) fn usage(&self, now: Instant) -> planner::Loaded {
        let since = |at| now.saturating_duration_since(at);
        planner::Loaded {
            quantum_age: since(self.quantum_began_at),
            idle: self.used_until.map_or(Duration::MAX, since),
        }
    }

    /// What is loaded, for those who do not have the turn.
    pub(crate) fn shown(&self) -> Option<Resident> {
        let model = match &self.known {
            Known::Ours(ours) => ours.name.clone(),
            Known::Listed(list) => list.first()?.model.clone(),
            Known::Nothing => return None,
        };
        let quantum = planner::quantum(&self.swap_cost, Swap::Model);
        Some(Resident { model, quantum_began_at: self.quantum_began_at, quantum })
    }

    /// A load has taken so long.
    pub(crate) fn learn(&mut self, swap: Swap, took: Duration) {
        self.swap_cost.learn(swap, took);
    }

    /// What loads are expected to cost.
    pub(crate) fn swap_cost(&self) -> &SwapCost {
        &self.swap_cost
    }

    /// A first token has taken so long.
    pub(crate) fn learn_first_token(&mut self, took: Duration) {
        self.first_token = Some(swap::moved(self.first_token, took));
    }

    /// How long first tokens have taken lately.
    pub(crate) fn first_token(&self) -> Option<Duration> {
        self.first_token
    }

    /// What this model was loaded with, as far as it is known: a request with anything else would make Ollama load it again.
    pub(crate) fn key_of(&self, loaded: &Loaded) -> RunnerKey {
        let is_as_seen = |key: &&RunnerKey| {
            let context = key.num_ctx();
            key.is_model(loaded)
                && context.is_none_or(|tokens| Some(tokens) == loaded.context_length)
        };
        match self.loaded_last.as_ref().filter(is_as_seen) {
            Some(ours) => ours.clone(),
            None => loaded.key.clone().with_context(loaded.context_length),
        }
    }

    /// A call went well: what was loaded still is.
    pub(crate) fn confirm(&mut self, now: Instant) {
        self.at = now;
    }

    /// Something went wrong: the runner may have died.
    pub(crate) fn doubt(&mut self) {
        self.known = Known::Nothing;
    }

    /// Ollama was told to let go of the model of `key`. What else is loaded still is.
    pub(crate) fn let_go(&mut self, key: &RunnerKey) {
        match &mut self.known {
            Known::Ours(ours) if ours.has_model_of(key) => self.doubt(),
            Known::Listed(list) => list.retain(|model| !key.is_model(model)),
            Known::Ours(_) | Known::Nothing => {}
        }
    }

    /// Why `key` has to be loaded, or none if it is.
    pub(crate) fn swap_for(&self, key: &RunnerKey) -> Option<Swap> {
        match &self.known {
            Known::Ours(ours) if !ours.has_model_of(key) => Some(Swap::Model),
            Known::Ours(ours) if ours.serves(key) => None,
            Known::Ours(_) => Some(Swap::Options),
            Known::Listed(list) if list.iter().any(|model| key.is_served_by(model)) => None,
            Known::Listed(list) if list.iter().any(|model| key.is_model(model)) => {
                Some(Swap::Options)
            }
            Known::Listed(list) if !list.is_empty() => Some(Swap::Model),
            Known::Listed(_) | Known::Nothing => Some(Swap::Cold),
        }
    }
}

/// Whether a model is listed as it was. If so, it is known by what the host has learnt of it since.
fn is_listed_still(model: &mut Loaded, list: &[Loaded]) -> bool {
    let now = list.iter().find(|now| now.is_as_listed(model));
    if let Some(now) = now {
        model.clone_from(now);
    }
    now.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{modelfile::Modelfile, report, resolve};
    use serde_json::{Value, json};

    fn key_with(digest: &str, options: &Value) -> RunnerKey {
        let model = resolve::named(digest, digest);
        RunnerKey::of(&model, None, options.as_object().unwrap(), None)
    }

    fn key(digest: &str, num_ctx: u64) -> RunnerKey {
        key_with(digest, &json!({"num_ctx": num_ctx}))
    }

    fn listed(digest: &str) -> Vec<Loaded> {
        vec![report::loaded(&format!("{digest}:latest"), digest, Some(4096))]
    }

    #[test]
    fn a_model_is_loaded_once_and_again_only_for_another_key() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        assert!(residency.is_doubtful(now));
        residency.observe(Vec::new(), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), Some(Swap::Cold));
        residency.loaded("a", key("a", 4096), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), None);
        assert_eq!(residency.swap_for(&key("a", 8192)), Some(Swap::Options));
        assert_eq!(residency.swap_for(&key("b", 4096)), Some(Swap::Model));
        residency.doubt();
        assert!(residency.is_doubtful(now));
    }

    #[test]
    fn a_context_that_ollama_chose_serves_those_who_name_it_and_not_the_other_way_round() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        let chosen = key_with("a", &json!({}));
        residency.loaded("a", chosen.clone(), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), Some(Swap::Options), "nobody has seen it");
        residency.observe(listed("a"), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), None);
        assert_eq!(residency.swap_for(&key("a", 8192)), Some(Swap::Options));
        assert_eq!(residency.swap_for(&chosen), None);
        residency.loaded("a", key("a", 8192), now);
        residency.observe(listed("a"), now);
        assert_eq!(residency.swap_for(&key("a", 8192)), None, "it has less, which is all there is");
        assert_eq!(residency.swap_for(&chosen), Some(Swap::Options));
    }

    #[test]
    fn a_model_that_was_loaded_before_it_was_known_how_it_is_made_is_not_loaded_again() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        residency.loaded("a", key_with("a", &json!({})), now);
        let parameters = json!({"num_ctx": 4096}).as_object().unwrap().clone();
        let weights = Some("w".to_owned());
        let made = Modelfile { weights, parameters, ..Modelfile::default() };
        let by_weights = |name| {
            RunnerKey::of(&resolve::named(name, name), Some(&made), &serde_json::Map::new(), None)
        };
        assert_eq!(
            residency.swap_for(&by_weights("copy")),
            Some(Swap::Model),
            "nobody has seen it"
        );
        let seen = Loaded { key: by_weights("a"), ..listed("a").remove(0) };
        residency.observe(vec![seen], now);
        assert_eq!(residency.swap_for(&by_weights("copy")), None);
        residency.let_go(&by_weights("copy"));
        assert!(residency.is_doubtful(now));
    }

    #[test]
    fn what_somebody_else_loaded_is_used_if_it_fits() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        residency.observe(listed("a"), now);
        assert_eq!(residency.swap_for(&key("a", 4096)), None);
        assert_eq!(residency.swap_for(&key("a", 8192)), Some(Swap::Options));
        assert_eq!(residency.swap_for(&key("b", 4096)), Some(Swap::Model));
    }

    #[test]
    fn what_ollama_was_told_to_let_go_of_is_not_loaded_and_the_rest_is() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        residency.observe([listed("a"), listed("b")].concat(), now);
        residency.let_go(&key("a", 8192));
        assert_eq!(residency.swap_for(&key("a", 4096)), Some(Swap::Model));
        assert_eq!(residency.swap_for(&key("b", 4096)), None);
        residency.loaded("b", key("b", 4096), now);
        residency.let_go(&key("a", 4096));
        assert_eq!(residency.swap_for(&key("b", 4096)), None);
        residency.let_go(&key("b", 8192));
        assert!(residency.is_doubtful(now));
    }

    #[test]
    fn a_quantum_begins_with_a_load_unless_the_turn_passed_over_a_better_rank() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let age = |residency: &Residency| residency.usage(after(100)).quantum_age.as_secs();
        let mut residency = Residency::unknown(start);
        residency.loaded("a", key("a", 4096), after(10));
        assert_eq!(age(&residency), 90);
        residency.grant_quantum(false);
        residency.doubt();
        residency.loaded("a", key("a", 4096), after(20));
        assert_eq!(age(&residency), 90);
        residency.grant_quantum(true);
        residency.loaded("b", key("b", 4096), after(30));
        assert_eq!(age(&residency), 70);
        residency.observe(listed("a"), after(40));
        residency.observe(listed("a"), after(50));
        assert_eq!(age(&residency), 60, "the same list is no news");
        residency.observe([listed("a"), listed("b")].concat(), after(60));
        residency.observe([listed("b"), listed("a")].concat(), after(70));
        assert_eq!(age(&residency), 40, "nor is its order");
        let made = Modelfile { weights: Some("w".to_owned()), ..Modelfile::default() };
        let by_weights = |name| {
            RunnerKey::of(&resolve::named(name, name), Some(&made), &serde_json::Map::new(), None)
        };
        let learnt = Loaded { key: by_weights("a"), ..listed("a").remove(0) };
        residency.observe([vec![learnt], listed("b")].concat(), after(80));
        assert_eq!(age(&residency), 40, "nor is what the host has learnt of it");
        assert_eq!(residency.swap_for(&by_weights("copy")), None, "which it knows");
    }

    #[test]
    fn what_a_model_was_loaded_with_is_known_as_long_as_it_is_as_seen() {
        let now = Instant::now();
        let mut residency = Residency::unknown(now);
        let loaded = |context_length| Loaded { context_length, ..listed("a")[0].clone() };
        let options = |residency: &Residency, context| {
            serde_json::to_string(residency.key_of(&loaded(context)).options()).unwrap()
        };
        assert_eq!(options(&residency, Some(4096)), r#"{"num_ctx":4096}"#);
        assert_eq!(options(&residency, None), "{}");
        residency.loaded("a", key_with("a", &json!({"num_thread": 2})), now);
        residency.doubt();
        assert_eq!(options(&residency, Some(4096)), r#"{"num_thread":2}"#);
        residency.loaded("a", key("a", 8192), now);
        assert_eq!(options(&residency, Some(8192)), r#"{"num_ctx":8192}"#);
        assert_eq!(options(&residency, Some(2048)), r#"{"num_ctx":2048}"#, "it was loaded again");
        residency.loaded("b", key("b", 8192), now);
        assert_eq!(options(&residency, Some(4096)), r#"{"num_ctx":4096}"#);
    }

    #[test]
    fn after_an_idle_while_ollama_is_asked_and_believed() {
        let start = Instant::now();
        let later = start + TRUSTED_FOR + Duration::from_millis(1);
        let mut residency = Residency::unknown(start);
        residency.loaded("a", key("a", 8192), start);
        assert!(!residency.is_doubtful(start + TRUSTED_FOR));
        assert!(residency.is_doubtful(later));
        residency.observe(listed("a"), later);
        assert_eq!(residency.swap_for(&key("a", 8192)), None, "still there, so still ours");
        residency.observe(Vec::new(), later);
        assert_eq!(residency.swap_for(&key("a", 8192)), Some(Swap::Cold));
    }
}
