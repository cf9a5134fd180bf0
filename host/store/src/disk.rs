//! The disk under the data folder.

use std::{fs::File, io, path::Path};

use rustix::io::Errno;

/// Free bytes for this user on the disk that holds `path`, or none where the system does not tell.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What became of the wish that the names in a folder be on the disk.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderSync {
    /// They are.
    Done,
    /// The file system does no such thing, as many do not that are of a network or run in user space. Its names reach
    /// the disk when it likes.
    Unsupported,
}

/// Brings the names in a folder to the disk, if its file system does that.
///
/// # Errors
/// If the folder cannot be opened, or the disk failed.
pub fn sync_folder(path: &Path) -> io::Result<FolderSync> {
    judge(File::open(path)?.sync_all())
}

fn judge(synced: io::Result<()>) -> io::Result<FolderSync> {
    let is_unsupported = |error: &io::Error| {
        let code = Errno::from_io_error(error);
        code.is_some_and(|code| [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&code))
    };
    match synced {
        Ok(()) => Ok(FolderSync::Done),
        Err(error) if is_unsupported(&error) => Ok(FolderSync::Unsupported),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_synced_unless_its_file_system_cannot_and_a_disk_that_fails_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(sync_folder(dir.path()).unwrap(), FolderSync::Done);
        let missing = sync_folder(&dir.path().join("missing"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
        // Linux shows its processes in folders that are on no disk.
        let processes = Path::new("/proc/self");
        if processes.exists() {
            assert_eq!(sync_folder(processes).unwrap(), FolderSync::Unsupported);
        }
        for code in [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP] {
            assert_eq!(judge(Err(code.into())).unwrap(), FolderSync::Unsupported);
        }
        for code in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::STALE] {
            assert_eq!(Errno::from_io_error(&judge(Err(code.into())).unwrap_err()), Some(code));
        }
    }

    #[test]
    fn a_disk_tells_its_free_space_and_a_missing_folder_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).is_some());
        assert_eq!(free_bytes(&dir.path().join("missing")), None);
    }
}
