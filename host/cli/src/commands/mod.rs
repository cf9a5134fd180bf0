//! One file for each command.

pub(crate) mod backup;
pub(crate) mod budget;
pub(crate) mod chat;
pub(crate) mod class;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod flow;
mod host;
mod input;
pub(crate) mod job;
pub(crate) mod kind;
pub(crate) mod model;
pub(crate) mod ollama_sim;
mod paging;
mod pause;
pub(crate) mod plugin;
pub(crate) mod restore;
pub(crate) mod schedule;
pub(crate) mod serve;
mod state;
