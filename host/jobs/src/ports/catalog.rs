//! The installed plugins and the kinds they serve.

use std::sync::Arc;

use crate::manifest::{Kind, Manifest};

/// An installed plugin.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// `sha256:…` of the component: its identity at run time.
    pub digest: String,
    /// Its manifest.
    pub manifest: Manifest,
}

/// A kind and the plugin that serves it.
#[derive(Clone, Debug)]
pub struct Served {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// The kind.
    pub kind: Kind,
}

/// A plugin folder that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPlugin {
    /// The folder's name.
    pub name: String,
    /// A stable code.
    pub code: &'static str,
    /// One sentence that says what to change.
    pub message: String,
}

/// Knows the plugins. Never blocks.
pub trait Catalog: Send + Sync {
    /// Who serves the kind of this name or alias.
    fn served(&self, kind: &str) -> Option<Arc<Served>>;
    /// All plugins, by name.
    fn plugins(&self) -> Vec<Arc<Plugin>>;
    /// The folders that were refused.
    fn refused(&self) -> Vec<RefusedPlugin>;

    /// The names of all kinds, for suggestions.
    fn kinds(&self) -> Vec<String> {
        let plugins = self.plugins();
        plugins
            .iter()
            .flat_map(|plugin| plugin.manifest.kinds.iter().map(|kind| kind.name.clone()))
            .collect()
    }
}
