//! What is particular to SQLite: one file, one process, one writer.

mod open;
mod statements;
mod writer;
