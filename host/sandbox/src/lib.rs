//! wasmtime: loads components, checks their gates, runs one attempt in a fresh instance.
//!
//! What it does: [`Plugins::load`] reads plugin folders and lets through what passes three gates (the
//! component imports no more than its manifest names, the manifest wants no more than the operator
//! granted, the contract is one this host speaks). As a [`roughneck_jobs::ports::runner::Runner`] it
//! then runs attempts: each in a store and an instance of its own, which are never used again, within
//! limits of memory, guest CPU, wall time, host calls and output.
//!
//! What it deliberately does not: it holds no logic of a capability. `glue/` hands calls over to
//! `roughneck-capabilities`, type by type.
//!
//! To add an interface to the contract: `wit/`, then its gate in `gates`, its line in `linker`, and a
//! file in `glue/`.

mod bindings;
mod cache;
mod compile;
mod cpu;
mod engine;
mod gates;
mod glue;
mod guest;
mod linker;
mod load;
mod memory;
mod metrics;
mod outcome;
mod plugins;
mod read;
mod refused;
mod run;
mod stop;
mod ticker;

pub use load::{Config, LoadError};
pub use plugins::Plugins;
