//! The contract of the store, as its callers rely on it. The tests see the ports only and get their
//! database from [`database`], so that another one has to pass them as they are. What is particular
//! to SQLite is in [`sqlite`].

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy excuses tests, and not the functions they share"
)]

mod attended;
mod budgets;
mod cancel;
mod children;
mod claim;
mod crash;
mod database;
mod dead;
mod deadlines;
mod deliveries;
mod fence;
mod flows;
mod gates;
mod given;
mod history;
mod idempotency;
mod intake;
mod kv;
mod leave;
mod made_schedules;
mod pages;
mod past;
mod preference;
mod retention;
mod schedules;
mod spending;
mod sqlite;
mod submit;
