//! Reads plugin folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use roughneck_capabilities::Ports;
use roughneck_jobs::{
    class::Class,
    grant::{self, Grant},
    manifest::{self, Manifest},
    ports::catalog::{Plugin, RefusedPlugin},
};
use wasmtime::{Engine, component::Linker};

use crate::{
    bindings::JobAllPre,
    cache::Cache,
    compile::{Compiled, compile},
    engine, gates,
    guest::Guest,
    linker,
    metrics::Metrics,
    plugins::{Plugins, Ready},
    read::read,
    refused::Refused,
    ticker::Ticker,
};

/// Longest manifest.
const MANIFEST_BYTES_MAX: u64 = 256 << 10;

const MANIFEST: &str = "plugin.toml";

/// Where plugins are and what they may do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folders of plugins. Each is a plugin itself, if it holds a `plugin.toml`, or holds plugins.
    pub dirs: Vec<PathBuf>,
    /// Where compiled code is kept. It belongs inside the data directory: whoever can write there can
    /// run code as the host. It is closed to other users, and emptied if they could write to it. None keeps
    /// nothing.
    pub cache_dir: Option<PathBuf>,
    /// What the operator allows, by plugin. A plugin without an entry gets [`Grant::default`].
    pub grants: BTreeMap<String, Grant>,
    /// The classes that have slots. Jobs of another one would wait for ever.
    pub classes: BTreeSet<Class>,
    /// Names of plugins that are the host's own code: no other one can have them.
    pub host_plugins: BTreeSet<String>,
    /// Kinds that the host runs itself, by name and alias: no plugin can have them.
    pub host_kinds: BTreeSet<String>,
}

/// Why the sandbox cannot be set up. A bad plugin is never a reason.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// wasmtime does not run here.
    #[error("the WebAssembly engine cannot be started on this machine")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No thread.
    #[error("the thread that interrupts guests cannot be started")]
    Ticker(#[source] io::Error),
}

impl Plugins {
    /// Loads every plugin that passes its gates; the others are listed as refused. Compiling takes
    /// seconds for large components: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(config: Config, ports: Ports) -> Result<Self, LoadError> {
        let broken = |error: wasmtime::Error| LoadError::Engine(error.into_boxed_dyn_error());
        let engine = engine::new().map_err(broken)?;
        let linker = linker::new(&engine).map_err(broken)?;
        let ticker = Ticker::start({
            let engine = engine.clone();
            move || engine.increment_epoch()
        })
        .map_err(LoadError::Ticker)?;
        let Config { dirs, cache_dir, grants, classes, host_plugins, host_kinds } = config;
        let cache = cache_dir.as_deref().and_then(|dir| cache(dir, &engine));
        let metrics = Metrics::new();
        let loader = Loader { engine, linker, cache, grants, classes, host_plugins, metrics };
        let mut plugins = Self::new(ticker, Arc::new(ports), host_kinds, loader.metrics.clone());
        for dir in &dirs {
            loader.load_dir(dir, &mut plugins);
        }
        loader.forget_others(&plugins);
        Ok(plugins)
    }
}

/// A host without a cache compiles at every start, which is slow and nothing else.
fn cache(dir: &Path, engine: &Engine) -> Option<Cache> {
    let opened = Cache::open(dir, engine).inspect_err(|error| {
        tracing::warn!(path = %dir.display(), %error, "compiled code will not be kept");
    });
    opened.ok()
}

struct Loader {
    engine: Engine,
    linker: Linker<Guest>,
    cache: Option<Cache>,
    grants: BTreeMap<String, Grant>,
    classes: BTreeSet<Class>,
    host_plugins: BTreeSet<String>,
    metrics: Metrics,
}

impl Loader {
    fn load_dir(&self, dir: &Path, plugins: &mut Plugins) {
        let folders = match plugin_folders(dir) {
            Ok(folders) => folders,
            Err(error) => {
                let sentence = format!(
                    "the plugin folder {} cannot be read ({error}); create it, or correct `plugins` in roughneck.toml",
                    dir.display()
                );
                plugins.refuse(refusal(dir, Refused::new("folder-missing", sentence)));
                return;
            }
        };
        for folder in folders {
            let admitted = self.load_plugin(&folder).and_then(|ready| plugins.admit(ready));
            if let Err(refused) = admitted {
                plugins.refuse(refusal(&folder, refused));
            }
        }
    }

