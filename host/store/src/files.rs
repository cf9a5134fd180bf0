//! The files of the store by their names: whether a name still leads to the file that is open.
//!
//! A file that is deleted lives on for whoever has it open, and so does all that is written to it, until the process
//! ends: a host whose data folder is gone would take work for ever, and lose it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{data_dir::FILES, lock};

/// The files that were there when the store was opened.
pub(crate) struct Files(Vec<(PathBuf, Identity)>);

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    number: u64,
}

impl Files {
    /// Those of an open store.
    pub(crate) fn of(data_dir: &Path) -> Self {
        let paths = FILES.iter().chain([&lock::FILE]).map(|name| data_dir.join(name));
        Self(
            paths
                .filter_map(|path| identity(&path).ok().map(|identity| (path, identity)))
                .collect(),
        )
    }

    /// How many of them were moved or deleted since. One that cannot be looked at is none of them.
    pub(crate) fn lost(&self) -> u64 {
        let is_lost = |(path, opened): &&(PathBuf, Identity)| match identity(path) {
            Ok(found) => found != *opened,
            // A part of the path may have become a file.
            Err(error) => {
                [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind())
            }
        };
        self.0.iter().filter(is_lost).map(|_| 1).sum()
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), number: metadata.ino() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_lost_when_its_name_leads_nowhere_or_to_another_file_and_found_when_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        for name in [FILES[0], lock::FILE] {
            fs::write(data.join(name), "").unwrap();
        }
        let files = Files::of(&data);
        assert_eq!(files.lost(), 0);
        let (lock, aside) = (data.join(lock::FILE), dir.path().join("aside"));
        fs::rename(&lock, &aside).unwrap();
        assert_eq!(files.lost(), 1, "one is gone");
        fs::write(&lock, "").unwrap();
        assert_eq!(files.lost(), 1, "another one has its name");
        fs::rename(&aside, &lock).unwrap();
        assert_eq!(files.lost(), 0, "it is back");
        fs::rename(&data, dir.path().join("elsewhere")).unwrap();
        assert_eq!(files.lost(), 2, "the folder is gone");
        fs::write(&data, "").unwrap();
        assert_eq!(files.lost(), 2, "a file has the name of the folder");
    }
}
