//! What can go wrong inside the store, before it is told to a caller.

use std::error::Error;

use roughneck_jobs::{lifecycle::Refused, ports::store::StoreError};

/// A failed intention.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An answer of the domain: fenced, refused, unknown.
    Answer(StoreError),
    /// The database.
    Database(sqlx::Error),
}

impl Fault {
    /// The error as the caller sees it, who wanted to `doing`.
    pub(crate) fn told(self, doing: &'static str) -> StoreError {
        match self {
            Self::Answer(error) => error,
            // A reader met the closed pool.
            Self::Database(sqlx::Error::PoolClosed) => StoreError::Closed,
            Self::Database(error) => failed(doing, illness(&error), source(&error)),
        }
    }
}

/// A failure of the database, as the caller sees it who wanted to `doing`.
pub(crate) fn failed(
    doing: &'static str,
    illness: Illness,
    source: Box<dyn Error + Send + Sync>,
) -> StoreError {
    match illness {
        Illness::Full => StoreError::DiskFull { doing, source },
        Illness::Corrupt | Illness::ReadOnly | Illness::Other => {
            StoreError::Broken { doing, source }
        }
    }
}

/// An error of sqlx as the source of one of ours. Its sentence repeats those of its own sources, so it comes without
/// them.
pub(crate) fn source(error: &dyn Error) -> Box<dyn Error + Send + Sync> {
    error.to_string().into()
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Answer(error)
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Answer(refused.into())
    }
}

/// A statement that touched other rows than it had to: a bug, or a hand in the database.
#[derive(Debug, thiserror::Error)]
#[error("a statement on `{table}` touched {touched} rows instead of {expected}")]
struct NotThoseRows {
    table: &'static str,
    touched: u64,
    expected: u64,
}

/// Insists that a statement on `table` touched exactly one row.
pub(crate) fn one_row(table: &'static str, touched: u64) -> Result<(), Fault> {
    rows(table, touched, 1)
}

/// Insists that a statement on `table` touched as many rows as it was given.
pub(crate) fn rows(table: &'static str, touched: u64, expected: u64) -> Result<(), Fault> {
    if touched == expected {
        return Ok(());
    }
    Err(Fault::Database(sqlx::Error::Protocol(
        NotThoseRows { table, touched, expected }.to_string(),
    )))
}

/// What an error of the database means for the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Illness {
    /// It is no database, or a damaged one.
    Corrupt,
    /// It cannot be written.
    ReadOnly,
    /// Its disk is full.
    Full,
    /// Anything else.
    Other,
}

/// Reads SQLite's result code: the primary code is the low byte of the extended one.
pub(crate) fn illness(error: &sqlx::Error) -> Illness {
    if let sqlx::Error::Io(error) = error
        && error.kind() == std::io::ErrorKind::StorageFull
    {
        return Illness::Full;
    }
    let code = error.as_database_error().and_then(|error| error.code());
    let code: Option<i32> = code.and_then(|code| code.parse().ok());
    // SQLITE_IOERR_SHMSIZE: the index of the log could not grow.
    if code == Some(4874) {
        return Illness::Full;
    }
    match code.map(|code| code & 0xff) {
        // SQLITE_CORRUPT, SQLITE_NOTADB.
        Some(11 | 26) => Illness::Corrupt,
        // SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN.
        Some(3 | 8 | 14) => Illness::ReadOnly,
        // SQLITE_FULL.
        Some(13) => Illness::Full,
        Some(_) | None => Illness::Other,
    }
}
