//! Puts a built guest where the host finds it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::guest::Guest;
use super::stamp::Stamp;
use super::toolchain::Toolchain;
use super::{Layout, target_dir};

/// Copies the component and its manifest, each whole or not at all: a running host may watch the
/// directory.
pub(super) fn publish(
    layout: &Layout,
    toolchain: &Toolchain,
    guest: &Guest,
    stamp: &Stamp,
) -> Result<()> {
    let artifact =
        target_dir(layout).join(toolchain.target()).join("release").join(guest.artifact());
    fs::create_dir_all(&guest.output)
        .with_context(|| format!("cannot create {}", guest.output.display()))?;
    replace(layout, &artifact, &guest.output.join(&guest.component))?;
    replace(layout, &guest.manifest(), &guest.output.join("plugin.toml"))?;
    stamp.write(layout, guest)
}

/// Copies to a file beside the stamps, on the same file system, then renames.
fn replace(layout: &Layout, from: &Path, to: &Path) -> Result<()> {
    let staged = layout.staging();
    if let Some(parent) = staged.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    fs::copy(from, &staged)
        .with_context(|| format!("cannot copy {} to {}", from.display(), staged.display()))?;
    fs::rename(&staged, to).with_context(|| format!("cannot replace {}", to.display()))
}

/// Removes what was published of guests that are gone, known by their stamp. Anything else in the
/// directory is left alone.
pub(super) fn remove_orphans(layout: &Layout, guests: &[Guest]) -> Result<()> {
    let Ok(stamps) = fs::read_dir(layout.stamps()) else {
        return Ok(());
    };
    for entry in stamps {
        let name = entry?.file_name();
        if guests.iter().any(|guest| name == guest.name.as_str()) {
            continue;
        }
        for directory in [layout.plugins(), layout.fixtures()] {
            let published = directory.join(&name);
            if published.is_dir() {
                fs::remove_dir_all(&published)
                    .with_context(|| format!("cannot remove {}", published.display()))?;
            }
        }
        fs::remove_file(layout.stamps().join(&name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::remove_orphans;
    use crate::guests::guest;
    use crate::guests::scratch::Scratch;

    #[test]
    fn a_guest_that_is_gone_is_removed_and_a_strangers_plugin_is_not() {
        let scratch = Scratch::new();
        let layout = &scratch.layout;
        let guests = guest::discover(layout).unwrap();
        for name in ["demo", "gone", "stranger"] {
            fs::create_dir_all(layout.plugins().join(name)).unwrap();
        }
        fs::create_dir_all(layout.stamps()).unwrap();
        for name in ["demo", "gone"] {
            fs::write(layout.stamps().join(name), "").unwrap();
        }

        remove_orphans(layout, &guests).unwrap();

        let left = |name: &str| layout.plugins().join(name).is_dir();
        assert_eq!((left("demo"), left("gone"), left("stranger")), (true, false, true));
        assert!(!layout.stamps().join("gone").exists());
    }
}
