//! Stories told against the real binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy exempts tests, but not the functions they share"
)]

mod backup;
mod bad_input;
mod budgets;
mod chat;
mod children;
mod client;
mod clients;
mod cloud;
mod command_line;
mod crash;
mod dead_letters;
mod deadlines;
mod demo;
mod doctor;
mod flows;
mod gateway;
mod host;
mod intake;
mod lane;
mod limits;
mod main_job;
mod metrics;
mod models;
mod open_files;
mod printed;
mod rounds;
mod schedules;
mod stopping;
mod webhooks;