    fn load_plugin(&self, folder: &Path) -> Result<Ready, Refused> {
        let started = Instant::now();
        let text = read_manifest(folder)?;
        let manifest =
            manifest::parse(&text).map_err(|error| Refused::because("manifest-invalid", &error))?;
        if self.host_plugins.contains(&manifest.name) {
            let sentence =
                format!("the host itself has a plugin named `{}`; rename this one", manifest.name);
            return Err(Refused::new("plugin-twice", sentence));
        }
        check_classes(&manifest, &self.classes)?;
        let granted = self.grants.get(&manifest.name).cloned().unwrap_or_default();
        grant::check(&manifest.name, &manifest.capabilities, &granted)
            .map_err(|error| Refused::because("not-granted", &error))?;
        let compiled = compile(&folder.join(&manifest.source), &self.engine, self.cache.as_ref())?;
        let pre = self.link(&compiled, &manifest)?;
        self.metrics.plugin_loaded(started.elapsed(), compiled.compile_time);
        tracing::info!(
            plugin = manifest.name,
            version = manifest.version,
            digest = compiled.digest_hex,
            "plugin {} {} loaded in {} ms",
            manifest.name,
            manifest.version,
            started.elapsed().as_millis(),
        );
        let digest = format!("sha256:{}", compiled.digest_hex);
        let plugin = Arc::new(Plugin { digest, manifest });
        Ok(Ready { plugin, pre, grant: Arc::new(granted) })
    }

    /// The gate of the binary, then linking: everything a run needs but its store.
    fn link(&self, compiled: &Compiled, manifest: &Manifest) -> Result<JobAllPre<Guest>, Refused> {
        let component = compiled.component.component_type();
        gates::check_exports(component.exports(&self.engine).map(|(name, _)| name))?;
        let imports = component.imports(&self.engine);
        gates::check_imports(imports.map(|(name, _)| name), &manifest.capabilities)?;
        let linked = self.linker.instantiate_pre(&compiled.component).and_then(JobAllPre::new);
        linked.map_err(|error| {
            let why = roughneck_capabilities::clip(&format!("{error:#}"), 500);
            Refused::new(
                "contract-mismatch",
                format!("the component does not fit the contract ({why}); build it against this host's wit/"),
            )
        })
    }

    fn forget_others(&self, plugins: &Plugins) {
        let Some(cache) = &self.cache else { return };
        if let Err(error) = cache.keep_only(&plugins.digests_hex()) {
            tracing::warn!(%error, "compiled code of former plugins cannot be removed");
        }
    }
}

/// The folder itself if it is a plugin, and what is meant to be one in it, by name.
fn plugin_folders(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let is_plugin = dir.join(MANIFEST).is_file();
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_meant = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => path.join(MANIFEST).is_file() || has_component(&path),
            // Its own component.
            Ok(_) => !is_plugin && is_component(&path),
            // A link that leads nowhere.
            Err(_) => true,
        };
        if is_meant {
            folders.push(path);
        }
    }
    if is_plugin {
        folders.push(dir.to_path_buf());
    }
    folders.sort();
    Ok(folders)
}

/// Whether a component lies in it. A folder that cannot be read, such as `lost+found`, was meant for others.
fn has_component(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| is_component(&entry.path()))
}

fn is_component(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wasm")
}

fn check_classes(manifest: &Manifest, classes: &BTreeSet<Class>) -> Result<(), Refused> {
    let Some(kind) = manifest.kinds.iter().find(|kind| !classes.contains(&kind.class)) else {
        return Ok(());
    };
    let (name, class) = (&kind.name, &kind.class);
    let there: Vec<&str> = classes.iter().map(|class| class.0.as_str()).collect();
    let sentence = format!(
        "the class `{class}` of the kind {name} has no slots: add `{class} = 1` under [classes] in roughneck.toml, or name one that has some ({})",
        there.join(", ")
    );
    Err(Refused::new("class-missing", sentence))
}

fn read_manifest(folder: &Path) -> Result<String, Refused> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        let sentence = format!(
            "it has no {MANIFEST}: a plugin is a folder with one and with its component; mend {}, or remove it",
            folder.display()
        );
        return Err(Refused::new("manifest-missing", sentence));
    }
    let refused =
        |why: String| Refused::new("manifest-invalid", format!("{MANIFEST} cannot be read: {why}"));
    let text = read(&path, MANIFEST_BYTES_MAX).map_err(|error| refused(error.to_string()))?;
    String::from_utf8(text).map_err(|error| refused(error.utf8_error().to_string()))
}

fn refusal(folder: &Path, refused: Refused) -> RefusedPlugin {
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    RefusedPlugin { name, code: refused.code, message: refused.message }
}
