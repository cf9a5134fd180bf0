//! Seeded lives of an engine on any store: what would break in a year breaks in a second, and again tomorrow.
//!
//! What it does: [`tell`] draws a script from a seed (submissions, flows, schedules, deadlines, repetitions, cancellations,
//! retries, pauses, clocks that are set), plays it to a real engine on a store that stalls, fails, and dies with its host
//! at any call, starts the next host on what is left, and goes on until all is settled. The history of all calls is then held against the promises of the queue,
//! in `check/`, one file for each. The clock stands still unless everybody waits, so hours pass in a moment.
//!
//! What it deliberately does not: know a store. The tests of this crate bring the real one, and the one in memory that
//! the engine's tests trust. Nor does it kill processes: that is told in `host/e2e`.
//!
//! To add a promise: a file in `check/`, called in `check/mod.rs`, with a test that feeds it a bad history. To add a
//! trouble: `trouble.rs`. To add a step: `script.rs`, and what the client does then in `client.rs`.

mod act;
mod actors;
mod check;
mod client;
mod dice;
mod frail;
mod fuse;
mod history;
mod log;
mod ports;
mod script;
mod seeds;
mod story;
mod time;
mod trouble;

pub use dice::Dice;
pub use history::History;
pub use ports::{Database, Ports};
pub use seeds::{again, seeds};
pub use story::{Failed, tell};
pub use time::Time;
