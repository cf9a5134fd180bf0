//! Compiled code on disk, so that a restart does not compile again.

use std::{
    fs::{self, DirBuilder, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

const EXTENSION: &str = "cwasm";

/// What the extension of a file begins with that is still being written.
const STAGED: &str = "new-";

/// Each file begins with the SHA-256 of the code that follows.
const CHECKSUM_BYTES: usize = 32;

/// A directory of compiled components. Its files are *trusted*: they are machine code that runs
/// outside the sandbox. So it is made readable and writable for the host's own user alone, and nothing
/// an author ships is ever put there.
pub(crate) struct Cache {
    directory: PathBuf,
    /// Of wasmtime's version, its settings and the CPU: other code is not looked at.
    environment: u64,
}

impl Cache {
    /// Opens the cache, and closes it to everybody else. Files that a dying host left half written are
    /// removed.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> io::Result<Self> {
        private_directory(directory)?;
        remove(directory, |extension| extension.starts_with(STAGED))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory: directory.to_path_buf(), environment: hasher.finish() })
    }

    /// The compiled code of the component with this digest, if it is there and fits the engine.
    pub(crate) fn get(&self, engine: &Engine, digest_hex: &str) -> Option<Component> {
        let path = self.path(digest_hex);
        let unusable = |why: &dyn std::fmt::Display| {
            tracing::warn!(path = %path.display(), error = %why, "compiled code cannot be used; compiling again");
        };
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                unusable(&error);
                return None;
            }
        };
        let Some(code) = checked(&file) else {
            unusable(&"it is not what was written");
            return None;
        };
        #[expect(unsafe_code, reason = "deserializing runs what it reads; see SAFETY")]
        // SAFETY: the code was written by `put` of this user's host, into a directory that no other user
        // can write to, and is what was written; wasmtime checks that version, settings and CPU fit.
        let loaded = unsafe { Component::deserialize(engine, code) };
        loaded.inspect_err(|error| unusable(error)).ok()
    }

    /// Keeps compiled code, whole or not at all.
    pub(crate) fn put(&self, digest_hex: &str, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        let path = self.path(digest_hex);
        // Two writers of one file would mix their code, so that no two ever share a name.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let write = WRITES.fetch_add(1, Ordering::Relaxed);
        let staged = path.with_extension(format!("{STAGED}{}-{write}", std::process::id()));
        let written = write_whole(&staged, &code).and_then(|()| fs::rename(&staged, &path));
        written.inspect_err(|_| {
            // A full disk should not stay full of what nobody reads; opening the cache tries again.
            let _ = fs::remove_file(&staged);
        })
    }

    /// Removes what belongs to none of these digests: an upgraded plugin leaves megabytes behind.
    pub(crate) fn keep_only(&self, digests_hex: &[String]) -> io::Result<()> {
        let keep: Vec<PathBuf> = digests_hex.iter().map(|digest| self.path(digest)).collect();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && !keep.contains(&path)
            {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn path(&self, digest_hex: &str) -> PathBuf {
        self.directory.join(format!("{digest_hex}-{:016x}.{EXTENSION}", self.environment))
    }
}

fn write_whole(path: &Path, code: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&Sha256::digest(code))?;
    file.write_all(code)?;
    file.sync_all()
}

/// The code of a file, if it is whole.
fn checked(file: &[u8]) -> Option<&[u8]> {
    let (checksum, code) = file.split_first_chunk::<CHECKSUM_BYTES>()?;
    (Sha256::digest(code)[..] == checksum[..]).then_some(code)
}

/// Removes the files whose extension is such a one.
fn remove(directory: &Path, is_such: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().and_then(|extension| extension.to_str()).is_some_and(&is_such) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A directory that only this user can write to, and ever could: what lies in a directory that was
/// open to others may be theirs, and is removed unread.
fn private_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let found = fs::symlink_metadata(directory)?;
    if !found.is_dir() {
        return Err(io::Error::other("it is a link, not a directory; remove it"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user; remove it"));
    }
    let writable_by_others = found.permissions().mode() & 0o022 != 0;
    if writable_by_others {
        tracing::warn!(path = %directory.display(), "others could write compiled code; compiling again");
        // A new directory, not an emptied one: nothing can be put into it before it is closed.
        fs::remove_dir_all(directory)?;
        DirBuilder::new().mode(0o700).create(directory)?;
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}
