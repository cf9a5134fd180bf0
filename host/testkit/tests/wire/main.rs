//! The stand-ins as a client sees them: over real sockets, down to the bytes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy exempts tests, but not the functions they share"
)]

mod admin;
mod anthropic;
mod client;
mod cloud;
mod completions;
mod embeddings;
mod errors;
mod faults;
mod inventory;
mod logprobs;
mod openai;
mod prompts;
mod responses;
mod scheduling;
mod streaming;
mod structured;
mod tools;
mod webhooks;
