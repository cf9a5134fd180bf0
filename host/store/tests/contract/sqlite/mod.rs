//! What is particular to SQLite: one file, one process, one writer.

mod migrations;
mod open;
mod statements;
mod writer;
