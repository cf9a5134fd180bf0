//! The handle on the store.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::SqlitePool;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use roughneck_jobs::ports::store::StoreError;

use crate::{
    Metrics,
    command::{Command, Reply},
    intake::Intake,
    own_thread,
    writer::{BATCH_MAX, Writer, health::Health},
};

/// Commands that wait for the writer: four batches. Beyond, callers wait.
const WAITING_MAX: usize = 4 * BATCH_MAX;

/// The store in one SQLite file. Dropping it lets the writer finish what waits and then close;
/// [`SqliteStore::close`] also waits for that.
#[derive(Debug)]
pub struct SqliteStore {
    commands: mpsc::Sender<Command>,
    pub(crate) readers: SqlitePool,
    pub(crate) intake: Arc<Intake>,
    pub(crate) health: Arc<Health>,
    writer: Mutex<Option<Running>>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl SqliteStore {
    pub(crate) fn start(
        writer: Writer,
        readers: SqlitePool,
        intake: Arc<Intake>,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let (commands, received) = mpsc::channel(WAITING_MAX);
        let (stop, stopped) = oneshot::channel();
        let health = Arc::clone(&writer.health);
        let task = own_thread::spawn("roughneck-writer", writer.run(received, stopped))?;
        let writer = Mutex::new(Some(Running { stop, task }));
        Ok(Self { commands, readers, intake, health, writer, metrics })
    }

    /// What operators see.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Writes what waits, empties the write-ahead log, closes the database and frees its folder.
    /// Later calls of any method answer [`StoreError::Closed`].
    pub async fn close(&self) {
        // First, because the log can only be emptied when nobody reads it.
        self.readers.close().await;
        let running = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { stop, task }) = running else { return };
        drop(stop);
        if let Err(error) = task.await {
            tracing::error!(%error, "the writer of the store did not end cleanly");
        }
    }

    /// Completes once the writer has ended: when the store was closed, or when it has panicked. Nothing but another
    /// start brings it back.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Sends a command to the writer and waits for its answer, which comes after the commit. A
    /// caller that stops waiting changes nothing: the writer goes on.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Why the writer does not answer: it was told to stop, or it has panicked.
    fn gone(&self) -> StoreError {
        let was_told = self.writer.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if was_told { StoreError::Closed } else { StoreError::Dead }
    }
}
