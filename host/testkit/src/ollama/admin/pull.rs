//! `/api/pull`.

use std::sync::Arc;

use super::progress::Progress;
use super::{NOT_IN_REGISTRY, Request, from_registry};
use crate::ollama::log::Recording;
use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, Refusal, first_value};

/// Answers `/api/pull`.
pub(in crate::ollama) async fn pull(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let request: Request = first_value(body)?;
    let progress = match from_registry(server, request.model()?) {
        None => Progress::to_failure(NOT_IN_REGISTRY).line("pulling manifest"),
        Some(model) => {
            let (blob, size, time) = (model.blob.clone(), model.size_bytes, model.load_time);
            let shelf = Arc::clone(&server.shelf);
            Progress::to(move || shelf.install(model))
                .line("pulling manifest")
                .transfer("pulling", &blob, size, time)
                .line("verifying sha256 digest")
                .line("writing manifest")
        }
    };
    progress.answer(server, recording, request.streamed()).await
}
