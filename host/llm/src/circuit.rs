//! The breaker of the lane, as those see it who share it: its queue, its callers, its watchman.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::model::LlmError;
use tokio::{sync::watch, time::Instant};

use crate::{
    breaker::{Breaker, Pulse, Sign, Why},
    config::Config,
    metrics::Metrics,
    model_id::ModelId,
    pulse,
};

/// Where it is decided whether Ollama is given work. Nothing here takes another lock.
#[derive(Debug)]
pub(crate) struct Circuit {
    breaker: watch::Sender<Breaker>,
    /// See [`crate::Config::pulse_min`].
    pulse_min: Duration,
    /// The address of Ollama, fit to be shown.
    url: String,
    metrics: Arc<Metrics>,
}

impl Circuit {
    pub(crate) fn new(config: &Config, url: &str, metrics: Arc<Metrics>) -> Self {
        let breaker = watch::Sender::new(Breaker::new(config.breaker));
        Self { breaker, pulse_min: config.pulse_min, url: url.to_owned(), metrics }
    }

    /// Whether so long a silence means something, where first tokens have lately taken so long.
    pub(crate) fn is_odd(&self, silence: Duration, first_token: Option<Duration>) -> bool {
        silence >= pulse::patience(self.pulse_min, first_token)
    }

    /// Whether calls go.
    pub(crate) fn admits(&self) -> bool {
        self.breaker.borrow().admits()
    }

    /// What was wrong with Ollama, while the next call says how it is.
    pub(crate) fn on_trial(&self) -> Option<LlmError> {
        let (url, why) = (self.url.clone(), self.breaker.borrow().on_trial()?.to_owned());
        Some(LlmError::Unwell { url, why })
    }

    /// What is wrong with Ollama, while it gets no work for it.
    pub(crate) fn error(&self) -> Option<LlmError> {
        let url = self.url.clone();
        Some(match self.breaker.borrow().why()?.clone() {
            Why::Away(why) => LlmError::Unavailable { url, why },
            Why::Ill(why) => LlmError::Unwell { url, why },
        })
    }

    /// Returns what is wrong once it has been wrong for so long.
    pub(crate) async fn given_up(&self, patience: Duration) -> LlmError {
        loop {
            self.until(|breaker| breaker.why().is_some()).await;
            let mends = self.until(|breaker| breaker.why().is_none());
            if tokio::time::timeout(patience, mends).await.is_err()
                && let Some(error) = self.error()
            {
                return error;
            }
        }
    }

    /// Waits until nothing is known to be wrong.
    pub(crate) async fn mended(&self) {
        self.until(|breaker| breaker.why().is_none()).await;
    }

    /// When a pulse is due.
    pub(crate) fn pulse_at(&self) -> Option<Instant> {
        self.breaker.borrow().pulse_at()
    }

    /// Waits until a pulse is due at another time than this.
    pub(crate) async fn pulse_moves(&self, from: Option<Instant>) {
        self.until(|breaker| breaker.pulse_at() != from).await;
    }

    async fn until(&self, mut is_so: impl FnMut(&Breaker) -> bool) {
        let mut seen = self.breaker.subscribe();
        // Its sender is ours: it outlives this call.
        drop(seen.wait_for(|breaker| is_so(breaker)).await);
    }

    /// How Ollama has failed to load this model, while it is not asked to again.
    pub(crate) fn barred(&self, model: &ModelId) -> Option<LlmError> {
        self.breaker.borrow().barred(model, Instant::now()).cloned()
    }

    /// Ollama has loaded this model.
    pub(crate) fn loaded(&self, model: &ModelId) {
        self.change(|breaker, _| breaker.loaded(model));
    }

    /// A turn has ended.
    pub(crate) fn ended(&self, sign: Sign) {
        self.change(|breaker, now| breaker.ended(sign, now));
    }

    /// A pulse has been felt for.
    pub(crate) fn felt(&self, pulse: Pulse) {
        self.change(|breaker, now| breaker.felt(pulse, now));
    }

    /// Ollama is back after it was away, or has let go of a runner.
    pub(crate) fn renewed(&self) {
        self.change(Breaker::renewed);
    }

    fn change(&self, change: impl FnOnce(&mut Breaker, Instant)) {
        let mut turned = None;
        self.breaker.send_if_modified(|breaker| {
            let before = breaker.clone();
            change(breaker, Instant::now());
            if before.why().is_some() != breaker.why().is_some() {
                turned = before.why().or(breaker.why()).cloned();
            }
            *breaker != before
        });
        if let Some(why) = turned {
            self.announce(&why);
        }
    }

    /// Says that it has opened or closed, and why it was open.
    fn announce(&self, why: &Why) {
        let error = self.error();
        self.metrics.upstream.breaker_open(error.is_some());
        match (why, error) {
            // The inventory says so, and when it is over.
            (Why::Away(_), _) => {}
            (Why::Ill(_), Some(error)) => tracing::warn!("{error}; jobs that need it wait"),
            (Why::Ill(_), None) if self.on_trial().is_some() => {
                tracing::info!(url = self.url, "the next call tries whether Ollama works again");
            }
            (Why::Ill(_), None) => tracing::info!(url = self.url, "Ollama works again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::Failure;

    fn circuit() -> Circuit {
        Circuit::new(&Config::new("http://o"), "http://o", Arc::new(Metrics::new()))
    }

    fn break_down(circuit: &Circuit) {
        let error = LlmError::BrokenOff("nothing".to_owned());
        circuit.ended(Sign::Failed(Failure { error, in_silence: true, load_of: None }));
        circuit.felt(Pulse::Missing(Why::Ill("no token".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_gives_up_when_it_has_been_wrong_for_as_long_as_it_waits() {
        let (circuit, patience) = (Arc::new(circuit()), Duration::from_secs(30));
        let given_up = tokio::spawn({
            let circuit = Arc::clone(&circuit);
            async move { circuit.given_up(patience).await }
        });
        tokio::time::sleep(Duration::from_secs(100)).await;
        break_down(&circuit);
        tokio::time::sleep(Duration::from_secs(29)).await;
        circuit.felt(Pulse::Felt);
        tokio::time::sleep(Duration::from_secs(1)).await;
        break_down(&circuit);
        let broke_at = Instant::now();
        assert!(!given_up.is_finished(), "it was well in between");
        let error = given_up.await.unwrap();
        assert_eq!(broke_at.elapsed(), patience);
        assert_eq!(
            error.to_string(),
            "Ollama at http://o does not do its work (no token); restart Ollama, and look at its log"
        );
        assert_eq!(error.code(), "ollama-unavailable");
        assert_eq!(
            circuit.given_up(Duration::ZERO).await,
            error,
            "at once, for those who need not wait"
        );
    }

    #[tokio::test]
    async fn it_is_told_who_looks_when_a_pulse_is_due_at_another_time() {
        let circuit = circuit();
        let due = circuit.pulse_at();
        assert_eq!(due, None);
        circuit.ended(Sign::Left);
        circuit.pulse_moves(due).await;
        assert!(circuit.pulse_at().is_some() && !circuit.admits() && circuit.error().is_none());
    }
}
