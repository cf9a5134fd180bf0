//! Compiled code on disk, so that a restart does not compile again.

use std::{
    fs::{self, DirBuilder, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use wasmtime::{Engine, component::Component};

const EXTENSION: &str = "cwasm";

/// A directory of compiled components. Its files are *trusted*: they are machine code that runs
/// outside the sandbox. So it is made readable and writable for the host's own user alone, and nothing
/// an author ships is ever put there.
pub(crate) struct Cache {
    directory: PathBuf,
    /// Of wasmtime's version, its settings and the CPU: other code is not looked at.
    environment: u64,
}

impl Cache {
    /// Opens the cache, and closes it to everybody else.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> io::Result<Self> {
        private_directory(directory)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory: directory.to_path_buf(), environment: hasher.finish() })
    }

    /// The compiled code of the component with this digest, if it is there and fits the engine.
    pub(crate) fn get(&self, engine: &Engine, digest_hex: &str) -> Option<Component> {
        let path = self.path(digest_hex);
        if !path.is_file() {
            return None;
        }
        #[expect(unsafe_code, reason = "deserializing runs what it reads; see SAFETY")]
        // SAFETY: the file was written by `put` of this user's host, whole or not at all, into a
        // directory that no other user can write to; wasmtime checks that version, settings and CPU
        // fit. It is mapped, and stays as it is: `put` replaces files and never writes into one.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        match loaded {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled code cannot be used; compiling again");
                None
            }
        }
    }

    /// Keeps compiled code, whole or not at all.
    pub(crate) fn put(&self, digest_hex: &str, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        let path = self.path(digest_hex);
        // Two writers of one file would mix their code, so that no two ever share a name.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let write = WRITES.fetch_add(1, Ordering::Relaxed);
        let staged = path.with_extension(format!("new-{}-{write}", std::process::id()));
        let mut file = File::create(&staged)?;
        file.write_all(&code)?;
        file.sync_all()?;
        fs::rename(&staged, &path)
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

#[cfg(unix)]
fn private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(directory)
}
