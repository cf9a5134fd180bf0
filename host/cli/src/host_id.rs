//! What tells this host from others in front of the same Ollama: made at the first start, kept in the data folder. It is no
//! secret, and no backup has it: a host that is restored beside the former one is another one.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use roughneck_jobs::clock::Entropy;

use crate::private;

/// The file, in the data folder.
const FILE: &str = "host-id";
/// As it is written.
const DIGITS: usize = 8;

/// Reads the id, or makes one if there is none.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn load(data_dir: &Path, entropy: &dyn Entropy) -> Result<u32> {
    let path = data_dir.join(FILE);
    if path.exists() {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("the id of the host {} cannot be read", path.display()))?;
        return read(text.trim()).with_context(|| {
            format!("{} does not hold the id of a host; delete it to get a new one", path.display())
        });
    }
    let [a, b, c, d, ..] = entropy.roll().to_le_bytes();
    let id = u32::from_le_bytes([a, b, c, d]);
    private::write_file(&path, &format!("{id:0DIGITS$x}\n"))
        .with_context(|| format!("the id of the host {} cannot be written", path.display()))?;
    Ok(id)
}

fn read(text: &str) -> Option<u32> {
    let is_written_so = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| is_written_so)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    #[test]
    fn the_id_is_made_once() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = load(dir.path(), &System).unwrap();
        assert_eq!(load(dir.path(), &System).unwrap(), first);
        assert_ne!(load(other.path(), &System).unwrap(), first);
    }

    #[test]
    fn what_is_no_id_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for wrong in ["", "1f3a9c2", "+1f3a9c2", "1f3a9c2g", "1f3a9c2e1"] {
            fs::write(dir.path().join(FILE), wrong).unwrap();
            let error = format!("{:#}", load(dir.path(), &System).unwrap_err());
            assert!(error.contains("host-id does not hold the id of a host"), "{error}");
        }
        fs::write(dir.path().join(FILE), "01f3a9c2\n").unwrap();
        assert_eq!(load(dir.path(), &System).unwrap(), 0x01f3_a9c2);
    }
}
