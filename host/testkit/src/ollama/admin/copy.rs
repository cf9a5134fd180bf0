//! `/api/copy`.

use serde::Deserialize;

use crate::ollama::names::normalised;
use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, Refusal, first_value};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    source: String,
    destination: String,
}

/// Answers `/api/copy`.
pub(in crate::ollama) fn copy(server: &Server, body: &[u8]) -> Result<Answer, Refusal> {
    let Request { source, destination } = first_value(body)?;
    for (what, name) in [("source", &source), ("destination", &destination)] {
        if name.is_empty() {
            return Err(Refusal::new(400, format!("{what} {name:?} is invalid")));
        }
    }
    match server.shelf.find(&source) {
        Some(model) => {
            server.shelf.install(model.alias(&normalised(&destination)));
            Ok(Answer::nothing(200))
        }
        None => Err(Refusal::new(404, format!("model {source:?} not found"))),
    }
}
