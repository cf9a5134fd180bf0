//! Stand-ins for the world around the host.
//!
//! What it does: [`ollama`] is a simulated Ollama server that follows the real one on the wire, [`receiver`] is a
//! webhook receiver that checks signatures, [`sse`] reads server-sent events, [`metrics`] a page of metrics, [`eventually()`] waits for a condition with
//! a deadline. The simulator also runs outside tests, as `roughneck ollama-sim` and in the demo; every free text it
//! writes says that it is simulated.
//!
//! What it deliberately does not: run a model, use the host's own code (a test must not check code against itself),
//! or open anything but the address it was given: the loopback, unless whoever starts it says otherwise.
//!
//! To add one more stand-in: a module with a `start`, an address, what it saw, and switches for its faults, on top of
//! `listener.rs`, which owns accepting, stopping and coming back on the same port.

mod eventually;
mod listener;
mod lock;
pub mod metrics;
pub mod ollama;
pub mod receiver;
pub mod sse;

pub use eventually::{TimedOut, eventually};
