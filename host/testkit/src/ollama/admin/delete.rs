//! `/api/delete`. A model that is loaded stays loaded, as upstream.

use super::Request;
use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, Refusal, first_value};

/// Answers `/api/delete`.
pub(in crate::ollama) fn delete(server: &Server, body: &[u8]) -> Result<Answer, Refusal> {
    let request: Request = first_value(body)?;
    let name = request.model()?;
    if server.shelf.remove(name) {
        return Ok(Answer::nothing(200));
    }
    Err(Refusal::new(404, format!("model '{name}' not found")))
}
