//! The ports [`Store`], [`Flows`], [`Children`], [`Outbox`], [`Schedules`], [`KeyValue`], [`Spending`] and [`Backlog`] on SQLite.
//!
//! What it does: keeps jobs, slots, attempts, events, deliveries, schedules and the state of plugins in one file. One
//! thread owns the only write connection; intentions reach it as commands, are committed in groups, and are answered
//! after the commit. A thread beside the writer brings the commits to the disk, and whoever was promised the disk is
//! answered after that. Readers have their own connections and never wait for the writer. [`snapshot`] copies a database
//! and makes one of a copy, and [`inspect`] looks at a data folder from outside.
//!
//! What it deliberately does not: decide. Which move a state allows is
//! [`roughneck_jobs::lifecycle::advance`], asked inside the transaction that writes the move. It does
//! not look at the clock either: instants are arguments.
//!
//! To add one more intention: a method of a port, a line of `commands!`, a file in `write/`, its
//! statements in `sql/sqlite/<table>/<verb>.sql`, and a test in `tests/contract/`.
//!
//! [`Store`]: roughneck_jobs::ports::store::Store
//! [`Flows`]: roughneck_jobs::ports::flows::Flows
//! [`Outbox`]: roughneck_jobs::ports::outbox::Outbox
//! [`Schedules`]: roughneck_jobs::ports::schedules::Schedules
//! [`Children`]: roughneck_jobs::ports::children::Children
//! [`KeyValue`]: roughneck_jobs::ports::kv::KeyValue
//! [`Spending`]: roughneck_jobs::ports::spending::Spending
//! [`Backlog`]: roughneck_jobs::ports::backlog::Backlog

/// The statement in `sql/sqlite/<name>.sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/", $name, ".sql"))
    };
}

/// What has to go before statements: see [`script::Opening`].
macro_rules! opening {
    (transaction) => {
        "BEGIN IMMEDIATE"
    };
    (unit) => {
        "SAVEPOINT unit"
    };
}

/// The statements in these files, to be run together by `Transaction::run`.
macro_rules! script {
    ($($name:literal),+ $(,)?) => {
        $crate::script::Script {
            alone: concat!($(sql!($name), ";\n"),+),
            in_transaction: concat!(opening!(transaction), ";\n", $(sql!($name), ";\n"),+),
            in_unit: concat!(opening!(unit), ";\n", $(sql!($name), ";\n"),+),
        }
    };
}

mod backlog;
mod bells;
mod children;
mod command;
mod config;
mod data_dir;
mod dependents;
mod disk;
mod fault;
mod files;
mod flows;
pub mod inspect;
mod intake;
mod kept;
mod kv;
mod lineage;
mod lock;
mod memory;
mod metrics;
mod moved;
mod open;
mod outbox;
mod own_thread;
mod perform;
mod private;
mod row;
mod schedules;
mod schema;
mod script;
pub mod snapshot;
mod spending;
mod sqlite_store;
mod store;
mod syncer;
mod transaction;
mod transition;
mod unit;
mod upkeep;
mod values;
mod write;
mod writer;

pub use config::Config;
pub use data_dir::{DataDir, FILES};
pub use disk::{FolderSync, free_bytes, sync_folder};
pub use metrics::Metrics;
pub use open::OpenError;
pub use sqlite_store::SqliteStore;
