//! `/api/push`.

use super::Request;
use super::progress::Progress;
use crate::ollama::log::Recording;
use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, Refusal, first_value};

/// Answers `/api/push`.
pub(in crate::ollama) async fn push(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let request: Request = first_value(body)?;
    let progress = match server.shelf.find(request.model()?) {
        None => Progress::to_failure("file does not exist")
            .line("retrieving manifest")
            .line("couldn't retrieve manifest"),
        Some(model) => Progress::to(|| {})
            .line("retrieving manifest")
            .transfer("pushing", &model.blob, model.size_bytes, model.load_time)
            .line("pushing manifest"),
    };
    progress.answer(server, recording, request.streamed()).await
}
