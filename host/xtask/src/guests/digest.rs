//! SHA-256 over the content of files and directories, so that times and places of files do not
//! matter.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::Layout;

/// What every guest is made of besides its own directory.
pub(super) fn shared(layout: &Layout) -> Result<String> {
    let workspace = layout.workspace();
    tree(&[
        workspace.join("Cargo.toml"),
        workspace.join("Cargo.lock"),
        workspace.join("sdk"),
        layout.wit(),
    ])
}

/// Digest of files and directories, in the order given. Build output, hidden files and prose are
/// left out: they end up in no component.
pub(super) fn tree(paths: &[PathBuf]) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in paths {
        let root = path.parent().unwrap_or(path);
        let mut files = Vec::new();
        collect(path, &mut files)?;
        files.sort();
        for file in files {
            let content =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            field(
                &mut hasher,
                file.strip_prefix(root).unwrap_or(&file).to_string_lossy().as_bytes(),
            );
            field(&mut hasher, &content);
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Digest of several texts.
pub(super) fn texts(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        field(&mut hasher, text.as_bytes());
    }
    hex(&hasher.finalize())
}

/// Digest of one file.
pub(super) fn file(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(content)))
}

/// Enough of a digest to name a directory.
pub(super) fn short(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)).chars().take(16).collect()
}

/// Length first: otherwise two fields could trade bytes and the digest would not notice.
fn field(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') || name.ends_with(".md") {
            continue;
        }
        collect(&entry.path(), files)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::texts;

    #[test]
    fn moving_a_byte_between_two_fields_changes_the_digest() {
        assert_ne!(texts(&["ab", "c"]), texts(&["a", "bc"]));
    }
}
