//! A copy of the database at one instant, and the way back from it.
//!
//! Neither disturbs a running host: a copy is made by a reader, and only a folder that no host has can
//! be restored.

use std::{
    error::Error,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use roughneck_jobs::clock::{Entropy, Millis};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, migrate::MigrateError,
    sqlite::SqliteConnectOptions,
};

use crate::{
    DataDir,
    data_dir::FILES,
    disk::{FolderSync, sync_folder},
    fault::{self, Fault},
    inspect,
    memory::Memory,
    open, private, schema,
    transaction::Transaction,
    write::lost,
};

/// What the token of each job grows by when a backup is restored: more than it can have grown since
/// the backup was made, so that no run of the former host ever matches.
pub const TOKENS: i64 = 1_000_000;

/// Why there is no copy, or no way back from it.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is nothing to copy.
    #[error("there is no database at {}", path.display())]
    NoDatabase {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file is in the way.
    #[error("{} is there already; nothing is overwritten", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// What should be a whole database is none.
    #[error("the database {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
    /// The copy does not have what the database has.
    #[error(
        "the copy has {copied} jobs and the database has {there}, although nobody wrote meanwhile"
    )]
    Incomplete {
        /// Jobs of the copy.
        copied: u64,
        /// Jobs of the database.
        there: u64,
    },
    /// A later release has migrated it.
    #[error(
        "the database {} was written by another version of roughneck (its migration {migration} is not one of this binary); \
         install that version or a later one",
        path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The migration in question.
        migration: i64,
    },
    /// The database failed.
    #[error("the database {} could not be {doing}", path.display())]
    Broken {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What it met.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Jobs.
    pub jobs: u64,
    /// Those of them that have not ended.
    pub open_jobs: u64,
    /// The last migration of its schema.
    pub migration: i64,
    /// Its size.
    pub bytes: u64,
}

/// Copies the database of `data_dir` into the new file `to`, also while a host writes to it, and checks
/// the copy. It is on the disk then.
///
/// # Errors
/// [`SnapshotError`]; `to` may be there nevertheless.
pub async fn copy(data_dir: &Path, to: &Path) -> Result<Copied, SnapshotError> {
    let from = open::database(data_dir);
    if !from.exists() {
        return Err(SnapshotError::NoDatabase { path: from });
    }
    if to.exists() {
        return Err(SnapshotError::InTheWay { path: to.to_owned() });
    }
    let broken = |error| broken("copied", &from, error);
    let mut reader = open::options(&from).read_only(true).connect().await.map_err(broken)?;
    let before = version(&mut reader).await.map_err(broken)?;
    // SQLite takes a file that is empty.
    private::make(to).map_err(|error| self::broken("copied", &from, error))?;
    sqlx::query("VACUUM INTO ?1")
        .bind(to.to_string_lossy())
        .execute(&mut reader)
        .await
        .map_err(broken)?;
    let there = inspect::count(&mut reader).await.map_err(broken)?;
    let nobody_wrote = version(&mut reader).await.map_err(broken)? == before;
    reader.close().await.map_err(broken)?;
    sync(to).map_err(|error| self::broken("brought to the disk", to, error))?;
    let copied = check(to).await?;
    if nobody_wrote && copied.jobs != there {
        return Err(SnapshotError::Incomplete { copied: copied.jobs, there });
    }
    Ok(copied)
}

/// Grows when another connection writes.
async fn version(reader: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(reader).await
}

/// Reads a copy from end to end. It writes nothing.
///
/// # Errors
/// [`SnapshotError::Damaged`].
pub async fn check(copy: &Path) -> Result<Copied, SnapshotError> {
    let broken = |error| broken("checked", copy, error);
    // Nobody writes to a copy, so nothing beside it is looked for.
    let options = SqliteConnectOptions::new().filename(copy).immutable(true);
    let mut reader = options.connect().await.map_err(broken)?;
    let damage = inspect::damage(&mut reader, "PRAGMA integrity_check").await.map_err(broken)?;
    if let Some(what) = damage {
        return Err(SnapshotError::Damaged { path: copy.to_owned(), what });
    }
    let copied = Copied {
        jobs: inspect::count(&mut reader).await.map_err(broken)?,
        open_jobs: inspect::count_open(&mut reader).await.map_err(broken)?,
        migration: inspect::migration(&mut reader).await.map_err(broken)?,
        bytes: fs::metadata(copy).map_or(0, |metadata| metadata.len()),
    };
    reader.close().await.map_err(broken)?;
    Ok(copied)
}

