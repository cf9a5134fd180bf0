//! The data folder, who has it, and the disk below it.

use std::{io, path::Path};

use bytesize::ByteSize;
use roughneck_store::{
    FILES,
    inspect::{self, Holder},
};

use super::finding::Finding;
use crate::{config::Config, private};

/// Whether the folder is there and can be used.
pub(super) fn folder(data_dir: &Path) -> Finding {
    let shown = data_dir.display();
    if !data_dir.exists() {
        return Finding::ok("data", format!("{shown} is made by the first start"));
    }
    if !data_dir.is_dir() {
        return Finding::fail(
            "data",
            format!("{shown} is no folder"),
            "choose another one with --data-dir",
        );
    }
    // A start opens all of these to write.
    let files = FILES.into_iter().chain(["lock"]).map(|name| data_dir.join(name));
    let existing = files.filter(|path| path.exists());
    for path in std::iter::once(data_dir.to_owned()).chain(existing) {
        if let Err(error) = private::may_write(&path) {
            return unwritable(&path, &error);
        }
    }
    if private::is_open_to_others(data_dir) {
        return Finding::warn(
            "data",
            format!("{shown} can be read by other users"),
            format!("run `chmod 700 {shown}`"),
        );
    }
    Finding::ok("data", format!("{shown} is there, for its owner alone"))
}

fn unwritable(path: &Path, error: &io::Error) -> Finding {
    let shown = path.display();
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return Finding::fail(
            "data",
            format!("{shown} is on a file system that is mounted read-only"),
            "mount it for writing, and see in the system's log whether the disk has failed",
        );
    }
    Finding::fail(
        "data",
        format!("{shown} is not writable ({error})"),
        "give it to the user of the host",
    )
}

/// Who has the folder; none if that cannot be told.
pub(super) fn holder(data_dir: &Path) -> (Finding, Option<Holder>) {
    match inspect::holder(data_dir) {
        Ok(Holder::Nobody) => {
            (Finding::ok("lock", "no host has the data folder"), Some(Holder::Nobody))
        }
        Ok(holder @ Holder::Process(pid)) => {
            let who = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
            (Finding::ok("lock", format!("{who} has the data folder")), Some(holder))
        }
        Err(error) => {
            let found = format!("the lock file cannot be read ({error})");
            (Finding::fail("lock", found, "give the data folder to the user of the host"), None)
        }
    }
}

/// How much room the disk has.
pub(super) fn disk(data_dir: &Path, config: &Config) -> Finding {
    // Before the first start, the folder above it is on the same disk.
    let mut folders = data_dir.ancestors();
    let present = folders.find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let Some(free) = roughneck_store::free_bytes(present) else {
        return Finding::ok("disk", "the system does not tell how much room there is");
    };
    judge(free, config.intake.marks().map_or(0, |marks| marks.disk_free_min))
}

fn judge(free: u64, min: u64) -> Finding {
    let found = format!("{} free", ByteSize::b(free));
    let wanted = ByteSize::b(min);
    if free < min {
        Finding::fail(
            "disk",
            format!("{found}, and below {wanted} no new jobs are taken"),
            "make room on the disk, or lower `disk-free-min` under [intake]",
        )
    } else if free / 2 < min {
        Finding::warn(
            "disk",
            format!("{found}; below {wanted} no new jobs are taken"),
            "make room on the disk",
        )
    } else {
        Finding::ok("disk", found)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;
    use crate::commands::doctor::finding::Status;

    /// Who can mount nothing is no root, from whom modes keep nothing.
    #[test]
    fn what_a_start_could_not_write_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mount = |arguments: &[&str]| {
            let mount = Command::new("mount").args(arguments).arg(dir.path()).output();
            mount.is_ok_and(|mount| mount.status.success())
        };
        let is_mounted = mount(&["-t", "tmpfs", "tmpfs"]);
        private::make_dir(&data).unwrap();
        let database = data.join(FILES[0]);
        private::write_file(&database, "").unwrap();
        assert_eq!(folder(&data).status, Status::Ok);
        let found = if is_mounted {
            assert!(mount(&["-o", "remount,ro"]));
            let found = folder(&data);
            assert!(found.found.contains("mounted read-only"), "{}", found.found);
            let _ = Command::new("umount").arg(dir.path()).status();
            found
        } else {
            std::fs::set_permissions(&database, Permissions::from_mode(0o400)).unwrap();
            let found = folder(&data);
            assert!(found.found.contains(FILES[0]), "{}", found.found);
            found
        };
        assert_eq!(found.status, Status::Fail);
    }

    #[test]
    fn a_disk_is_judged_by_what_the_intake_needs() {
        for (free, min, status) in [
            (0, 0, Status::Ok),
            (1999, 1000, Status::Warn),
            (2000, 1000, Status::Ok),
            (999, 1000, Status::Fail),
        ] {
            assert_eq!(judge(free, min).status, status, "{free} of {min}");
        }
    }
}
