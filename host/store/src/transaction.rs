//! The transaction of a batch, as the intentions in it see it.
//!
//! The database hears nothing before there is something for it to do: what begins the transaction, or a part
//! that can fail alone, goes with the statement after it. Each crossing to its thread costs more than most
//! statements.

use std::mem;

use futures_util::TryStreamExt as _;
use roughneck_jobs::clock::Entropy;
use sqlx::{
    AssertSqlSafe, Either, Executor as _, Sqlite, SqliteConnection, query::Query,
    sqlite::SqliteArguments,
};

use crate::{
    bells::Bells,
    memory::Memory,
    script::{Opening, Ran, Script},
};

/// A transaction. It lives inside one batch of the writer and is never given to callers.
pub(crate) struct Transaction<'c> {
    connection: &'c mut SqliteConnection,
    /// What has to go before the next statement.
    opening: Option<Opening>,
    /// The dice, for the ids of deliveries.
    pub(crate) entropy: &'c dyn Entropy,
    /// What the writer remembers.
    pub(crate) memory: &'c mut Memory,
    /// What to ring after the commit.
    pub(crate) bells: Bells,
    /// Jobs that were added to those that have not ended.
    pub(crate) open_jobs: i64,
}

/// What a transaction did.
pub(crate) struct Committed {
    pub(crate) bells: Bells,
    pub(crate) open_jobs: i64,
    /// The rows that were written since the connection was opened, those of undone parts included. None if
    /// the database was asked nothing.
    pub(crate) rows_written: Option<i64>,
}

impl<'c> Transaction<'c> {
    pub(crate) fn new(
        connection: &'c mut SqliteConnection,
        entropy: &'c dyn Entropy,
        memory: &'c mut Memory,
    ) -> Self {
        let opening = Some(Opening::Transaction);
        Self { connection, opening, entropy, memory, bells: Bells::default(), open_jobs: 0 }
    }

    /// The write connection, inside of the transaction and of its present part.
    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if let Some(opening) = self.opening {
            execute(self.connection, opening.statement()).await?;
            self.opening = None;
        }
        Ok(self.connection)
    }

    /// Runs a script.
    pub(crate) async fn run<'q>(
        &mut self,
        script: Script,
        bind: impl FnOnce(Query<'q, Sqlite, SqliteArguments>) -> Query<'q, Sqlite, SqliteArguments>,
    ) -> Result<Ran, sqlx::Error> {
        self.steps(bind(sqlx::query(script.after(self.opening)))).await
    }

    /// Runs a script whose rows of VALUES are there `times` times.
    pub(crate) async fn run_wide<'q>(
        &mut self,
        script: Script,
        times: usize,
        bind: impl FnOnce(Query<'q, Sqlite, SqliteArguments>) -> Query<'q, Sqlite, SqliteArguments>,
    ) -> Result<Ran, sqlx::Error> {
        // Nothing is in it but what stands in our files.
        let text = AssertSqlSafe(script.wide(self.opening, times));
        self.steps(bind(sqlx::query(text))).await
    }

    async fn steps(
        &mut self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Ran, sqlx::Error> {
        let mut ran = Ran::default();
        let mut steps = self.connection.fetch_many(query);
        while let Some(step) = steps.try_next().await? {
            match step {
                // The first of all, if it was there.
                Either::Left(_) if self.opening.take().is_some() => {}
                Either::Left(done) => ran.touched.push(done.rows_affected()),
                Either::Right(row) => ran.rows.push(row),
            }
        }
        Ok(ran)
    }

    /// Begins the part of a unit, which can fail alone.
    pub(crate) fn unit(&mut self) -> Part {
        // What is first can be undone with the whole transaction.
        let is_first = matches!(self.opening, Some(Opening::Transaction));
        if !is_first {
            self.opening = Some(Opening::Unit);
        }
        self.part(if is_first { Level::First } else { Level::Unit })
    }

    /// Begins a part within a unit.
    pub(crate) async fn save(&mut self) -> Result<Part, sqlx::Error> {
        execute(self.connection().await?, "SAVEPOINT inner").await?;
        Ok(self.part(Level::Inner))
    }

    fn part(&mut self, level: Level) -> Part {
        Part { before: mem::take(&mut self.bells), open_jobs: self.open_jobs, level }
    }

    /// Ends the part: keeps what it wrote, or undoes it together with its bells and its count. An
    /// error here means that the database has given the whole transaction up.
    pub(crate) async fn end(&mut self, part: Part, keep: bool) -> Result<(), sqlx::Error> {
        let of_part = mem::replace(&mut self.bells, part.before);
        if keep {
            self.bells.add(of_part);
        } else {
            self.open_jobs = part.open_jobs;
        }
        match (part.level, keep) {
            // The commit releases it.
            (Level::First | Level::Unit, true) => Ok(()),
            (Level::First, false) => self.start_over().await,
            // It has asked the database nothing.
            (Level::Unit, false) if self.opening.is_some() => Ok(()),
            (Level::Unit, false) => execute(self.connection, "ROLLBACK TO unit").await,
            (Level::Inner, true) => execute(self.connection, "RELEASE inner").await,
            (Level::Inner, false) => {
                execute(self.connection, "ROLLBACK TO inner; RELEASE inner").await
            }
        }
    }

    async fn start_over(&mut self) -> Result<(), sqlx::Error> {
        if self.opening.is_some() {
            // It could not even begin. If it still cannot, the error is everybody's.
            return self.connection().await.map(drop);
        }
        execute(self.connection, "ROLLBACK").await?;
        self.opening = Some(Opening::Transaction);
        Ok(())
    }

    /// Commits.
    pub(crate) async fn commit(self) -> Result<Committed, sqlx::Error> {
        let Self { connection, opening, bells, open_jobs, .. } = self;
        let rows_written = match opening {
            Some(Opening::Transaction) => None,
            Some(Opening::Unit) | None => {
                let commit = sqlx::query_scalar("COMMIT; SELECT total_changes()");
                Some(commit.fetch_one(connection).await?)
            }
        };
        Ok(Committed { bells, open_jobs, rows_written })
    }
}

/// Executes a statement without arguments.
pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<(), sqlx::Error> {
    sqlx::query(statement).execute(connection).await.map(drop)
}

/// Where a part began.
#[must_use = "a part must be ended"]
pub(crate) struct Part {
    before: Bells,
    open_jobs: i64,
    level: Level,
}

/// How a part is undone.
#[derive(Clone, Copy)]
enum Level {
    /// With the transaction: nothing that is kept was before it.
    First,
    /// To the savepoint of its unit.
    Unit,
    /// To a savepoint within its unit.
    Inner,
}
