//! Statements that go to the database together.
//!
//! The connection lives on a thread of its own, and each crossing to it and back costs more than most
//! statements. They are written in files of their own all the same; `script!` joins them, and they
//! share their arguments. Their parameters are written `$2` and not `?2`: a statement that leaves out `?1`
//! would have a gap there, which sqlx 0.9 fills as if it were an argument of its own. Where each value has a parameter
//! (`values`) these are written `?`, and are given theirs in order, from the first statement to the last.

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

    /// Its text, with the rows of each of its lines of VALUES repeated.
    pub(crate) fn wide(self, opening: Option<Opening>, times: usize) -> String {
        let text = self.after(opening);
        let mut wide = String::with_capacity(text.len());
        for line in text.lines() {
            wide.push_str(line);
            if let Some(rows) = line.trim_start().strip_prefix("VALUES ") {
                for _ in 1..times {
                    wide.push_str(", ");
                    wide.push_str(rows);
                }
            }
            wide.push('\n');
        }
        wide
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_values_are_repeated_and_nothing_else() {
        let alone = "-- VALUES (a)\nSELECT * FROM (\n  VALUES (?, ?), (?, ?)\n) WHERE true;\n";
        let script = Script { alone, in_transaction: "BEGIN", in_unit: "SAVEPOINT unit" };
        assert_eq!(script.wide(None, 1), alone);
        let wide = "-- VALUES (a)\nSELECT * FROM (\n  VALUES (?, ?), (?, ?), (?, ?), (?, ?)\n) WHERE true;\n";
        assert_eq!(script.wide(None, 2), wide);
        assert_eq!(script.wide(Some(Opening::Transaction), 2), "BEGIN\n");
    }
}
