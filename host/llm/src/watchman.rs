//! Looks at what Ollama has loaded, and feels its pulse when the breaker asks for it.
//!
//! The looks are small questions, and no call waits for them. There is one every few seconds while something is
//! loaded or somebody wants something, and one in half a minute otherwise.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roughneck_jobs::model::Health;
use tokio::time::Instant;

use crate::{
    lane::Shared,
    metrics::LoadedModel,
    others::{self, Look},
    pulse,
    queue::Doings,
    report::Running,
};

/// A lane that is taken although no calls go is about to be free.
const TAKEN: Duration = Duration::from_millis(100);

/// Watches until it is dropped.
pub(crate) async fn watch(shared: Arc<Shared>) {
    Watchman { shared, last: None, looks_at: None }.watch().await;
}

struct Watchman {
    shared: Arc<Shared>,
    /// The last look; none if what was before it says nothing about what is now.
    last: Option<Look>,
    /// When the next look is due; none while Ollama cannot be asked.
    looks_at: Option<Instant>,
}

impl Watchman {
    async fn watch(&mut self) {
        loop {
            let shared = Arc::clone(&self.shared);
            let (looks_at, pulse_at) = (self.looks_at, shared.circuit.pulse_at());
            tokio::select! {
                biased;
                () = shared.inventory.returned() => {
                    self.last = None;
                    shared.circuit.renewed();
                    self.look().await;
                }
                () = until(pulse_at) => self.feel().await,
                () = shared.circuit.pulse_moves(pulse_at) => {}
                () = shared.stirred.notified() => self.look().await,
                () = until(looks_at) => self.look().await,
            }
        }
    }

    /// Feels the pulse that is due.
    async fn feel(&self) {
        let Some(mut turn) = self.shared.queue.vacant() else {
            return tokio::time::sleep(TAKEN).await;
        };
        let was_ill = self.shared.circuit.error().is_some();
        let pulse = pulse::feel(&self.shared, &mut turn).await;
        // In this order: only then may the next call go.
        self.shared.circuit.felt(pulse);
        drop(turn);
        if was_ill && self.shared.circuit.admits() {
            self.shared.inventory.ring();
        }
    }

    /// Looks at what is loaded.
    async fn look(&mut self) {
        let shared = &self.shared;
        let before = [&shared.queue, &shared.embeddings].map(|queue| queue.quiet());
        let models = match shared.inventory.running().await {
            Ok(models) => models,
            Err(error) => {
                shared.unanswered(&error);
                self.forget();
                return;
            }
        };
        let now = Instant::now();
        let mut is_quiet = true;
        let mut doings = Doings { is_free: true, ..Doings::default() };
        for (queue, quiet) in [&shared.queue, &shared.embeddings].into_iter().zip(before) {
            let own = queue.doings();
            is_quiet &= quiet == Some(own.turns) && own.is_free;
            if let Some(turns) = quiet {
                queue.observe(turns, models.iter().map(|model| model.loaded.clone()).collect());
            }
            doings = doings.and(own);
        }
        shared.metrics.upstream.loaded(&self.shown(&models));
        let is_gone =
            |earlier: &Running| !models.iter().any(|now| now.loaded.is_as_listed(&earlier.loaded));
        if self.last.iter().flat_map(|look| &look.models).any(is_gone) {
            // Ollama was started anew, or has stopped a runner that hung.
            shared.circuit.renewed();
        }
        let is_busy = !models.is_empty() || !doings.is_free;
        let look = Look { at: now, now: shared.clock.now(), models, doings, is_quiet };
        let traces = self.last.as_ref().map(|last| others::traces(last, &look));
        for trace in traces.iter().flat_map(BTreeSet::iter) {
            shared.others.notice(*trace);
        }
        let config = &shared.config;
        let pause = if is_busy { config.look_every } else { config.poll_every };
        self.looks_at = Some(now + pause);
        self.last = Some(look);
    }

    /// Ollama cannot be asked: what it had loaded may be gone.
    fn forget(&mut self) {
        self.shared.metrics.upstream.loaded(&[]);
        self.last = None;
        self.looks_at = match self.shared.inventory.health() {
            // It rings when it is back.
            Health::Down { .. } => None,
            Health::Unknown | Health::Up { .. } | Health::OnTrial { .. } => {
                Some(Instant::now() + self.shared.config.poll_every)
            }
        };
    }

    fn shown(&self, models: &[Running]) -> Vec<LoadedModel> {
        let shown = |model: &Running| LoadedModel {
            label: self.shared.inventory.label(&model.loaded.model),
            context_length: model.loaded.context_length,
            size: model.size,
            size_vram: model.size_vram,
            expires_s: model.expires_at().map(|at| at.as_duration().as_secs_f64()),
        };
        models.iter().map(shown).collect()
    }
}

/// Waits until then, or for ever.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
