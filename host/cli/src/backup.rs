//! A backup: a folder with the database, the secret that signs webhooks, and a manifest that tells
//! what should be in it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use roughneck_jobs::clock::Millis;
use roughneck_store::{FILES, FolderSync, snapshot, sync_folder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{private, signing_secret, terminal};

/// What this binary writes and reads.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";

/// What SQLite keeps beside a database while it copies one.
const JOURNAL: &str = "roughneck.db-journal";

/// What is in a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// The version that made it.
    version: String,
    made_at: String,
    /// The last migration of the database.
    migration: i64,
    pub(crate) jobs: u64,
    pub(crate) open_jobs: u64,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// The database in a backup, or in a data folder.
pub(crate) fn database() -> &'static str {
    let [database, ..] = FILES;
    database
}

/// Fills the empty folder `dir` with a backup of `data_dir`, all of which is on the disk then.
///
/// # Errors
/// Why there is no whole backup.
pub(crate) async fn make(data_dir: &Path, dir: &Path, now: Millis) -> Result<Manifest> {
    let copied = snapshot::copy(data_dir, &dir.join(database())).await?;
    let mut names = vec![database()];
    let secret = data_dir.join(signing_secret::FILE);
    if secret.exists() {
        let text = fs::read_to_string(&secret)
            .with_context(|| format!("the signing secret {} cannot be read", secret.display()))?;
        write(&dir.join(signing_secret::FILE), &text)?;
        names.push(signing_secret::FILE);
    }
    let mut files = BTreeMap::new();
    for name in names {
        files.insert(name.to_owned(), Entry::of(&dir.join(name))?);
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now.to_string(),
        migration: copied.migration,
        jobs: copied.jobs,
        open_jobs: copied.open_jobs,
        files,
    };
    let text = serde_json::to_string_pretty(&manifest)?;
    write(&dir.join(MANIFEST), &format!("{text}\n"))?;
    sync(dir)?;
    Ok(manifest)
}

/// Deletes an unfinished backup, if there is nothing else in its folder.
///
/// # Errors
/// If something else is in it, or it cannot be deleted.
pub(crate) fn delete(dir: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        let ours = FILES.into_iter().chain([JOURNAL, signing_secret::FILE, MANIFEST]);
        if !ours.into_iter().any(|ours| name == ours) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        files.push(path);
    }
    files.into_iter().try_for_each(fs::remove_file)?;
    fs::remove_dir(dir)
}

/// Reads what a backup should hold, and checks that it holds it.
///
/// # Errors
/// What is missing or damaged.
pub(crate) fn verify(dir: &Path) -> Result<Manifest> {
    let path = dir.join(MANIFEST);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("{} is no backup: its {MANIFEST} cannot be read", dir.display())
    })?;
    let damaged = || format!("{} cannot be understood", path.display());
    // Before the rest, which a later format may write in another way.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_str(&text).with_context(damaged)?;
    if head.format != FORMAT {
        bail!(
            "the backup {} has format {}, and this version reads {FORMAT}; install the version that made it",
            dir.display(),
            head.format
        );
    }
    let manifest: Manifest = serde_json::from_str(&text).with_context(damaged)?;
    ensure!(
        manifest.files.contains_key(database()),
        "the backup {} names no database",
        dir.display()
    );
    for (name, entry) in &manifest.files {
        // What is not one of ours is no name to be trusted with a path.
        ensure!(
            name == database() || name == signing_secret::FILE,
            "the backup {} names `{name}`, which is no file of a backup",
            dir.display()
        );
        let found = Entry::of(&dir.join(name))?;
        ensure!(
            found == *entry,
            "{} is not what was backed up: its size or its SHA-256 differs",
            dir.join(name).display()
        );
    }
    Ok(manifest)
}

impl Manifest {
    /// The size of the database.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.get(database()).map_or(0, |entry| entry.bytes)
    }

    /// Whether the secret that signs webhooks is in it.
    pub(crate) fn has_secret(&self) -> bool {
        self.files.contains_key(signing_secret::FILE)
    }
}

impl Entry {
    fn of(path: &Path) -> Result<Self> {
        digest(path).with_context(|| format!("{} cannot be read", path.display()))
    }
}

fn digest(path: &Path) -> io::Result<Entry> {
    let mut file = File::open(path)?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else { break };
        hasher.update(piece);
        bytes += u64::try_from(read).unwrap_or(0);
    }
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Entry { bytes, sha256 })
}

fn write(path: &Path, text: &str) -> Result<()> {
    private::write_file(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync(dir: &Path) -> Result<()> {
    let synced = sync_folder(dir);
    tell(dir, synced.with_context(|| format!("{} cannot be brought to the disk", dir.display()))?);
    Ok(())
}

/// Tells the operator if the names in a folder may not be on the disk. Nothing is wrong with the files themselves.
pub(crate) fn tell(dir: &Path, synced: FolderSync) {
    match synced {
        FolderSync::Done => {}
        FolderSync::Unsupported => terminal::tell(&format!(
            "warning: the file system of {} does not say when a new file is on the disk for good; \
             let a minute pass before you rely on it",
            dir.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, text).unwrap();
        Entry::of(&file).unwrap()
    }

    fn backup(change: impl Fn(&mut serde_json::Value)) -> Result<Manifest> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(database()), "rows").unwrap();
        let mut manifest = serde_json::json!({
            "format": 1, "version": "0.1.0", "made_at": "", "migration": 1, "jobs": 2, "open_jobs": 1,
            "files": { database(): entry("rows") },
        });
        change(&mut manifest);
        fs::write(dir.path().join(MANIFEST), manifest.to_string()).unwrap();
        verify(dir.path())
    }

    #[test]
    fn a_digest_is_the_one_that_other_tools_print() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(entry("abc"), Entry { bytes: 3, sha256: abc.to_owned() });
    }

    #[test]
    fn the_size_of_the_database_is_that_of_the_database_alone() {
        let names = [database(), signing_secret::FILE];
        let manifest = Manifest {
            format: FORMAT,
            version: String::new(),
            made_at: String::new(),
            migration: 1,
            jobs: 0,
            open_jobs: 0,
            files: names.map(|name| (name.to_owned(), entry("rows"))).into(),
        };
        assert_eq!((manifest.bytes(), manifest.has_secret()), (4, true));
    }

    #[test]
    fn a_backup_that_is_not_what_was_backed_up_is_refused_with_the_reason() {
        assert_eq!(backup(|_| {}).unwrap().jobs, 2);
        let refusal = |change: fn(&mut serde_json::Value)| backup(change).unwrap_err().to_string();
        for (change, reason) in [
            (
                (|manifest| manifest["format"] = 2.into()) as fn(&mut serde_json::Value),
                "has format 2, and this version reads 1",
            ),
            (|manifest| manifest["files"][database()]["bytes"] = 5.into(), "its SHA-256 differs"),
            (|manifest| manifest["files"] = serde_json::json!({}), "names no database"),
            (
                |manifest| {
                    manifest["files"]["../evil"] = serde_json::json!({"bytes": 0, "sha256": ""});
                },
                "no file of a backup",
            ),
            (|manifest| manifest["jobs"] = "two".into(), "cannot be understood"),
        ] {
            let error = refusal(change);
            assert!(error.contains(reason), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(verify(dir.path()).unwrap_err().to_string().contains("is no backup"));
    }
}
