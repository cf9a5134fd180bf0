//! The host's own signing secret: made at the first start, kept in the data folder.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use roughneck_jobs::{clock::Entropy, signature::Secret};

use crate::private;

/// The file, in the data folder.
pub(crate) const FILE: &str = "webhook-secret";

/// Reads the secret, or makes one if there is none.
///
/// # Errors
/// A sentence that names the file, never its content.
pub(crate) fn load(data_dir: &Path, entropy: &dyn Entropy) -> Result<Secret> {
    let path = data_dir.join(FILE);
    if path.exists() {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("the signing secret {} cannot be read", path.display()))?;
        return text.trim().parse().with_context(|| {
            format!(
                "{} does not hold a signing secret; take it from a backup, or delete it to get a new one, which every receiver of webhooks must then be given",
                path.display()
            )
        });
    }
    let key = [entropy.roll().to_le_bytes(), entropy.roll().to_le_bytes()].concat();
    let secret = Secret::new(key);
    private::write_file(&path, &format!("{}\n", secret.reveal()))
        .with_context(|| format!("the signing secret {} cannot be written", path.display()))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::system::System;

    #[test]
    fn the_secret_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(dir.path(), &System).unwrap();
        assert_eq!(load(dir.path(), &System).unwrap(), first);
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_broken_secret_is_named_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "hunter2").unwrap();
        let error = format!("{:#}", load(dir.path(), &System).unwrap_err());
        assert!(
            error.contains("every receiver of webhooks must then be given")
                && !error.contains("hunter2"),
            "{error}"
        );
    }
}
