//! A data folder that no host has.

use std::path::{Path, PathBuf};

use crate::{
    lock::DirLock,
    open::{self, OpenError},
};

/// The database, and what SQLite keeps beside it.
pub const FILES: [&str; 3] = ["roughneck.db", "roughneck.db-wal", "roughneck.db-shm"];

/// A data folder that is ours until this is dropped: no host can start in it meanwhile.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: DirLock,
}

impl DataDir {
    /// Takes the folder, and makes it if it is missing. Never waits.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if a host has it.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { path: path.to_owned(), _lock: open::take_dir(path)? })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
