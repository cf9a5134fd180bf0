//! The one path to one Ollama.
//!
//! What it does: [`Lane`] implements [`roughneck_jobs::ports::llm::Llm`] against Ollama's native
//! API. It lets one call through at a time, has the model loaded by a request of the host's own,
//! streams the answer, counts what it cost, and keeps an inventory of what is installed. An Ollama that does
//! not do its work gets none, which `breaker` decides, until a token of it says that it does. Where a route has no place for
//! the context that is pinned for a model, another model stands in for it: see `stand_in`.
//!
//! What Ollama would keep loaded for a call is its `runner_key`, by which all else tells calls apart: not the name of a model
//! but what it is made of, as `modelfile` reads it and `modelfiles` asks for it.
//!
//! It is also Ollama's own surface ([`roughneck_jobs::ports::gateway::Gateway`]), in `gateway`.
//!
//! What it deliberately does not: know anything of HTTP servers, or of jobs beyond their ports.
//!
//! Which call is next is decided by [`planner`], which is pure; `queue` hands the turn over. To add a field
//! to the request of a plugin, start in `request`; to add a figure to the statistics, start in `stats`,
//! which is pure, and publish it in [`metrics`].

mod answer;
mod asking;
mod barred;
mod breaker;
mod broken;
mod buffer;
mod circuit;
mod client;
mod config;
mod course;
mod demand;
mod direct;
mod drain;
mod frames;
mod gateway;
mod inventory;
mod lane;
mod line;
mod load;
pub mod metrics;
mod model_id;
mod model_name;
mod modelfile;
mod modelfiles;
mod option;
mod others;
mod pieces;
pub mod planner;
pub mod preempt;
mod pulse;
mod queue;
mod report;
mod request;
mod residency;
mod resolve;
mod response;
mod runner_key;
mod stand_in;
mod stats;
pub mod swap;
mod telling;
mod watchman;
mod wire;

pub use config::{BadConfig, Config, Record};
pub use lane::{Lane, Ports};
