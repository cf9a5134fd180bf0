//! Language models, through the host's one lane.

mod options;
mod request;

use std::sync::Arc;

use roughneck_jobs::{
    failure::Failure,
    grant::matches,
    model::{Call, Completion, Delivery, LlmError, Piece},
    ports::llm::Answer,
};

use crate::{HostError, Refusal, Session, clip, held::Held};

pub use request::{CALL_BYTES_MAX, Request};

/// An answer that the guest pulls piece by piece. Dropping it stops the generation.
pub struct Stream(State);

enum State {
    /// On its way, and the run's only one. Its request is kept for as long: it may have to be sent anew.
    Open { answer: Box<dyn Answer>, _only: Arc<()>, _held: Held },
    /// Whole. The lane is free again, even if the guest keeps the stream.
    Ended(Completion),
    /// Over before its end.
    Broken(HostError),
}

impl Session {
    /// Begins a request to a model's name or alias.
    ///
    /// # Errors
    /// [`crate::Exhausted`].
    pub fn llm_request(&mut self, model: String) -> Result<Request, crate::Exhausted> {
        self.count()?;
        Ok(Request::new(model, &self.held))
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn complete(&mut self, request: Request) -> Result<Completion, Refusal> {
        let mut stream = self.open(request, Delivery::Whole).await?;
        Ok(self.drain(&mut stream).await?)
    }

    /// Sends a request and returns when the answer begins.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn open_stream(&mut self, request: Request) -> Result<Stream, Refusal> {
        self.open(request, Delivery::Pieces).await
    }

    async fn open(&mut self, request: Request, delivery: Delivery) -> Result<Stream, Refusal> {
        self.admit().await?;
        if self.open_stream.strong_count() > 0 {
            return Err(Refusal::fatal(
                "stream-open",
                "Ollama answers one call at a time; read the open stream to its end, finish or drop it before the next request",
            ));
        }
        let (call, held) = request.call(self, delivery)?;
        self.model_is_allowed(&call).await?;
        let opened = self.ports.llm.open(call, Arc::clone(&self.supervisor)).await;
        let answer = opened.map_err(|error| self.llm_failed(&error))?;
        self.withheld = None;
        let only = Arc::new(());
        self.open_stream = Arc::downgrade(&only);
        Ok(Stream(State::Open { answer, _only: only, _held: held }))
    }

    /// The next piece of text, or none at the end. Reasoning is passed over. It is not charged: a guest
    /// cannot know how many pieces an answer has, and the answer is what is paid for.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn next_piece(&mut self, stream: &mut Stream) -> Result<Option<String>, HostError> {
        self.may_act().await?;
        self.pull(stream).await
    }

    /// Reads what is left and returns the whole answer.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn finish(&mut self, mut stream: Stream) -> Result<Completion, Refusal> {
        self.admit().await?;
        Ok(self.drain(&mut stream).await?)
    }

    async fn drain(&mut self, stream: &mut Stream) -> Result<Completion, HostError> {
        loop {
            match &stream.0 {
                State::Open { .. } => _ = self.pull(stream).await?,
                State::Ended(completion) => return Ok(completion.clone()),
                State::Broken(error) => return Err(error.clone()),
            }
        }
    }

    /// One piece, shown to those who wait, or none at the end.
    async fn pull(&mut self, stream: &mut Stream) -> Result<Option<String>, HostError> {
        loop {
            let answer = match &mut stream.0 {
                State::Open { answer, .. } => answer,
                State::Ended(_) => return Ok(None),
                State::Broken(error) => return Err(error.clone()),
            };
            let piece = match answer.next().await {
                // A run that lost its job while it waited shows nothing.
                Ok(piece) => self.holds_for_sure().await.map(|()| piece),
                Err(error) => Err(self.llm_failed(&error)),
            };
            match piece {
                Ok(Some(Piece::Text(text))) => {
                    self.supervisor.text(&text);
                    return Ok(Some(text));
                }
                Ok(Some(Piece::Thinking(_))) => {}
                Ok(None) => {
                    let completion = answer.completion();
                    self.supervisor.spent(&completion.usage);
                    stream.0 = State::Ended(completion);
                }
                Err(error) => stream.0 = State::Broken(error),
            }
        }
    }

    /// The model must be named by the manifest and by the grant: as the plugin writes it, which may be
    /// an alias of the operator, or as Ollama knows it.
    async fn model_is_allowed(&self, call: &Call) -> Result<(), HostError> {
        let named =
            |patterns: &[String], name: &str| patterns.iter().any(|pattern| matches(pattern, name));
        let wanted = self.wanted.llm.as_ref().map_or(&[][..], |wish| &wish.models);
        let granted = &self.grant.models;
        if named(wanted, &call.model) && named(granted, &call.model) {
            return Ok(());
        }
        // It may be an alias: what it stands for decides.
        let resolved = match self.ports.llm.resolve(&call.model).await {
            Ok(resolved) => resolved.name,
            Err(_) => call.model.clone(),
        };
        let either =
            |patterns: &[String]| named(patterns, &call.model) || named(patterns, &resolved);
        let shown = clip(&call.model, 128);
        if !either(wanted) {
            let sentence = format!(
                "the manifest does not name the model `{shown}`; add it to `llm.models` under [capabilities] in plugin.toml"
            );
            return Err(HostError::fatal("model-not-granted", sentence));
        }
        if !either(granted) {
            let sentence = format!(
                "the operator has not granted the model `{shown}`; add it to `models` under [grants.{}] in roughneck.toml",
                self.plugin
            );
            return Err(HostError::fatal("model-not-granted", sentence));
        }
        Ok(())
    }

    /// What the guest is told. What is no fault of its own, or can never be mended, is remembered: it decides
    /// what becomes of the job if the guest fails for it.
    fn llm_failed(&mut self, error: &LlmError) -> HostError {
        let host_error = HostError::fatal(error.code(), clip(&error.to_string(), 2 << 10));
        let retryable = error.is_retryable();
        match error {
            LlmError::Unavailable { .. } | LlmError::Unwell { .. } => {
                self.withheld = Some(Failure::retry(error.code(), error.to_string()));
            }
            LlmError::OverBudget(over) => {
                let retry_after_ms = over.renewed_in_ms(self.ports.clock.now());
                let (code, message) = (over.code(), over.to_string());
                let failure = if retryable {
                    Failure { retry_after_ms, ..Failure::retry(code, message) }
                } else {
                    Failure::fatal(code, message)
                };
                self.withheld = Some(failure);
                return HostError { retryable, retry_after_ms, ..host_error };
            }
            LlmError::CloudDisabled { .. } => {
                self.withheld = Some(Failure::fatal(error.code(), error.to_string()));
            }
            LlmError::NotInstalled { .. }
            | LlmError::Moved { .. }
            | LlmError::Refused { .. }
            | LlmError::Full { .. }
            | LlmError::BrokenOff(_)
            | LlmError::Invalid(_) => {}
        }
        HostError { retryable, ..host_error }
    }
}

#[cfg(test)]
mod tests;
