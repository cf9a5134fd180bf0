//! What Ollama would keep loaded: the weights and what else forces a reload (OLLAMA.md §3).
//!
//! Not the model: Ollama knows a runner by the file of its weights (`schedulerModelKey` in its `server/sched.go`), so a copy,
//! and a model that is made of another with words or parameters for sampling, share that one's runner.

use std::{collections::BTreeMap, fmt};

use roughneck_jobs::model::Resolved;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    model_id::ModelId,
    modelfile::{Modelfile, whole},
    option::NUM_CTX,
    report::Loaded,
};

/// The options that Ollama reloads a model for, read in its source (`needsReload`, OLLAMA.md §3).
/// All others only shape one answer.
const RUNNER_OPTIONS: [&str; 7] =
    ["draft_num_predict", "main_gpu", "num_batch", NUM_CTX, NUM_GPU, "num_thread", "use_mmap"];
const NUM_GPU: &str = "num_gpu";

/// Two calls whose keys ask for the same share one loaded model. Shown as canonical JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RunnerKey {
    model: ModelId,
    /// Those of the request over the parameters of its model.
    options: BTreeMap<String, Value>,
    /// Whether a full context is to drop its oldest tokens, if that is not what the model does anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<bool>,
}

impl RunnerKey {
    /// The key of a request with these options to a model, of which `modelfile` is what is known.
    pub(crate) fn of(
        model: &Resolved,
        modelfile: Option<&Modelfile>,
        options: &Map<String, Value>,
        shift: Option<bool>,
    ) -> Self {
        let unknown = Modelfile::default();
        let made = modelfile.unwrap_or(&unknown);
        let model = ModelId::of(model, made.weights.as_deref());
        if made.is_mlx {
            return Self { model, ..Self::default() };
        }
        let shift = shift.filter(|shift| *shift == made.stands_still);
        Self { model, options: runner_options(made, options), shift }
    }

    /// The model, whatever its options.
    pub(crate) fn model(&self) -> &ModelId {
        &self.model
    }

    /// The options, for the request that loads the model.
    pub(crate) fn options(&self) -> &BTreeMap<String, Value> {
        &self.options
    }

    /// The field beside them, for the same request.
    pub(crate) fn shift(&self) -> Option<bool> {
        self.shift
    }

    /// Whether both are served by the same weights, whatever their options.
    pub(crate) fn has_model_of(&self, other: &Self) -> bool {
        self.model.is_same(&other.model)
    }

    /// Whether both ask the same of the same weights.
    pub(crate) fn asks_as(&self, other: &Self) -> bool {
        self.has_model_of(other) && self.options == other.options && self.shift == other.shift
    }

    /// Whether `loaded` are these weights, under whichever name.
    pub(crate) fn is_model(&self, loaded: &Loaded) -> bool {
        self.has_model_of(&loaded.key)
    }

    /// Whether a runner of this model that was loaded for the key `loaded`, and has so much context as far as it was seen,
    /// serves this one as well. That is one-sided: who leaves the context to Ollama is not served by a runner that was
    /// loaded with one, but who names a context is by whatever has it. Who names no layers on the GPU takes any.
    pub(crate) fn fits(&self, loaded: &Self, context: Option<u64>) -> bool {
        let fits = |name: &&str| match (*name, self.options.get(*name)) {
            (NUM_GPU, None) => true,
            (NUM_CTX, Some(wanted)) if context.is_some() => wanted.as_u64() == context,
            (_, wanted) => wanted == loaded.options.get(*name),
        };
        self.shift == loaded.shift && RUNNER_OPTIONS.iter().all(fits)
    }

    /// Whether a model that somebody else loaded will do. It is taken to be loaded with the parameters of the model by whose
    /// name it is listed. With any other option the answer is no, and a load that was not needed costs milliseconds.
    pub(crate) fn is_served_by(&self, loaded: &Loaded) -> bool {
        self.is_model(loaded) && self.fits(&loaded.key, loaded.context_length)
    }

    /// The context that it names.
    pub(crate) fn num_ctx(&self) -> Option<u64> {
        self.options.get(NUM_CTX)?.as_u64()
    }

    /// The same with the context that was seen, if one was.
    pub(crate) fn with_context(mut self, context: Option<u64>) -> Self {
        if let Some(tokens) = context {
            self.options.insert(NUM_CTX.to_owned(), tokens.into());
        }
        self
    }
}

