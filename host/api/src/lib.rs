//! The HTTP surface: jobs, their events, schedules, plugins, health and metrics.
//!
//! What it does: turns requests into calls of the ports in [`roughneck_jobs::ports`], and their
//! answers into JSON, Server-Sent Events or one kind of problem (RFC 9457).
//!
//! Ollama's own surface is in `ollama`: a call there is a job with a client that waits for its answer.
//!
//! What it deliberately does not: decide anything about a job. It keeps no state but its counters,
//! its open connections and the number of open streams; a second instance beside it would answer the same.
//!
//! To add an operation, write a file with its parameters, handler and tests, named after it, and
//! add its line to `router.rs`. To add an error, add a variant to [`Code`].

mod app;
mod body;
mod cancel_flow;
mod cancel_job;
mod change_schedule;
mod check_health;
mod check_ready;
mod class_path;
mod code;
mod connections;
mod create_schedule;
mod cursor;
mod delete_schedule;
mod event_stream;
mod family_view;
mod find_schedule;
mod flow_path;
mod flow_view;
mod follow_job;
mod get_artifact;
mod get_flow;
mod get_job;
mod get_schedule;
mod guard;
mod idempotency_key;
mod index;
mod job_path;
mod kind_path;
mod list_aliases;
mod list_artifacts;
mod list_budgets;
mod list_classes;
mod list_dead;
mod list_flows;
mod list_jobs;
mod list_kinds;
mod list_plugins;
mod list_schedules;
mod measure;
mod metrics;
mod no_room;
mod ollama;
mod packed;
mod page;
mod pause_class;
mod pause_kind;
mod pause_schedule;
mod pause_view;
mod problem;
mod purge_dead;
mod query;
mod resume_class;
mod resume_kind;
mod resume_schedule;
mod retry_dead;
mod retry_flow;
mod retry_job;
mod router;
mod run_schedule;
mod schedule_path;
mod schedule_view;
mod scrape_metrics;
mod serve;
mod settled;
mod submit_flow;
mod submit_job;
mod trace_parent;
mod unknown_kind;
mod usage_view;
mod view;

#[cfg(test)]
mod testing;

pub use app::{App, Ports, Settings};
pub use code::Code;
pub use metrics::Metrics;
pub use router::router;
pub use serve::serve;
