//! One file for each command.

pub(crate) mod completions;
pub(crate) mod config;
mod host;
mod input;
pub(crate) mod job;
pub(crate) mod ollama_sim;
pub(crate) mod plugin;
pub(crate) mod schedule;
pub(crate) mod serve;
