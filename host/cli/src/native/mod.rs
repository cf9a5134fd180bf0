//! Native kinds: Rust code of the host that runs jobs as a plugin does, without a sandbox.
//!
//! [`Kinds`] stands in front of the sandbox: it answers for the native kinds itself and hands every
//! other one on. To add one, write its manifest and its [`Runner`] in a file here.

pub(crate) mod bench;
pub(crate) mod ollama_call;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use roughneck_jobs::{
    manifest::{self, ManifestError},
    ports::{
        catalog::{Catalog, Plugin, RefusedPlugin, Served},
        runner::{Assignment, Outcome, Runner, Supervisor},
    },
};

/// A plugin that is Rust code of the host.
pub(crate) struct Native {
    plugin: Arc<Plugin>,
    runner: Arc<dyn Runner>,
}

impl Native {
    /// A native plugin with this manifest. It has no component, so its identity is its name and version.
    ///
    /// # Errors
    /// [`ManifestError`], which is a mistake in the host's own code.
    pub(crate) fn new(manifest: &str, runner: Arc<dyn Runner>) -> Result<Self, ManifestError> {
        let manifest = manifest::parse(manifest)?;
        let digest = format!("native:{}@{}", manifest.name, manifest.version);
        Ok(Self { plugin: Arc::new(Plugin { digest, manifest }), runner })
    }
}

/// All kinds of this host: the native ones, and behind them those of the sandbox.
pub(crate) struct Kinds<P> {
    natives: Vec<Native>,
    /// The native kinds, by name and alias.
    kinds: HashMap<String, Arc<Served>>,
    plugins: Arc<P>,
}

/// The names of these plugins: the sandbox must leave them to the host.
pub(crate) fn plugin_names(natives: &[Native]) -> BTreeSet<String> {
    natives.iter().map(|native| native.plugin.manifest.name.clone()).collect()
}

/// The names and aliases of their kinds, which the sandbox must leave to the host as well.
pub(crate) fn kind_names(natives: &[Native]) -> BTreeSet<String> {
    let kinds = natives.iter().flat_map(|native| &native.plugin.manifest.kinds);
    kinds.flat_map(|kind| kind.aliases.iter().chain([&kind.name])).cloned().collect()
}

impl<P> Kinds<P> {
    /// The sandbox has no kind of one of their [`kind_names`].
    pub(crate) fn new(natives: Vec<Native>, plugins: Arc<P>) -> Self {
        let mut kinds = HashMap::new();
        for Native { plugin, .. } in &natives {
            for kind in &plugin.manifest.kinds {
                let served = Arc::new(Served { plugin: Arc::clone(plugin), kind: kind.clone() });
                for name in kind.aliases.iter().chain([&kind.name]) {
                    kinds.insert(name.clone(), Arc::clone(&served));
                }
            }
        }
        Self { natives, kinds, plugins }
    }
}

impl<P: Runner> Kinds<P> {
    /// Who runs the kinds of the plugin.
    fn runner(&self, plugin: &Plugin) -> &dyn Runner {
        let native = self.natives.iter().find(|native| native.plugin.digest == plugin.digest);
        native.map_or(&*self.plugins as &dyn Runner, |native| &*native.runner)
    }
}

impl<P: Catalog> Catalog for Kinds<P> {
    fn served(&self, kind: &str) -> Option<Arc<Served>> {
        self.kinds.get(kind).cloned().or_else(|| self.plugins.served(kind))
    }

    fn plugins(&self) -> Vec<Arc<Plugin>> {
        let mut plugins = self.plugins.plugins();
        plugins.extend(self.natives.iter().map(|native| Arc::clone(&native.plugin)));
        plugins.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
        plugins
    }

    fn refused(&self) -> Vec<RefusedPlugin> {
        self.plugins.refused()
    }
}

#[async_trait]
impl<P: Runner> Runner for Kinds<P> {
    async fn run(&self, assignment: Assignment, supervisor: Arc<dyn Supervisor>) -> Outcome {
        let plugin = Arc::clone(&assignment.served.plugin);
        self.runner(&plugin).run(assignment, supervisor).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sandbox with one plugin.
    struct Sandbox(Arc<Plugin>);

    impl Catalog for Sandbox {
        fn served(&self, kind: &str) -> Option<Arc<Served>> {
            let mut kinds = self.0.manifest.kinds.iter();
            let kind = kinds.find(|known| known.name == kind)?.clone();
            Some(Arc::new(Served { plugin: Arc::clone(&self.0), kind }))
        }

        fn plugins(&self) -> Vec<Arc<Plugin>> {
            vec![Arc::clone(&self.0)]
        }

        fn refused(&self) -> Vec<RefusedPlugin> {
            Vec::new()
        }
    }

    #[async_trait]
    impl Runner for Sandbox {
        async fn run(&self, _: Assignment, _: Arc<dyn Supervisor>) -> Outcome {
            Outcome::Done { output: "\"sandbox\"".to_owned() }
        }
    }

    fn manifest(name: &str, kinds: &[&str]) -> String {
        let mut text = format!(
            "manifest = 1\n[plugin]\nname = \"{name}\"\nversion = \"1.0.0\"\n\
             world = \"roughneck:plugin/job-pure@1.0.0\"\n[component]\nsource = \"{name}.wasm\"\n"
        );
        for kind in kinds {
            text.push_str(&format!("[[kind]]\nname = \"{kind}\"\nclass = \"io\"\n"));
        }
        text
    }

    fn plugin(name: &str, kinds: &[&str]) -> Arc<Plugin> {
        let manifest = manifest::parse(&manifest(name, kinds)).unwrap();
        Arc::new(Plugin { digest: format!("sha256:{name}"), manifest })
    }

    #[test]
    fn a_native_kind_is_run_here_and_every_other_one_by_the_sandbox() {
        let sandbox = Arc::new(Sandbox(plugin("mill", &["grind"])));
        let own: Arc<dyn Runner> = Arc::new(Sandbox(plugin("nothing", &["rest"])));
        let native = Native::new(&manifest("own", &["sift", "stamp"]), Arc::clone(&own)).unwrap();
        assert!(kind_names(std::slice::from_ref(&native)).iter().eq(["sift", "stamp"]));
        let kinds = Kinds::new(vec![native], Arc::clone(&sandbox));
        let runs = |kind: &str, runner: &dyn Runner| {
            let served = kinds.served(kind).unwrap();
            std::ptr::addr_eq(kinds.runner(&served.plugin), runner)
        };
        assert!(runs("grind", &*sandbox));
        assert!(runs("stamp", &*own));
        assert!(kinds.served("sing").is_none());
    }

    #[test]
    fn native_plugins_are_listed_among_the_others() {
        let native = Native::new(
            &manifest("loom", &["weave"]),
            Arc::new(Sandbox(plugin("nothing", &["rest"]))),
        );
        let sandbox = Arc::new(Sandbox(plugin("mill", &["grind"])));
        let kinds = Kinds::new(vec![native.unwrap()], sandbox);
        let names: Vec<String> =
            kinds.plugins().iter().map(|plugin| plugin.manifest.name.clone()).collect();
        assert_eq!(names, ["loom", "mill"]);
    }
}
