//! `/api/create`: a model from another, or from blobs that were uploaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::progress::Progress;
use super::{NOT_IN_REGISTRY, from_registry};
use crate::ollama::config::Model;
use crate::ollama::log::Recording;
use crate::ollama::names::normalised;
use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, Refusal, first_value};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    name: Option<String>,
    from: Option<String>,
    /// Digests by the names of files.
    files: Option<BTreeMap<String, String>>,
    /// Those of the model that it is made from stay, but for these.
    parameters: Option<Map<String, Value>>,
    /// Absent is true.
    stream: Option<bool>,
}

const NO_SPACE: &str = "write /models/blobs/sha256-simulated: no space left on device";

/// Answers `/api/create`.
pub(in crate::ollama) async fn create(
    server: &Server,
    body: &[u8],
    recording: &Recording,
) -> Result<Answer, Refusal> {
    let request: Request = first_value(body)?;
    let given = |name: &String| !name.is_empty();
    let name = request.model.filter(given).or(request.name).filter(given);
    let Some(name) = name.map(|name| normalised(&name)) else {
        return Err(Refusal::new(400, "invalid model name"));
    };
    if server.faults.forbids_creation() {
        return Err(Refusal::new(500, NO_SPACE));
    }
    let files = request.files.unwrap_or_default();
    if files.values().any(String::is_empty) {
        return Err(Refusal::new(400, "invalid digest format"));
    }
    let progress = match (request.from.filter(given), files.first_key_value()) {
        (Some(from), _) => like(server, &from, &name, request.parameters.unwrap_or_default()),
        (None, Some((_file, digest))) => of_blob(server, digest, &name),
        (None, None) => {
            return Err(Refusal::new(400, "neither 'from' or 'files' was specified"));
        }
    };
    progress.answer(server, recording, request.stream.unwrap_or(true)).await
}

/// Another model with other words around the same weights. One that is not here is pulled first.
fn like(server: &Server, from: &str, name: &str, parameters: Map<String, Value>) -> Progress {
    let known = server.shelf.find(from).map(|model| Model::clone(&model));
    match known.or_else(|| from_registry(server, from)) {
        None => Progress::to_failure(NOT_IN_REGISTRY).line("pulling manifest"),
        Some(mut model) => {
            if server.faults.forgets() {
                model.parameters.clear();
            }
            written(server, model.derived(name, parameters))
        }
    }
}

fn of_blob(server: &Server, digest: &str, name: &str) -> Progress {
    if !server.shelf.has_blob(digest) {
        return Progress::to_failure("file does not exist");
    }
    let like = server.shelf.models().first().map(|model| Model::clone(model));
    let blob = digest.strip_prefix("sha256:").unwrap_or(digest).to_owned();
    written(server, like.unwrap_or_else(|| Model::chat(name)).of_blob(name, blob))
}

fn written(server: &Server, model: Model) -> Progress {
    let layer = format!("using existing layer sha256:{}", model.blob);
    let shelf = Arc::clone(&server.shelf);
    Progress::to(move || shelf.install(model)).line(&layer).line("writing manifest")
}
