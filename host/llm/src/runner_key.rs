//! What Ollama would keep loaded: the weights and the options that force a reload.

use std::{collections::BTreeMap, fmt};

use roughneck_jobs::model::Resolved;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{model_name::normalised, probe::Loaded};

/// The options that Ollama reloads a model for, read in its source (`needsReload`, OLLAMA.md §3).
/// All others only shape one answer.
const RUNNER_OPTIONS: [&str; 7] =
    ["draft_num_predict", "main_gpu", "num_batch", "num_ctx", "num_gpu", "num_thread", "use_mmap"];

/// Two calls with equal keys share one loaded model. Shown as canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RunnerKey {
    /// The digest, or the normalised name while the inventory does not know one.
    model: String,
    options: BTreeMap<String, Value>,
}

impl RunnerKey {
    pub(crate) fn of(model: &Resolved, options: &Map<String, Value>) -> Self {
        Self {
            model: model.digest.clone().unwrap_or_else(|| normalised(&model.name)),
            options: runner_options(options),
        }
    }

    /// The digest of the model, or its name in its one spelling.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// The options, for the request that loads the model.
    pub(crate) fn options(&self) -> &BTreeMap<String, Value> {
        &self.options
    }

    /// Whether both are served by the same weights, whatever their options.
    pub(crate) fn has_model_of(&self, other: &Self) -> bool {
        self.model == other.model
    }

    /// Whether `loaded` are these weights.
    pub(crate) fn is_model(&self, loaded: &Loaded) -> bool {
        self.model == loaded.digest || self.model == normalised(&loaded.name)
    }

    /// Whether a model that somebody else loaded will do. Only its context is known: with any other
    /// option the answer is no, and a load that was not needed costs milliseconds.
    pub(crate) fn is_served_by(&self, loaded: &Loaded) -> bool {
        let options_fit = self
            .options
            .iter()
            .all(|(name, wanted)| name == "num_ctx" && wanted.as_u64() == loaded.context_length);
        self.is_model(loaded) && options_fit
    }
}

impl fmt::Display for RunnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

fn runner_options(options: &Map<String, Value>) -> BTreeMap<String, Value> {
    RUNNER_OPTIONS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), whole(options.get(*name)?))))
        .filter(|(name, value)| !is_indifferent(name, value))
        .collect()
}

/// Go reads every JSON number as a float: `8192.0` is `8192`.
fn whole(value: &Value) -> Value {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "checked: it has no fraction and fits")]
        Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => (number as i64).into(),
        _ => value.clone(),
    }
}

/// Null is absent, and a negative `num_gpu` leaves the choice to Ollama.
fn is_indifferent(name: &str, value: &Value) -> bool {
    value.is_null() || (name == "num_gpu" && value.as_i64().is_some_and(|layers| layers < 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use roughneck_jobs::model::Site;
    use serde_json::json;

    fn key(name: &str, digest: Option<&str>, options: &Value) -> RunnerKey {
        let model =
            Resolved { name: name.to_owned(), digest: digest.map(str::to_owned), site: Site::Here };
        RunnerKey::of(&model, options.as_object().unwrap())
    }

    #[test]
    fn only_what_forces_a_reload_tells_keys_apart() {
        let plain = key("m:latest", Some("d"), &json!({}));
        for same in [
            json!({"temperature": 0.3, "seed": 1, "num_predict": 9, "stop": ["x"]}),
            json!({"num_gpu": -1, "num_ctx": null}),
        ] {
            assert_eq!(key("alias", Some("d"), &same), plain, "{same}");
        }
        for other in [json!({"num_ctx": 8192}), json!({"use_mmap": false}), json!({"num_gpu": 0})] {
            assert_ne!(key("m:latest", Some("d"), &other), plain, "{other}");
        }
        assert_ne!(key("m:latest", Some("e"), &json!({})), plain);
        assert_eq!(key("M", None, &json!({})), key("m:latest", None, &json!({})));
    }

    #[test]
    fn a_key_is_shown_as_canonical_json() {
        let key = key("m", Some("d"), &json!({"num_thread": 4, "num_ctx": 8192.0, "top_k": 1}));
        let shown = r#"{"model":"d","options":{"num_ctx":8192,"num_thread":4}}"#;
        assert_eq!(key.to_string(), shown);
    }

    #[test]
    fn a_model_somebody_else_loaded_serves_only_what_is_known_of_it() {
        let loaded = Loaded {
            name: "m:latest".to_owned(),
            digest: "d".to_owned(),
            context_length: Some(4096),
        };
        for (options, serves) in [
            (json!({}), true),
            (json!({"num_ctx": 4096}), true),
            (json!({"num_ctx": 8192}), false),
            (json!({"num_ctx": 4096, "num_thread": 2}), false),
        ] {
            assert_eq!(key("m", Some("d"), &options).is_served_by(&loaded), serves, "{options}");
        }
        assert!(!key("m", Some("e"), &json!({})).is_served_by(&loaded));
        assert!(key("m", None, &json!({})).is_served_by(&loaded));
    }
}
