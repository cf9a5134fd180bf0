//! Where the store lives and how much it may use.

use std::path::PathBuf;

use roughneck_jobs::{guard::Runaway, mark::Marks};

/// What [`SqliteStore::open`](crate::SqliteStore::open) needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder of the database. It is created if it is missing, and belongs to one process.
    pub data_dir: PathBuf,
    /// Connections for reading, at least 1.
    pub readers: u32,
    /// When a kind is submitted so fast that it is paused; never if there is no limit.
    pub runaway: Option<Runaway>,
    /// When no new jobs are taken.
    pub marks: Marks,
    /// The write-ahead log is emptied when it is larger, even if that takes a moment.
    pub log_bytes_max: u64,
}

impl Config {
    /// The default for a data folder: four readers, the default guard and marks, and a log of up to 64 MiB.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            readers: 4,
            runaway: Some(Runaway::default()),
            marks: Marks::default(),
            log_bytes_max: 64 << 20,
        }
    }
}
