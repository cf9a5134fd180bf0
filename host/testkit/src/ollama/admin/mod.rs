//! The routes that change the set of models: pull, push, create, copy, delete, and blobs.
//!
//! Nothing leaves this machine. Every model can be pulled but `nobody`, and a download takes as long as a load.

mod blobs;
mod copy;
mod create;
mod delete;
mod progress;
mod pull;
mod push;

use serde::Deserialize;

use super::config::Model;
use super::names::normalised;
use super::server::Server;
use super::wire::Refusal;

pub(super) use blobs::{is_upload, look_for, upload};
pub(super) use copy::copy;
pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use pull::pull;
pub(super) use push::push;

/// What pull, push and delete are asked; older clients say `name`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    name: Option<String>,
    /// Absent is true.
    stream: Option<bool>,
}

impl Request {
    fn model(&self) -> Result<&str, Refusal> {
        let given = |name: &&String| !name.is_empty();
        let name = self.model.as_ref().filter(given).or(self.name.as_ref()).filter(given);
        match name {
            Some(name) => Ok(name),
            None => Err(Refusal::new(400, "model is required")),
        }
    }

    fn streamed(&self) -> bool {
        self.stream.unwrap_or(true)
    }
}

/// The model that the registry has under this name: as quick as the first that is installed. None if it has none.
fn from_registry(server: &Server, name: &str) -> Option<Model> {
    let name = normalised(name);
    if name.starts_with("nobody:") {
        return None;
    }
    let like = server.shelf.models().first().map(|model| Model::clone(model));
    Some(like.unwrap_or_else(|| Model::chat(&name)).other(&name))
}

const NOT_IN_REGISTRY: &str = "pull model manifest: file does not exist";
