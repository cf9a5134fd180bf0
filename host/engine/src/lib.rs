//! The engine: takes jobs from the store, has them run, and tells the world.
//!
//! What it does: dispatches by class (`dispatcher`, `census`), takes an attempt from claim to verdict
//! (`attempt`), keeps the books of jobs whose submitters wait (`attended`, `drafts`, `closed`, `books`), renews leases (`heartbeat`), takes back what is due or lost (`sweeper`), fires
//! schedules (`cron`), sends deliveries (`deliveries`), keeps the token budgets (`budgets`), puts the results that a job needs into its
//! input (`needs`), mends what is blocked for no reason (`mend`) and deletes what ended long ago
//! (`retention`).
//!
//! What it deliberately does not: it knows no database, no sandbox and no HTTP; it talks through
//! the ports of `roughneck-jobs` only. It trusts no notification: each service reads the store,
//! repairs what it finds, and sleeps until it is woken or something is due.
//!
//! To add a background service, write a loop of that form in a file of its own and start it in
//! [`Engine::start`].

mod attempt;
mod attended;
mod bells;
mod books;
mod breaker;
mod budgets;
mod census;
mod closed;
mod config;
mod control;
mod cron;
mod deliveries;
mod dispatcher;
mod drafts;
mod heartbeat;
mod mend;
mod metrics;
mod needs;
mod openings;
mod parts;
mod pause;
mod placing;
mod record;
mod relatives;
mod retention;
mod runs;
mod shared;
mod start;
mod sweeper;

pub use bells::Bells;
pub use budgets::Budgets;
pub use config::{Config, Retention};
pub use metrics::Metrics;
pub use parts::Parts;
pub use start::Engine;
