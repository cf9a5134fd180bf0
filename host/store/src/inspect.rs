//! Looks at a data folder from outside, and changes nothing: neither while a host runs nor when none does.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use roughneck_jobs::clock::Millis;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use crate::{fault, lock, open, schema, syncer};

/// Who has a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No host.
    Nobody,
    /// A host; the number of its process, if the lock file tells.
    Process(Option<u32>),
}

/// Says who has the data folder.
///
/// # Errors
/// If the lock file is there and cannot be read.
pub fn holder(data_dir: &Path) -> io::Result<Holder> {
    let file = match File::open(data_dir.join(lock::FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    // Shared and for an instant: two that look do not disturb each other.
    match file.try_lock_shared() {
        Ok(()) => Ok(Holder::Nobody),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.take(32).read_to_string(&mut text);
            Ok(Holder::Process(text.trim().parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What a database looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What SQLite found, if it is not whole.
    pub damage: Option<String>,
    /// The last migration of its schema; 0 for a database without one.
    pub migration: i64,
    /// The last migration that this binary knows.
    pub migration_known: i64,
    /// Jobs that have not ended.
    pub open_jobs: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// The latest instant in it.
    pub latest: Option<Millis>,
}

/// Why a database cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("the database {} cannot be read", path.display())]
pub struct NotReadable {
    path: PathBuf,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Looks at the database of a data folder; none if there is none.
///
/// # Errors
/// [`NotReadable`], for what is no database.
pub async fn inspect(data_dir: &Path) -> Result<Option<Inspection>, NotReadable> {
    let path = open::database(data_dir);
    if !path.exists() {
        return Ok(None);
    }
    let log = syncer::path(&path);
    // A host that stopped leaves one whole file. To read it in the ordinary way, SQLite would make a log
    // beside it.
    let is_whole = !log.exists();
    let mut found = read(&path, is_whole).await;
    if is_whole && log.exists() {
        // A host has started meanwhile, and writes to what was thought to lie still.
        found = read(&path, false).await;
    }
    found.map(Some).map_err(|error| NotReadable { path, source: fault::source(&error) })
}

async fn read(path: &Path, is_whole: bool) -> Result<Inspection, sqlx::Error> {
    let options = open::options(path).read_only(true).immutable(is_whole);
    let mut reader = options.connect().await?;
    let damage = damage(&mut reader, "PRAGMA quick_check").await?;
    let inspection = Inspection {
        migration: migration(&mut reader).await?,
        migration_known: schema::last(),
        open_jobs: if damage.is_none() { count_open(&mut reader).await? } else { 0 },
        bytes: bytes(path),
        log_bytes: bytes(&syncer::path(path)),
        latest: if damage.is_none() { latest(&mut reader).await? } else { None },
        damage,
    };
    reader.close().await?;
    Ok(inspection)
}

/// What one of SQLite's own checks finds; none if the database is whole.
pub(crate) async fn damage(
    reader: &mut SqliteConnection,
    check: &'static str,
) -> Result<Option<String>, sqlx::Error> {
    let found: Vec<String> = sqlx::query_scalar(check).fetch_all(&mut *reader).await?;
    let first = found.into_iter().find(|line| line != "ok");
    if first.is_some() {
        return Ok(first);
    }
    let orphan = sqlx::query("PRAGMA foreign_key_check").fetch_optional(reader).await?;
    let table: Option<String> = orphan.map(|row| row.try_get(0)).transpose()?;
    Ok(table.map(|table| format!("a row of `{table}` belongs to no other row")))
}

/// All jobs.
pub(crate) async fn count(reader: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let jobs: i64 = sqlx::query_scalar(sql!("job/count_all")).fetch_one(reader).await?;
    Ok(u64::try_from(jobs).unwrap_or(0))
}

/// The jobs that have not ended.
pub(crate) async fn count_open(reader: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let rows = sqlx::query(sql!("job/count")).fetch_all(reader).await?;
    let jobs: i64 = rows.iter().map(|row| row.try_get::<i64, _>("jobs")).sum::<Result<_, _>>()?;
    Ok(u64::try_from(jobs).unwrap_or(0))
}

/// The last migration.
pub(crate) async fn migration(reader: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let last = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations");
    let last: Option<i64> = last.fetch_one(reader).await?;
    Ok(last.unwrap_or(0))
}

async fn latest(reader: &mut SqliteConnection) -> Result<Option<Millis>, sqlx::Error> {
    let latest: Option<i64> = sqlx::query_scalar(sql!("job/latest")).fetch_one(reader).await?;
    Ok(latest.map(Millis))
}

fn bytes(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}
