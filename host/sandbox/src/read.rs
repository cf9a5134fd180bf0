//! Reads files that others wrote: regular ones, and no more of them than expected.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRead {
    /// It is not there, or not for us.
    #[error("{0}")]
    Failed(#[from] io::Error),
    /// A pipe, a device or a folder.
    #[error("it is not a regular file")]
    NotAFile,
    /// Larger than allowed.
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
}

/// The content of a file. Its size is measured by reading: what a directory says about it may be old,
/// and a device has none.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, NotRead> {
    // To open a pipe is to wait for its writer; what is opened may be another file than was asked about.
    if !fs::metadata(path)?.is_file() {
        return Err(NotRead::NotAFile);
    }
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(NotRead::NotAFile);
    }
    let mut content = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
    match u64::try_from(content.len()) {
        Ok(bytes) if bytes <= bytes_max => Ok(content),
        Ok(_) | Err(_) => Err(NotRead::TooLarge(bytes_max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_within_the_limit_is_read() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(NotRead::TooLarge(4))));
        assert!(matches!(read(folder.path(), 4), Err(NotRead::NotAFile)));
        assert!(matches!(read(&path.join("b"), 4), Err(NotRead::Failed(_))));
    }

    #[test]
    fn a_device_and_a_socket_are_no_files() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(read(&path, 4), Err(NotRead::NotAFile)));
        assert!(matches!(read(Path::new("/dev/zero"), 4), Err(NotRead::NotAFile)));
    }
}
