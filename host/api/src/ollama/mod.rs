//! Ollama's, OpenAI's and Anthropic's surfaces, in front of the one Ollama. What they look like is the
//! gateway's to know; here a call becomes a job, and answers become HTTP.

pub(crate) mod call;
pub(crate) mod closed;
pub(crate) mod completion;
pub(crate) mod foreman;
pub(crate) mod later;
pub(crate) mod pass;
pub(crate) mod reply;
#[cfg(test)]
mod tests;

/// `GET /`: what Ollama's clients ask to see whether it is there.
pub(crate) async fn root() -> &'static str {
    "Ollama is running"
}
