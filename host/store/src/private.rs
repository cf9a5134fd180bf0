//! Files that only their owner can read: inputs and results of jobs are nobody else's business.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

const MODE: u32 = 0o600;

/// Makes an empty file, unless it is there: then it has the mode that somebody gave it. A database in it, and what
/// SQLite makes beside that, has its mode.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Copies a file to another one, which may be left of an earlier try.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(to)?;
    io::copy(&mut from, &mut to).map(drop)
}
