//! The lock that gives the data folder to one process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

/// The file that carries the lock, and the number of the process that holds it.
pub(crate) const FILE: &str = "lock";

/// The data folder is ours until this is dropped. The operating system frees the lock of a process
/// that dies, so a stale file is no obstacle.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

/// Why the folder is not ours.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// Another store holds it; the number of its process, if the file tells.
    Held(Option<u32>),
    /// The lock file cannot be used.
    Io(io::Error),
}

impl DirLock {
    /// Takes the folder, or says who has it. Never waits.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, NotLocked> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            // Not before the lock is ours: the text belongs to its holder.
            .truncate(false)
            .open(data_dir.join(FILE))
            .map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotLocked::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(NotLocked::Io(error)),
        }
        sign(&mut file).map_err(NotLocked::Io)?;
        Ok(Self { _file: file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
