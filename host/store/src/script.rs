//! Statements that go to the database together.
//!
//! The connection lives on a thread of its own, and each crossing to it and back costs more than most
//! statements. They are written in files of their own all the same; `script!` joins them, and they
//! share their arguments. Their parameters are written `$2` and not `?2`: a statement that leaves out `?1`
//! would have a gap there, which sqlx 0.9 fills as if it were an argument of its own.

use sqlx::sqlite::SqliteRow;

/// Statements that go together. Made by `script!`.
#[derive(Clone, Copy)]
pub(crate) struct Script {
    pub(crate) alone: &'static str,
    /// The same after what begins a transaction.
    pub(crate) in_transaction: &'static str,
    /// The same after what begins the part of a unit.
    pub(crate) in_unit: &'static str,
}

impl Script {
    /// Its text, after what has to go before it.
    pub(crate) fn after(self, opening: Option<Opening>) -> &'static str {
        match opening {
            None => self.alone,
            Some(Opening::Transaction) => self.in_transaction,
            Some(Opening::Unit) => self.in_unit,
        }
    }
}

/// What may have to go before a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Begins a transaction as a writer: a deferred one could find the database busy half-way.
    Transaction,
    /// Begins the part of a unit. The commit releases it, and of all of this name the last one counts.
    Unit,
}

impl Opening {
    /// As a statement of its own.
    pub(crate) fn statement(self) -> &'static str {
        match self {
            Self::Transaction => opening!(transaction),
            Self::Unit => opening!(unit),
        }
    }
}

/// What a script did.
#[derive(Default)]
pub(crate) struct Ran {
    /// The rows that its statements returned.
    pub(crate) rows: Vec<SqliteRow>,
    /// How many rows each statement touched.
    pub(crate) touched: Vec<u64>,
}

impl Ran {
    /// How many rows the `n`-th statement touched, the first being 0.
    pub(crate) fn touched(&self, n: usize) -> u64 {
        self.touched.get(n).copied().unwrap_or(0)
    }
}
