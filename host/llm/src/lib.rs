//! The one path to one Ollama.
//!
//! What it does: [`Lane`] implements [`roughneck_jobs::ports::llm::Llm`] against Ollama's native
//! API. It lets one call through at a time, has the model loaded by a request of the host's own,
//! streams the answer, counts what it cost, and keeps an inventory of what is installed.
//!
//! What it deliberately does not: choose which job goes next (the `turn` module is first come, first
//! served), pull or delete models, or serve Ollama's surface to clients.
//!
//! To add a field to the request, start in `request`; to add a figure to the statistics, start in
//! `stats`, which is pure, and publish it in [`metrics`].

mod answer;
mod broken;
mod buffer;
mod chunk;
mod client;
mod config;
mod drain;
mod inventory;
mod lane;
mod lines;
mod load;
pub mod metrics;
mod model_name;
mod probe;
mod request;
mod residency;
mod resolve;
mod runner_key;
mod stats;
mod turn;

pub use config::{BadConfig, Config};
pub use lane::Lane;
