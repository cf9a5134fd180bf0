//! What a plugin may do: grants, limits and refusals, without wasmtime.
//!
//! What it does: a [`Session`] is everything one run may ask of the host. Each call passes one guard
//! (does the run still hold its job, is there time and budget left), then the capability compares
//! the *value* (this model, this host, this target) with the manifest and the operator's grant, and
//! only then something happens. [`webhook`] is the way signed webhooks leave the host; it shares the
//! rules of [`egress`] with the plugins' HTTP.
//!
//! What it deliberately does not: it knows no wasm, so a capability is tested without a guest, and
//! no store or Ollama, which come in through the ports of `roughneck-jobs`.
//!
//! Guests are hostile: every number is clamped, every size is capped, and no text of theirs reaches
//! a log unbounded.
//!
//! To add a capability: a file with its limits, its check against manifest and grant, its refusals
//! and a test of each refusal; then its thin glue in `roughneck-sandbox`.

mod callback;
mod context;
pub mod egress;
pub mod enqueue;
#[cfg(test)]
mod fake;
mod guard;
mod held;
pub mod http;
pub mod kv;
pub mod llm;
mod log;
mod progress;
mod refusal;
mod session;
mod store_error;
pub mod webhook;

pub use llm::CALL_BYTES_MAX;
pub use refusal::{Exhausted, HostError, Refusal};
pub use roughneck_jobs::clip::clip;
pub use session::{Ports, Session};