/// A database that is ready to be put in its place.
#[derive(Debug)]
pub struct Prepared {
    part: PathBuf,
    target: PathBuf,
    /// Jobs whose run was under way; they are queued again.
    pub lost: u32,
}

/// Makes a database of the copy `from`, beside its place in `data_dir`, with which a host can start:
/// brought up to this binary, every run lost, every token grown by [`TOKENS`].
///
/// # Errors
/// [`SnapshotError`]; nothing is left behind.
pub async fn prepare(
    from: &Path,
    data_dir: &DataDir,
    entropy: &dyn Entropy,
    at: Millis,
) -> Result<Prepared, SnapshotError> {
    let target = open::database(data_dir.path());
    let part = target.with_extension("db.part");
    let mut prepared = Prepared { part, target, lost: 0 };
    private::copy(from, &prepared.part).map_err(|error| broken("copied", from, error))?;
    let path = prepared.part.clone();
    let options = SqliteConnectOptions::new().filename(&path).foreign_keys(true);
    let mut connection = options.connect().await.map_err(|error| broken("opened", &path, error))?;
    let lost = bring_up(&mut connection, from, entropy, at).await;
    // Also after an error: a connection that is only dropped may still write beside the file while that
    // is removed.
    let closed = connection.close().await;
    prepared.lost = lost?;
    closed.map_err(|error| broken("closed", &path, error))?;
    check(&path).await?;
    sync(&path).map_err(|error| broken("brought to the disk", &path, error))?;
    Ok(prepared)
}

/// Migrates the copy of `from` and makes it the database of a new host. Returns how many runs were lost.
async fn bring_up(
    connection: &mut SqliteConnection,
    from: &Path,
    entropy: &dyn Entropy,
    at: Millis,
) -> Result<u32, SnapshotError> {
    schema::migrator().run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(migration) | MigrateError::VersionMismatch(migration) => {
            SnapshotError::OtherVersion { path: from.to_owned(), migration }
        }
        // A foreign enum that grows.
        other => broken("migrated", from, other),
    })?;
    renew(connection, entropy, at).await.map_err(|error| broken("renewed", from, error))
}

/// Makes the database one of a new host. Returns how many runs were lost.
async fn renew(
    connection: &mut SqliteConnection,
    entropy: &dyn Entropy,
    at: Millis,
) -> Result<u32, sqlx::Error> {
    let memory = &mut Memory::default();
    let mut tx = Transaction::new(connection, entropy, memory);
    // Before the tokens grow: slots and attempts are found by them.
    let lost = lost::recover(&mut tx, at).await.map_err(|fault| match fault {
        Fault::Database(error) => error,
        Fault::Answer(error) => sqlx::Error::Protocol(error.to_string()),
    })?;
    sqlx::query(sql!("job/renumber")).bind(TOKENS).execute(tx.connection().await?).await?;
    sqlx::query(sql!("token_floor/raise")).bind(TOKENS).execute(tx.connection().await?).await?;
    tx.commit().await?;
    Ok(lost)
}

impl Prepared {
    /// Puts the database in its place, and tells whether its name is on the disk.
    ///
    /// # Errors
    /// [`SnapshotError::InTheWay`] if there is one.
    pub fn install(self) -> Result<FolderSync, SnapshotError> {
        let folder = self.target.parent().unwrap_or(Path::new("."));
        for file in FILES.map(|file| folder.join(file)) {
            if file.exists() {
                return Err(SnapshotError::InTheWay { path: file });
            }
        }
        fs::rename(&self.part, &self.target)
            .and_then(|()| sync_folder(folder))
            .map_err(|error| broken("put in its place", &self.target, error))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Gone if it was put in its place.
        let _ = fs::remove_file(&self.part);
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn broken(doing: &'static str, path: &Path, error: impl Error) -> SnapshotError {
    SnapshotError::Broken { doing, path: path.to_owned(), source: fault::source(&error) }
}
