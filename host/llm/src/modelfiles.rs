//! What is known of how the installed models are made. It is asked for behind every look at what is installed, never by a
//! call: one that comes before is told by the digest of its model, and at worst asks for a load that was not needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use roughneck_jobs::model::{LlmError, Site};
use tokio::time::Instant;

use crate::{
    client::Client,
    lane::Shared,
    modelfile::Modelfile,
    report::{self, Installed},
    stand_in,
};

/// So many are asked for at once: for each of them Ollama reads the head of a file.
const AT_ONCE: usize = 4;

/// So many are kept. All others count as models of their own, as they would if Ollama did not show them.
const KNOWN_MAX: usize = 10_000;

/// Modelfiles by the digests of their models: what is made anew has another one.
#[derive(Debug)]
pub(crate) struct Modelfiles {
    known: Mutex<Known>,
    /// One that was not shown is asked for again so much later at the earliest: there may be a look every second.
    again_after: Duration,
}

#[derive(Debug, Default)]
struct Known {
    modelfiles: BTreeMap<String, Arc<Modelfile>>,
    /// Those of the models that are loaded. One that was made anew has the old one's runner until that expires, and what
    /// shares its weights still does.
    loaded: BTreeSet<String>,
    /// Those that were not shown, of which the operator has been told, with when they were last asked for.
    hidden: BTreeMap<String, Option<Instant>>,
}

/// Looks after them whenever it is known anew what is installed, until it is dropped.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut looks = shared.inventory.looks();
    loop {
        shared.inventory.learn().await;
        looks.next().await;
    }
}

impl Modelfiles {
    pub(crate) fn new(again_after: Duration) -> Self {
        Self { known: Mutex::default(), again_after }
    }

    /// How the model with this digest is made, if that is known.
    pub(crate) fn get(&self, digest: &str) -> Option<Arc<Modelfile>> {
        self.lock().modelfiles.get(digest).cloned()
    }

    /// These models are loaded, and no others.
    pub(crate) fn are_loaded(&self, digests: BTreeSet<String>) {
        self.lock().loaded = digests;
    }

    /// Forgets the models that are neither installed nor loaded any more, and asks for those that are not known. Who fails is asked for again
    /// after a while.
    pub(crate) async fn learn(&self, client: &Client, models: &[Installed]) {
        let unknown = self.unknown(models);
        let mut answers = stream::iter(unknown)
            .map(|(digest, name)| async move {
                let shown = report::show(client, &name).await;
                (digest, name, shown.map(|shown| Modelfile::read(&shown)))
            })
            .buffer_unordered(AT_ONCE);
        let mut unheard = 0;
        while let Some((digest, name, answer)) = answers.next().await {
            match answer {
                Ok(Some(modelfile)) => {
                    let mut known = self.lock();
                    known.hidden.remove(&digest);
                    known.modelfiles.insert(digest, Arc::new(modelfile));
                }
                Ok(None) => self.tell(digest, &name, "it does not name the files of its weights"),
                Err(error @ LlmError::Refused { .. }) => {
                    self.tell(digest, &name, &error.to_string());
                }
                Err(error) => {
                    self.tell(digest, &name, &error.to_string());
                    unheard += 1;
                    if unheard == AT_ONCE {
                        // The others would wait in vain as well.
                        return;
                    }
                }
            }
        }
    }

    /// An Ollama that was away is there: it may be another one, and show what was not shown before.
    pub(crate) fn ask_anew(&self) {
        self.lock().hidden.values_mut().for_each(|asked_at| *asked_at = None);
    }

    /// Digests that are to be asked for, with a name for each. What stands in for a model is made as the model is, and what runs
    /// elsewhere is nothing of this machine.
    fn unknown(&self, models: &[Installed]) -> BTreeMap<String, String> {
        let is_asked_for = |model: &&Installed| {
            !(model.digest.is_empty()
                || model.site() == Site::Cloud
                || stand_in::name::is_one(&model.name))
        };
        let asked_for = models.iter().filter(is_asked_for).take(KNOWN_MAX);
        let mut wanted: BTreeMap<String, String> =
            asked_for.map(|model| (model.digest.clone(), model.name.clone())).collect();
        let mut known = self.lock();
        let Known { modelfiles, loaded, hidden } = &mut *known;
        modelfiles.retain(|digest, _| wanted.contains_key(digest) || loaded.contains(digest));
        hidden.retain(|digest, _| wanted.contains_key(digest));
        let is_due = |asked_at: Option<Instant>| {
            asked_at.is_none_or(|asked_at| asked_at.elapsed() >= self.again_after)
        };
        wanted.retain(|digest, _| {
            !modelfiles.contains_key(digest)
                && hidden.get(digest).is_none_or(|asked_at| is_due(*asked_at))
        });
        wanted
    }

