//! The ports of the store in memory, for tests: the same promises as the real one, without a disk.
//!
//! What it does: keeps jobs, flows, schedules, webhooks and the state of plugins in a [`Disk`], which outlives
//! the stores that are opened on it as a database outlives its hosts. Every call is one step under one lock, and
//! bells ring after it. Moves are decided by `jobs::lifecycle`, as everywhere. The engine's tests run on it, and
//! the simulation holds it against the same promises as the real store.
//!
//! What it deliberately does not: last, scale, limit the rates of kinds or pause those that run away. It knows no
//! high-water mark of its own.
//!
//! To add an intention: a method of `Tables` beside those it resembles, which checks before it
//! writes, because nothing is undone; and a line in `store.rs`, `flows.rs` or `schedules.rs`. To let a test do
//! harm: `tamper.rs`.

mod children;
mod claim;
mod deliveries;
mod disk;
mod ends;
mod flows;
mod kv;
mod moves;
mod outbox;
mod overdue;
mod park;
mod remove;
mod retry;
mod row;
mod schedules;
mod spending;
mod store;
mod submit;
mod tables;
mod tamper;

pub use disk::{Disk, Memory};
