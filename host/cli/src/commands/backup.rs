//! `roughneck backup`: copies what a host knows, also while it runs.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use bytesize::ByteSize;
use roughneck_jobs::clock::Clock as _;

use crate::{
    backup::{self, Manifest},
    config::{Config, Overrides},
    private,
    span::span,
    stamp::stamp,
    system::System,
    terminal,
};

/// What stands between the name of a backup that is not finished and the number of its process.
const PART: &str = ".part-";

/// Arguments of `roughneck backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    overrides: Overrides,
    /// The folder to make [default: roughneck-backup-TIME]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Makes a backup, whole or not at all.
///
/// # Errors
/// Why there is none.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let config = Config::load(&arguments.overrides)?;
    let now = System.now();
    let to =
        arguments.to.clone().unwrap_or_else(|| format!("roughneck-backup-{}", stamp(now)).into());
    if to.exists() {
        bail!(
            "{} is there already, and nothing is overwritten; name another folder with --to",
            to.display()
        );
    }
    let part = part(&to)?;
    clear_up(folder_of(&to));
    let made = make(&config.data_dir(), &part, &to).await;
    if made.is_err() {
        // Half a backup is worse than none.
        let _ = fs::remove_dir_all(&part);
    }
    let took = span(u64::try_from(started.elapsed().as_millis())?);
    terminal::print(&report(&to, &made?, &took))
}

/// Where it is made, beside its place: a backup that has its name is whole.
fn part(to: &Path) -> Result<PathBuf> {
    let name =
        to.file_name().with_context(|| format!("{} is no name for a folder", to.display()))?;
    let mut part = name.to_owned();
    part.push(format!("{PART}{}", std::process::id()));
    Ok(to.with_file_name(part))
}

/// The folder in which a backup gets its name.
fn folder_of(to: &Path) -> &Path {
    to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Deletes what backups left that were killed, as large as the whole one would be. Who cannot is no worse off.
fn clear_up(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if is_part(&entry.file_name()) && lock(&path).is_ok() && backup::delete(&path).is_ok() {
            terminal::tell(&format!("deleted {}, which a killed backup left", path.display()));
        }
    }
}

fn is_part(name: &OsStr) -> bool {
    name.to_str().and_then(|name| name.rsplit_once(PART)).is_some_and(|(of, pid)| {
        !of.is_empty() && !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Holds a folder that is not finished, for as long as the process lives.
fn lock(part: &Path) -> io::Result<File> {
    let folder = File::open(part)?;
    folder.try_lock()?;
    Ok(folder)
}

async fn make(data_dir: &Path, part: &Path, to: &Path) -> Result<Manifest> {
    let unmade = || format!("{} cannot be made", part.display());
    private::make_dir(part).with_context(unmade)?;
    let _lock = lock(part).with_context(unmade)?;
    let manifest = backup::make(data_dir, part, System.now()).await.with_context(|| {
        format!("the data folder {} could not be backed up", data_dir.display())
    })?;
    fs::rename(part, to).with_context(|| format!("{} cannot be given its name", to.display()))?;
    backup::sync(folder_of(to))?;
    Ok(manifest)
}

fn report(to: &Path, manifest: &Manifest, took: &str) -> String {
    let secret = if manifest.has_secret() { "with" } else { "without" };
    format!(
        "backed up to {} in {took}\n  \
         size      {}\n  \
         jobs      {}, of which {} have not ended\n  \
         secret    {secret} the one that signs webhooks: keep the folder as private as the data folder\n  \
         not in it roughneck.toml and the plugins, which are yours\n",
        to.display(),
        ByteSize::b(manifest.bytes()),
        manifest.jobs,
        manifest.open_jobs,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_backup_left_is_deleted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[&str]| {
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            for file in files {
                fs::write(folder.join(file), "x").unwrap();
            }
            folder
        };
        let left = make("nightly.part-17", &["roughneck.db", "roughneck.db-wal", "webhook-secret"]);
        let at_work = make("nightly.part-18", &["roughneck.db"]);
        let held = lock(&at_work).unwrap();
        let others = [
            make("album.part-2", &["roughneck.db", "song.ogg"]),
            make("nightly.part-x", &["roughneck.db"]),
            make("nightly", &["roughneck.db"]),
        ];
        clear_up(dir.path());
        assert!(!left.exists() && at_work.exists());
        for other in others {
            assert!(other.join("roughneck.db").exists(), "{other:?}");
        }
        drop(held);
        clear_up(dir.path());
        assert!(!at_work.exists());
    }
}
