//! The one path to one Ollama.
//!
//! What it does: [`Lane`] implements [`roughneck_jobs::ports::llm::Llm`] against Ollama's native
//! API. It lets one call through at a time, has the model loaded by a request of the host's own,
//! streams the answer, counts what it cost, and keeps an inventory of what is installed.
//!
//! What it deliberately does not: pull or delete models, or serve Ollama's surface to clients.
//!
//! Which call is next is decided by [`planner`], which is pure; `queue` hands the turn over. To add a field to the request, start in `request`; to add a figure to the statistics, start in
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
pub mod planner;
mod probe;
mod queue;
mod request;
mod residency;
mod resolve;
mod runner_key;
mod stats;
pub mod swap;

pub use config::{BadConfig, Config};
pub use lane::Lane;
