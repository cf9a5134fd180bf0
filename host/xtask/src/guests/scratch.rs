//! A small repository in a temporary directory, for the tests of this module.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Layout;

pub(super) struct Scratch {
    pub(super) layout: Layout,
    root: PathBuf,
}

impl Scratch {
    /// Holds one guest, `demo`.
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "roughneck-xtask-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let root = std::env::temp_dir().join(name);
        let scratch = Self { layout: Layout::new(&root), root };
        fs::create_dir_all(scratch.root.join("plugins/fixtures")).unwrap();
        scratch.add_guest("demo", "demo.wasm");
        scratch
    }

    pub(super) fn add_guest(&self, name: &str, component: &str) {
        let directory = self.root.join("plugins").join(name.replace('/', "-"));
        fs::create_dir_all(directory.join("src")).unwrap();
        fs::write(directory.join("src/lib.rs"), "").unwrap();
        fs::write(directory.join("Cargo.toml"), format!("[package]\nname = \"{name}\"\n")).unwrap();
        let manifest =
            format!("[plugin]\nname = \"{name}\"\n[component]\nsource = \"{component}\"\n");
        fs::write(directory.join("plugin.toml"), manifest).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
