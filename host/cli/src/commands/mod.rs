//! One file for each command.

pub(crate) mod config;
pub(crate) mod ollama_sim;
pub(crate) mod serve;
