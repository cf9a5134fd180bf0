//! What is installed: models by name, and blobs by digest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::config::Model;
use super::names::normalised;
use crate::lock::locked;

#[derive(Debug)]
pub(super) struct Shelf {
    /// In the order in which they were installed.
    models: Mutex<Vec<Arc<Model>>>,
    /// Bytes of every blob that was uploaded. The blobs themselves are not kept.
    blobs: Mutex<BTreeMap<String, u64>>,
}

impl Shelf {
    pub(super) fn new(models: &[Model]) -> Self {
        let models = models.iter().cloned().map(Arc::new).collect();
        Self { models: Mutex::new(models), blobs: Mutex::default() }
    }

    /// The installed model that `name` means.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Model>> {
        let wanted = normalised(name);
        let models = locked(&self.models);
        models.iter().find(|model| normalised(&model.name) == wanted).cloned()
    }

    pub(super) fn models(&self) -> Vec<Arc<Model>> {
        locked(&self.models).clone()
    }

    /// Installs a model, in the place of the one that has its name.
    pub(super) fn install(&self, model: Model) {
        let wanted = normalised(&model.name);
        let mut models = locked(&self.models);
        models.retain(|known| normalised(&known.name) != wanted);
        models.push(Arc::new(model));
    }

    /// Whether there was one.
    pub(super) fn remove(&self, name: &str) -> bool {
        let wanted = normalised(name);
        let mut models = locked(&self.models);
        let before = models.len();
        models.retain(|known| normalised(&known.name) != wanted);
        models.len() < before
    }

    pub(super) fn blobs(&self) -> BTreeMap<String, u64> {
        locked(&self.blobs).clone()
    }

    pub(super) fn has_blob(&self, digest: &str) -> bool {
        locked(&self.blobs).contains_key(digest)
    }

    pub(super) fn store_blob(&self, digest: String, bytes: u64) {
        locked(&self.blobs).insert(digest, bytes);
    }
}