impl fmt::Display for RunnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

fn runner_options(made: &Modelfile, asked: &Map<String, Value>) -> BTreeMap<String, Value> {
    let effective = |name: &str| {
        // Null is absent.
        let named = |options: &Map<String, Value>| {
            options.get(name).filter(|value| !value.is_null()).map(whole)
        };
        let value = named(asked).or_else(|| named(&made.parameters))?;
        Some(match (name, value.as_i64()) {
            (NUM_CTX, Some(tokens)) => made.context_of(tokens).into(),
            _ => value,
        })
    };
    RUNNER_OPTIONS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), effective(name)?)))
        .filter(|(name, value)| !is_indifferent(name, value))
        .collect()
}

/// A negative `num_gpu` leaves the choice to Ollama.
fn is_indifferent(name: &str, value: &Value) -> bool {
    name == NUM_GPU && value.as_i64().is_some_and(|layers| layers < 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report, resolve};
    use serde_json::json;

    fn map(options: &Value) -> Map<String, Value> {
        options.as_object().unwrap().clone()
    }

    fn key(name: &str, digest: &str, options: &Value) -> RunnerKey {
        RunnerKey::of(&resolve::named(name, digest), None, &map(options), None)
    }

    /// A model that is made of weights with these parameters.
    fn made(weights: &str, parameters: &Value) -> Modelfile {
        let parameters = map(parameters);
        Modelfile { weights: Some(weights.to_owned()), parameters, ..Modelfile::default() }
    }

    fn key_of(name: &str, modelfile: &Modelfile, options: &Value) -> RunnerKey {
        RunnerKey::of(&resolve::named(name, name), Some(modelfile), &map(options), None)
    }

    #[test]
    fn only_what_forces_a_reload_tells_keys_apart() {
        let plain = key("m:latest", "d", &json!({}));
        for same in [
            json!({"temperature": 0.3, "seed": 1, "num_predict": 9, "stop": ["x"]}),
            json!({"num_gpu": -1, "num_ctx": null}),
        ] {
            assert!(key("alias", "d", &same).asks_as(&plain), "{same}");
        }
        for other in [json!({"num_ctx": 8192}), json!({"use_mmap": false}), json!({"num_gpu": 0})] {
            assert!(!key("m:latest", "d", &other).asks_as(&plain), "{other}");
        }
        assert!(!key("m:latest", "e", &json!({})).asks_as(&plain));
        assert!(key("M", "", &json!({})).asks_as(&key("m:latest", "", &json!({}))));
    }

    #[test]
    fn models_of_the_same_weights_are_one_and_what_they_set_is_as_if_it_were_asked_for() {
        let plain = made("w", &json!({}));
        let (nothing, wide) = (json!({}), json!({"num_ctx": 8192}));
        let base = key_of("base", &plain, &nothing);
        let copy = key_of("copy", &made("w", &json!({"temperature": 0.5})), &nothing);
        assert!(copy.asks_as(&base));
        let anew = RunnerKey::of(
            &resolve::named("base", "b"),
            Some(&made("v", &json!({}))),
            &map(&nothing),
            None,
        );
        assert!(!anew.has_model_of(&base), "it was pulled anew");
        let roomy = made("w", &json!({"num_ctx": 8192.0, "num_gpu": 20}));
        for (options, same) in [
            (json!({}), json!({"num_ctx": 8192, "num_gpu": 20})),
            (json!({"num_ctx": 8192}), json!({"num_ctx": 8192, "num_gpu": 20})),
            (json!({"num_ctx": null}), json!({"num_ctx": 8192, "num_gpu": 20})),
            (json!({"num_ctx": 2048, "num_gpu": -1}), json!({"num_ctx": 2048})),
        ] {
            let (own, same) = (key_of("roomy", &roomy, &options), key_of("base", &plain, &same));
            assert!(own.asks_as(&same), "{options}");
        }
        assert!(key_of("roomy", &roomy, &nothing).has_model_of(&base));
        assert!(!key_of("base", &plain, &wide).asks_as(&base));
    }

    #[test]
    fn what_a_request_is_given_tells_keys_apart_and_not_what_it_asks_for() {
        let modelfile = Modelfile { context_max: Some(2048), ..made("w", &json!({})) };
        let of = |num_ctx| key_of("m", &modelfile, &json!({"num_ctx": num_ctx}));
        assert!(of(99_999).asks_as(&of(2048)));
        assert!(of(0).asks_as(&of(4)));
        assert!(!of(1024).asks_as(&of(2048)));
    }

    #[test]
    fn a_shift_counts_where_it_is_not_what_the_model_does_anyway() {
        let shifted = |modelfile: &Modelfile, shift| {
            RunnerKey::of(&resolve::named("m", "d"), Some(modelfile), &Map::new(), shift).shift()
        };
        let plain = made("w", &json!({}));
        let still = Modelfile { stands_still: true, ..plain.clone() };
        let mlx = Modelfile { is_mlx: true, ..Modelfile::default() };
        for (modelfile, counts) in [
            (&plain, [None, None, Some(false)]),
            (&still, [None, Some(true), None]),
            (&mlx, [None, None, None]),
        ] {
            assert_eq!([None, Some(true), Some(false)].map(|it| shifted(modelfile, it)), counts);
        }
    }

    #[test]
    fn mlx_keeps_a_model_whatever_its_options_are() {
        let parameters = map(&json!({"num_ctx": 8192}));
        let mlx = Modelfile { is_mlx: true, parameters, ..Modelfile::default() };
        let plain = key_of("m", &mlx, &json!({}));
        assert!(key_of("m", &mlx, &json!({"num_ctx": 4096, "num_thread": 2})).asks_as(&plain));
        assert_eq!(plain.to_string(), r#"{"model":"m","options":{}}"#, "by its digest");
    }

    #[test]
    fn a_key_is_shown_as_canonical_json() {
        let options = json!({"num_thread": 4, "num_ctx": 8192.5, "top_k": 1});
        let shown = r#"{"model":"d","options":{"num_ctx":8192,"num_thread":4}}"#;
        assert_eq!(key("m", "d", &options).to_string(), shown);
        let shifted = RunnerKey::of(&resolve::named("m", "d"), None, &Map::new(), Some(false));
        assert_eq!(shifted.to_string(), r#"{"model":"d","options":{},"shift":false}"#);
    }

    #[test]
    fn a_model_somebody_else_loaded_serves_only_what_is_known_of_it() {
        let loaded = report::loaded("m:latest", "d", Some(4096));
        for (options, serves) in [
            (json!({}), true),
            (json!({"num_ctx": 4096}), true),
            (json!({"num_ctx": 8192}), false),
            (json!({"num_ctx": 4096, "num_thread": 2}), false),
        ] {
            assert_eq!(key("m", "d", &options).is_served_by(&loaded), serves, "{options}");
        }
        assert!(!key("m", "e", &json!({})).is_served_by(&loaded));
        assert!(key("m", "", &json!({})).is_served_by(&loaded));
        let shifted = RunnerKey::of(&resolve::named("m", "d"), None, &Map::new(), Some(false));
        assert!(!shifted.is_served_by(&loaded));
    }

    #[test]
    fn a_model_that_was_loaded_by_another_name_serves_what_its_own_parameters_do() {
        let roomy = made("w", &json!({"num_ctx": 8192, "num_thread": 2}));
        let loaded = |context| Loaded {
            key: key_of("roomy", &roomy, &json!({})),
            ..report::loaded("roomy:latest", "r", Some(context))
        };
        let base = made("w", &json!({}));
        let key = |options: &Value| key_of("base", &base, options);
        let same = json!({"num_ctx": 8192, "num_thread": 2, "num_gpu": -1});
        assert!(key(&same).is_served_by(&loaded(8192)));
        assert!(!key(&same).is_served_by(&loaded(4096)), "somebody named another context");
        assert!(!key(&json!({})).is_served_by(&loaded(8192)), "Ollama would choose one");
        assert!(key(&json!({})).is_model(&loaded(8192)));
        assert!(key_of("roomy", &roomy, &json!({})).is_served_by(&loaded(8192)));
    }

    #[test]
    fn who_names_no_layers_on_the_gpu_takes_any() {
        let (any, twenty) = (key("m", "d", &json!({})), key("m", "d", &json!({"num_gpu": 20})));
        assert!(any.fits(&twenty, None));
        assert!(!twenty.fits(&any, None));
    }
}
