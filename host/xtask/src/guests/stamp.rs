//! A stamp says what a published guest was made of. It is written last, so a guest without one is
//! built again.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::guest::Guest;
use super::{Layout, digest};

/// Change it when the way guests are built or published changes.
const RECIPE: &str = "1";

pub(super) struct Stamp {
    toolchain: String,
    /// What all guests have in common.
    shared: String,
    /// The guest's own directory.
    own: String,
}

impl Stamp {
    pub(super) fn of(guest: &Guest, toolchain_key: &str, shared: &str) -> Result<Self> {
        Ok(Self {
            toolchain: digest::texts(&[RECIPE, toolchain_key]),
            shared: shared.to_owned(),
            own: digest::tree(std::slice::from_ref(&guest.directory))?,
        })
    }

    /// True if the published files are there, whole, and made of these sources.
    pub(super) fn is_current(&self, layout: &Layout, guest: &Guest) -> bool {
        let (Ok(component), Ok(stamp)) = (
            digest::file(&guest.output.join(&guest.component)),
            fs::read_to_string(path(layout, guest)),
        ) else {
            return false;
        };
        stamp == self.text(&component) && guest.output.join("plugin.toml").is_file()
    }

    /// True if the guest was last built with the same SDK, WIT and lock file.
    pub(super) fn has_same_shared(&self, layout: &Layout, guest: &Guest) -> bool {
        let recorded = fs::read_to_string(path(layout, guest)).unwrap_or_default();
        recorded.lines().any(|line| line == self.shared_line())
    }

    /// Call it once the files are published.
    pub(super) fn write(&self, layout: &Layout, guest: &Guest) -> Result<()> {
        let component = digest::file(&guest.output.join(&guest.component))?;
        let path = path(layout, guest);
        fs::create_dir_all(layout.stamps())
            .with_context(|| format!("cannot create {}", layout.stamps().display()))?;
        fs::write(&path, self.text(&component))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn text(&self, component: &str) -> String {
        format!(
            "toolchain {}\n{}\nown {}\ncomponent {component}\n",
            self.toolchain,
            self.shared_line(),
            self.own,
        )
    }

    fn shared_line(&self) -> String {
        format!("shared {}", self.shared)
    }
}

fn path(layout: &Layout, guest: &Guest) -> PathBuf {
    layout.stamps().join(&guest.name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Stamp;
    use crate::guests::guest::{self, Guest};
    use crate::guests::scratch::Scratch;

    /// A repository with one guest that was just built and published.
    fn published() -> (Scratch, Guest, Stamp) {
        let scratch = Scratch::new();
        let guest = guest::discover(&scratch.layout).unwrap().remove(0);
        fs::create_dir_all(&guest.output).unwrap();
        fs::write(guest.output.join(&guest.component), "wasm").unwrap();
        fs::write(guest.output.join("plugin.toml"), "").unwrap();
        let stamp = Stamp::of(&guest, "rustc 1", "shared").unwrap();
        stamp.write(&scratch.layout, &guest).unwrap();
        (scratch, guest, stamp)
    }

    #[test]
    fn what_was_just_published_is_current() {
        let (scratch, guest, stamp) = published();
        assert!(stamp.is_current(&scratch.layout, &guest));
    }

    #[test]
    fn touching_a_file_keeps_a_guest_current() {
        let (scratch, guest, _) = published();
        let source = guest.directory.join("src/lib.rs");
        fs::write(&source, fs::read(&source).unwrap()).unwrap();
        let stamp = Stamp::of(&guest, "rustc 1", "shared").unwrap();
        assert!(stamp.is_current(&scratch.layout, &guest));
    }

    #[test]
    fn prose_is_no_part_of_a_guest() {
        let (scratch, guest, _) = published();
        fs::write(guest.directory.join("README.md"), "new").unwrap();
        let stamp = Stamp::of(&guest, "rustc 1", "shared").unwrap();
        assert!(stamp.is_current(&scratch.layout, &guest));
    }

    #[test]
    fn a_changed_source_toolchain_or_sdk_makes_a_guest_stale() {
        let (scratch, guest, _) = published();
        for (toolchain, shared) in [("rustc 2", "shared"), ("rustc 1", "other")] {
            let stamp = Stamp::of(&guest, toolchain, shared).unwrap();
            assert!(!stamp.is_current(&scratch.layout, &guest), "{toolchain} {shared}");
            assert_eq!(stamp.has_same_shared(&scratch.layout, &guest), shared == "shared");
        }
        fs::write(guest.directory.join("src/lib.rs"), "changed").unwrap();
        let stamp = Stamp::of(&guest, "rustc 1", "shared").unwrap();
        assert!(!stamp.is_current(&scratch.layout, &guest));
    }

    #[test]
    fn a_damaged_or_missing_component_makes_a_guest_stale() {
        let (scratch, guest, stamp) = published();
        let component = guest.output.join(&guest.component);
        fs::write(&component, "was").unwrap();
        assert!(!stamp.is_current(&scratch.layout, &guest));
        fs::remove_file(&component).unwrap();
        assert!(!stamp.is_current(&scratch.layout, &guest));
    }
}
