//! What is particular to SQLite: one file, one process, one writer.

mod backlog;
mod checks;
mod children;
mod flows;
mod full_disk;
mod inspect;
mod log;
mod lost_files;
mod migrations;
mod open;
mod size;
mod snapshot;
mod statements;
mod writer;
