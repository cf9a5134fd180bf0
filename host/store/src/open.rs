//! Opening the store: the folder, the lock, the connections, the schema, the writer.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use roughneck_jobs::{clock::Entropy, ports::bell::Bell};
use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    Config, Metrics, SqliteStore,
    data_dir::FILES,
    fault::{self, Illness},
    inspect,
    intake::Intake,
    lock::{DirLock, NotLocked},
    memory::Memory,
    private, schema,
    syncer::Syncer,
    upkeep::Upkeep,
    writer::Writer,
};

/// Only a backup tool can hold the database for longer than a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The writer's pages in memory: 16 MiB, negative because it counts KiB. The upper levels of all indexes of a
/// million jobs fit.
const CACHE_KIB: &str = "-16384";

/// The log is moved into the database when it has so many pages of 4 KiB: rarely enough that a page which
/// every batch touches is moved once for many of them.
const CHECKPOINT_PAGES: &str = "4000";

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error(
        "the data folder {} cannot be created; create it and give it to the user of this process, or choose another one with --data-dir",
        path.display()
    )]
    NotCreatable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Nothing can be written in the folder.
    #[error(
        "the data folder {} is not writable; give it to the user of this process, or choose another one with --data-dir",
        path.display()
    )]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process has it.
    #[error(
        "the data folder {} is already in use by {}; stop that one first, or choose another one with --data-dir",
        path.display(),
        holder(*pid)
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who, if the lock file tells.
        pid: Option<u32>,
    },
    /// A later release has migrated it.
    #[error(
        "the database {} was written by another version of roughneck (its migration {migration} is not one of this binary); \
         install that version or a later one, or restore a backup",
        path.display()
    )]
    OtherVersion {
        /// The database.
        path: PathBuf,
        /// The migration in question.
        migration: i64,
    },
    /// Not a database, or a broken one.
    #[error(
        "the file {} is not a database or is damaged; move it away to start empty, or restore a backup",
        path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anything else, such as a full disk.
    #[error(
        "the database {} cannot be opened; check that its disk is mounted and has free space",
        path.display()
    )]
    Failed {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl SqliteStore {
    /// Opens the store in `config.data_dir`, creates or migrates it, and starts its writer on the
    /// present tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]: each sentence says what to do.
    pub async fn open(
        config: &Config,
        bell: Arc<dyn Bell>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let lock = take_dir(&config.data_dir)?;
        let path = database(&config.data_dir);
        private::make(&path).map_err(|source| OpenError::NotWritable {
            path: config.data_dir.clone(),
            source: source.into(),
        })?;
        let options = options(&path);
        let mut connection =
            connect(&options, config.log_bytes_max).await.map_err(|error| wrong(&path, &error))?;
        // Not `run`: its `Acquire` is not general enough for a future that is sent between threads.
        schema::migrator()
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|error| not_migrated(&path, error))?;
        let readers = readers(config, options).await.map_err(|error| wrong(&path, &error))?;
        let metrics = Metrics::new();
        let open_jobs = inspect::count_open(&mut connection).await;
        let open_jobs = open_jobs.map_err(|error| wrong(&path, &error))?;
        let dir = config.data_dir.clone();
        let intake = Arc::new(Intake::new(config.marks, open_jobs, dir, metrics.clone()));
        let limit = config.log_bytes_max;
        let (counted, shown) = (Arc::clone(&intake), metrics.clone());
        let mut upkeep = Upkeep::new(path.clone(), limit, BUSY_TIMEOUT, counted, shown);
        upkeep.measure(&mut connection).await.map_err(|error| wrong(&path, &error))?;
        let syncer = Syncer::start(&path, Arc::clone(&bell), metrics.clone())
            .map_err(|error| OpenError::Failed { path: path.clone(), source: error.into() })?;
        let writer = Writer {
            connection,
            syncer,
            bell,
            entropy,
            metrics: metrics.clone(),
            intake: Arc::clone(&intake),
            health: Arc::default(),
            rows_written: 0,
            is_suspect: false,
            memory: Memory::new(config.runaway),
            upkeep,
            _lock: lock,
        };
        // A host that starts full says so at once, and runs what it has.
        intake.look();
        Self::start(writer, readers, intake, metrics)
            .map_err(|error| OpenError::Failed { path, source: error.into() })
    }
}

/// The database in a data folder.
pub(crate) fn database(data_dir: &Path) -> PathBuf {
    let [database, ..] = FILES;
    data_dir.join(database)
}

/// Takes the folder, and makes it if it is missing.
pub(crate) fn take_dir(data_dir: &Path) -> Result<DirLock, OpenError> {
    let path = || data_dir.to_owned();
    fs::create_dir_all(data_dir)
        .map_err(|source| OpenError::NotCreatable { path: path(), source })?;
    DirLock::take(data_dir).map_err(|error| match error {
        NotLocked::Held(pid) => OpenError::InUse { path: path(), pid },
        NotLocked::Io(source) => OpenError::NotWritable { path: path(), source: source.into() },
    })
}

/// How every connection opens the database.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

async fn connect(
    options: &SqliteConnectOptions,
    log_bytes_max: u64,
) -> Result<SqliteConnection, sqlx::Error> {
    options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // The log is synced by `syncer`, for many commits at once; SQLite syncs it before it moves
        // anything from there to the database.
        .synchronous(SqliteSynchronous::Normal)
        // On macOS a plain fsync leaves the data in the drive's cache. Ignored elsewhere.
        .pragma("fullfsync", "1")
        .pragma("checkpoint_fullfsync", "1")
        // After a burst, a log that is started anew is cut back to this.
        .pragma("journal_size_limit", log_bytes_max.to_string())
        .pragma("cache_size", CACHE_KIB)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        // What a statement works out for itself never needs a file.
        .pragma("temp_store", "MEMORY")
        .connect()
        .await
}

async fn readers(
    config: &Config,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(config.readers.max(1))
        .connect_with(options.read_only(true))
        .await
}

fn wrong(path: &Path, error: &sqlx::Error) -> OpenError {
    let (path, source) = (path.to_owned(), fault::source(error));
    match fault::illness(error) {
        Illness::Corrupt => OpenError::Corrupt { path, source },
        Illness::ReadOnly => OpenError::NotWritable { path, source },
        Illness::Full | Illness::Other => OpenError::Failed { path, source },
    }
}

fn not_migrated(path: &Path, error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(migration) | MigrateError::VersionMismatch(migration) => {
            OpenError::OtherVersion { path: path.to_owned(), migration }
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            wrong(path, &error)
        }
        // A foreign enum that grows.
        other => OpenError::Failed { path: path.to_owned(), source: fault::source(&other) },
    }
}
