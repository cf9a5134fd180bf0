//! `/v1/models` and `/v1/models/{model}`.

use serde::Serialize;

use crate::ollama::inventory::MODIFIED_AT_UNIX_S;
use crate::ollama::server::{Doing, Server};
use crate::ollama::wire::{Answer, Refusal};

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

impl<'a> Entry<'a> {
    fn of(id: &'a str) -> Self {
        Self { id, object: "model", created: MODIFIED_AT_UNIX_S, owned_by: "library" }
    }
}

/// Answers `/v1/models`.
pub(in crate::ollama) fn list(server: &Server) -> Answer {
    let models = server.shelf.models();
    let names = models.iter().map(|model| model.name.as_str());
    Answer::translated(200, &List { object: "list", data: names.map(Entry::of).collect() })
}

/// Answers `/v1/models/{model}`, with the name as it was asked for.
pub(in crate::ollama) fn retrieve(server: &Server, name: &str) -> Result<Answer, Refusal> {
    let missing = Refusal::new(404, format!("model '{name}' not found"));
    server.meant(name, Doing::Details, missing)?;
    Ok(Answer::translated(200, &Entry::of(name)))
}
