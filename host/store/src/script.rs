//! Statements that go to the database together.
//!
//! The connection lives on a thread of its own, and each crossing to it and back costs more than most
//! statements. They are written in files of their own all the same; `script!` joins them, and they
//! share their arguments. Their parameters are written `$2` and not `?2`: a statement that leaves out `?1`
//! would have a gap there, which sqlx 0.9 fills as if it were an argument of its own.

use futures_util::TryStreamExt as _;
use sqlx::{
    Either, Executor as _, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

/// What a script did.
pub(crate) struct Ran {
    /// The rows that its statements returned.
    pub(crate) rows: Vec<SqliteRow>,
    /// How many rows each statement touched.
    touched: Vec<u64>,
}

impl Ran {
    /// How many rows the `n`-th statement touched, the first being 0.
    pub(crate) fn touched(&self, n: usize) -> u64 {
        self.touched.get(n).copied().unwrap_or(0)
    }
}

/// Runs a script.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    script: Query<'_, Sqlite, SqliteArguments>,
) -> Result<Ran, sqlx::Error> {
    let mut ran = Ran { rows: Vec::new(), touched: Vec::new() };
    let mut steps = connection.fetch_many(script);
    while let Some(step) = steps.try_next().await? {
        match step {
            Either::Left(done) => ran.touched.push(done.rows_affected()),
            Either::Right(row) => ran.rows.push(row),
        }
    }
    Ok(ran)
}