    /// Says once for each model that it is not shown.
    fn tell(&self, digest: String, model: &str, why: &str) {
        let told = self.lock().hidden.insert(digest, Some(Instant::now()));
        if told.is_none() {
            tracing::warn!(
                model,
                "Ollama does not show how the model `{model}` is made, so it counts as another one than those whose weights \
                 it may share: {why}"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use roughneck_testkit::ollama::{Config as Simulated, FakeOllama};
    use serde_json::{Value, json};

    use super::*;
    use crate::{config::Config, report::installed};

    struct Library {
        ollama: FakeOllama,
        client: Client,
        known: Modelfiles,
    }

    impl Library {
        async fn open() -> Self {
            Self::asked_again_after(Duration::ZERO).await
        }

        async fn asked_again_after(again_after: Duration) -> Self {
            let ollama = FakeOllama::start(Simulated::instant()).await.unwrap();
            let client = Client::new(&Config::new(ollama.url())).unwrap();
            Self { ollama, client, known: Modelfiles::new(again_after) }
        }

        async fn learn(&self, models: Value) {
            self.known.learn(&self.client, &installed(models)).await;
        }

        /// The models that were asked for since the last time.
        fn asked(&self, before: usize) -> Vec<String> {
            let bodies = self.ollama.log().into_iter().skip(before).map(|asked| asked.body);
            let name = |body: Bytes| {
                let body: Value = serde_json::from_slice(&body).unwrap();
                body["model"].as_str().unwrap().to_owned()
            };
            let mut names: Vec<String> = bodies.map(name).collect();
            names.sort();
            names
        }
    }

    #[tokio::test]
    async fn each_model_is_asked_for_once_and_forgotten_with_its_last_name() {
        let library = Library::open().await;
        let (qwen, llama) = ("qwen3:4b", "llama3.2:3b");
        let models = json!([
            {"name": qwen, "digest": "q"},
            {"name": "copy", "digest": "q"},
            {"name": llama, "digest": "l"},
            {"name": "big:cloud", "digest": "c"},
            {"name": "nameless"},
            {"name": "roughneck/qwen3:4b-ctx8-365c0bd3c000-01f3a9c2", "digest": "365c0bd3c000"},
        ]);
        // One of two names of the same.
        library.learn(json!([{"name": qwen, "digest": "q"}])).await;
        library.learn(models.clone()).await;
        library.learn(models).await;
        assert_eq!(library.asked(0), [llama, qwen]);
        assert!(library.known.get("q").is_some_and(|made| made.weights.is_some()));
        library.learn(json!([{"name": llama, "digest": "l"}])).await;
        assert!(library.known.get("q").is_none());
        library.learn(json!([{"name": qwen, "digest": "q"}])).await;
        assert_eq!(library.asked(2), [qwen]);
    }

    #[tokio::test]
    async fn one_that_is_loaded_is_known_until_it_is_not() {
        let library = Library::open().await;
        let (old, new) = ("qwen3:4b", json!([{"name": "qwen3:4b", "digest": "new"}]));
        library.learn(json!([{"name": old, "digest": "old"}])).await;
        library.known.are_loaded(BTreeSet::from(["old".to_owned()]));
        library.learn(new.clone()).await;
        assert!(library.known.get("old").is_some() && library.known.get("new").is_some());
        library.known.are_loaded(BTreeSet::new());
        library.learn(new).await;
        assert!(library.known.get("old").is_none());
    }

    #[tokio::test]
    async fn one_that_is_not_shown_keeps_no_other_from_it_and_is_asked_for_again() {
        let library = Library::open().await;
        let models = json!([
            {"name": "gone", "digest": "g"},
            {"name": "qwen3:4b", "digest": "q"},
        ]);
        library.learn(models.clone()).await;
        assert!(library.known.get("g").is_none() && library.known.get("q").is_some());
        library.learn(models).await;
        assert_eq!(library.asked(0), ["gone", "gone", "qwen3:4b"]);
    }

    #[tokio::test]
    async fn one_that_is_not_shown_is_asked_for_again_after_a_while_or_when_ollama_is_back() {
        let library = Library::asked_again_after(Duration::from_secs(3600)).await;
        let gone = json!([{"name": "gone", "digest": "g"}]);
        for _ in 0..3 {
            library.learn(gone.clone()).await;
        }
        assert_eq!(library.asked(0), ["gone"]);
        library.known.ask_anew();
        library.learn(gone).await;
        assert_eq!(library.asked(1), ["gone"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ollama_that_says_nothing_is_not_asked_for_all_of_them() {
        let library = Library::open().await;
        library.ollama.faults().hang(true);
        let models =
            (0..40).map(|number| json!({"name": number.to_string(), "digest": number.to_string()}));
        library.learn(models.collect()).await;
        assert_eq!(library.known.lock().hidden.len(), AT_ONCE);
    }
}
