//! What the writer does beside writing: it measures the database and keeps its log short.
//!
//! SQLite itself checkpoints after a commit once the log has some megabytes, but starts the log anew
//! only when no reader needs it any more. A reader that takes long lets it grow, and an idle database
//! would keep it that large. So somebody looks now and then.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Row as _, SqliteConnection};

use crate::{Metrics, intake::Intake, syncer};

/// Between two looks.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// Between two measurements while commits follow each other.
const MEASURE: Duration = Duration::from_secs(1);

/// How long an emptying of the log waits for the readers of the moment. New ones need no log any more
/// by then, so they do not prolong it; but commands wait meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is known of the files of the database.
pub(crate) struct Upkeep {
    database: PathBuf,
    log: PathBuf,
    log_bytes_max: u64,
    /// How long a statement waits for another process that holds the database.
    busy_timeout: Duration,
    intake: Arc<Intake>,
    metrics: Metrics,
    measured_at: Option<Instant>,
    /// Whether the log has pages that are not in the database.
    is_behind: bool,
    /// Whether something was written since the last look.
    is_busy: bool,
}

/// What to do about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checkpoint {
    /// It is as it should be, or SQLite sees to it at the next commit.
    No,
    /// Its pages go into the database while there is time.
    Passive,
    /// It is emptied.
    Truncate,
}

fn checkpoint(log_bytes: u64, log_bytes_max: u64, is_behind: bool, is_busy: bool) -> Checkpoint {
    if log_bytes > log_bytes_max {
        Checkpoint::Truncate
    } else if is_behind && !is_busy {
        Checkpoint::Passive
    } else {
        Checkpoint::No
    }
}

impl Upkeep {
    pub(crate) fn new(
        database: PathBuf,
        log_bytes_max: u64,
        busy_timeout: Duration,
        intake: Arc<Intake>,
        metrics: Metrics,
    ) -> Self {
        let log = syncer::path(&database);
        let measured_at = None;
        // What a dead host left is looked at as well.
        let (is_behind, is_busy) = (true, false);
        Self {
            database,
            log,
            log_bytes_max,
            busy_timeout,
            intake,
            metrics,
            measured_at,
            is_behind,
            is_busy,
        }
    }

    /// Rows were written.
    pub(crate) async fn written(&mut self, connection: &mut SqliteConnection) {
        (self.is_behind, self.is_busy) = (true, true);
        if self.measured_at.is_none_or(|at| at.elapsed() >= MEASURE) {
            warn_of(self.measure(connection).await);
            self.intake.look();
        }
    }

    /// Looks after the files.
    pub(crate) async fn look(&mut self, connection: &mut SqliteConnection) {
        if self.is_behind || self.is_busy {
            let kept = self.keep(connection).await;
            let measured = self.measure(connection).await;
            warn_of(kept.and(measured));
        }
        self.intake.look();
        self.is_busy = false;
    }

    /// Empties the log: all of it is in the database then, and on the disk. False if that has to be tried again.
    pub(crate) async fn empty(&mut self, connection: &mut SqliteConnection) -> bool {
        let emptied = self.truncate(connection).await;
        let is_emptied = matches!(emptied, Ok(true));
        warn_of(emptied.map(drop));
        is_emptied
    }

    /// Measures the database and tells the intake. Pages that are free again do not count: they are there
    /// for new jobs.
    pub(crate) async fn measure(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        self.measured_at = Some(Instant::now());
        let used: i64 = sqlx::query_scalar(sql!("database/used")).fetch_one(connection).await?;
        let log = bytes(&self.log);
        self.metrics.measured(bytes(&self.database).saturating_add(log), log);
        self.intake.measured(u64::try_from(used).unwrap_or(0).saturating_add(log));
        Ok(())
    }

    async fn keep(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let log_bytes = bytes(&self.log);
        match checkpoint(log_bytes, self.log_bytes_max, self.is_behind, self.is_busy) {
            Checkpoint::No => {}
            Checkpoint::Passive => {
                self.is_behind = !run(connection, "PRAGMA wal_checkpoint(PASSIVE)").await?;
            }
            Checkpoint::Truncate => drop(self.truncate(connection).await?),
        }
        Ok(())
    }

    async fn truncate(&mut self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        wait_for_others(connection, PATIENCE).await?;
        let is_emptied = run(connection, "PRAGMA wal_checkpoint(TRUNCATE)").await;
        wait_for_others(connection, self.busy_timeout).await?;
        self.is_behind = !is_emptied?;
        if self.is_behind {
            self.metrics.blocked();
        }
        Ok(!self.is_behind)
    }
}

/// Runs a checkpoint. True if the whole log is in the database now.
async fn run(
    connection: &mut SqliteConnection,
    checkpoint: &'static str,
) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(checkpoint).fetch_one(connection).await?;
    let (busy, pages, done): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(busy == 0 && pages == done)
}

async fn wait_for_others(
    connection: &mut SqliteConnection,
    timeout: Duration,
) -> Result<(), sqlx::Error> {
    let pragma = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
    sqlx::query(sqlx::AssertSqlSafe(pragma)).execute(connection).await.map(drop)
}

fn warn_of(result: Result<(), sqlx::Error>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the files of the database could not be looked after; trying again");
    }
}

/// The size of a file; 0 if there is none.
fn bytes(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_emptied_and_a_short_one_is_written_back_when_there_is_time() {
        use Checkpoint::{No, Passive, Truncate};
        for (log_bytes, is_behind, is_busy, expected) in [
            (0, false, false, No),
            (64, false, false, No),
            (64, true, true, No),
            (64, true, false, Passive),
            (65, true, true, Truncate),
            (65, false, false, Truncate),
        ] {
            assert_eq!(checkpoint(log_bytes, 64, is_behind, is_busy), expected, "{log_bytes}");
        }
    }
}
