//! What the host must provide: traits that the sibling crates implement. Only `cli` knows who
//! implements what.

pub mod attended;
pub mod backlog;
pub mod bell;
pub mod budgets;
pub mod catalog;
pub mod children;
pub mod control;
pub mod courier;
pub mod flows;
pub mod gateway;
pub mod kv;
pub mod llm;
pub mod outbox;
pub mod runner;
pub mod schedules;
pub mod spending;
pub mod store;
