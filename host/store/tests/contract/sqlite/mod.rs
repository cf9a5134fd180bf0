//! What is particular to SQLite: one file, one process, one writer.

mod full_disk;
mod log;
mod migrations;
mod open;
mod statements;
mod writer;
