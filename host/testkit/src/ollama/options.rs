//! The `options` of a request, as far as they change what the simulator does.

use serde_json::{Map, Value};

use super::config::Model;
use super::wire::Refusal;

/// Options that load a model differently or shape the answer. Unknown ones are ignored, as upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) num_ctx: Option<u64>,
    pub(super) num_batch: Option<i64>,
    pub(super) num_gpu: Option<i64>,
    pub(super) main_gpu: Option<i64>,
    pub(super) num_thread: Option<i64>,
    pub(super) use_mmap: Option<bool>,
    pub(super) draft_num_predict: Option<i64>,
    /// Most tokens to generate. None, and anything not positive, is without limit.
    pub(super) num_predict: Option<u64>,
    /// The answer ends before the first of these.
    pub(super) stop: Vec<String>,
}

const INTEGERS: &[&str] = &["num_keep", "seed", "top_k", "repeat_last_n"];
const FLOATS: &[&str] = &[
    "temperature",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
];

impl Options {
    /// The options of a request over the parameters of its model. Null is absent, as in Go.
    pub(super) fn over(model: &Model, asked: Option<&Map<String, Value>>) -> Result<Self, Refusal> {
        let mut all = model.parameters.clone();
        let asked = asked.into_iter().flatten().filter(|(_, value)| !value.is_null());
        all.extend(asked.map(|(name, value)| (name.clone(), value.clone())));
        Self::parse(&all)
    }

    /// Reads the object of a request; the wrong type of a known option is a 500, as upstream.
    fn parse(map: &Map<String, Value>) -> Result<Self, Refusal> {
        for name in INTEGERS {
            integer(map, name)?;
        }
        for name in FLOATS {
            let fits = map.get(*name).is_none_or(|v| v.is_null() || v.is_number());
            require(fits, name, "float32")?;
        }
        Ok(Self {
            // Less than any model takes is the least that Ollama gives.
            num_ctx: integer(map, "num_ctx")?.map(|tokens| u64::try_from(tokens).unwrap_or(0)),
            num_batch: integer(map, "num_batch")?,
            num_gpu: integer(map, "num_gpu")?,
            main_gpu: integer(map, "main_gpu")?,
            num_thread: integer(map, "num_thread")?,
            use_mmap: boolean(map, "use_mmap")?,
            draft_num_predict: integer(map, "draft_num_predict")?,
            num_predict: positive(integer(map, "num_predict")?),
            stop: strings(map, "stop")?,
        })
    }
}

fn require(fits: bool, name: &str, kind: &str) -> Result<(), Refusal> {
    if fits {
        return Ok(());
    }
    Err(Refusal::new(500, format!("option {name:?} must be of type {kind}")))
}

fn positive(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}

fn integer(map: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = map.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    // Go reads every JSON number as a float and cuts the fraction off.
    let number = value.as_i64().or_else(|| value.as_f64().map(|number| number as i64));
    require(number.is_some(), name, "integer")?;
    Ok(number)
}

fn boolean(map: &Map<String, Value>, name: &str) -> Result<Option<bool>, Refusal> {
    let Some(value) = map.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    require(value.is_boolean(), name, "boolean")?;
    Ok(value.as_bool())
}

fn strings(map: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let Some(value) = map.get(name).filter(|value| !value.is_null()) else {
        return Ok(Vec::new());
    };
    let items = value.as_array().map(Vec::as_slice);
    require(items.is_some(), name, "array")?;
    items
        .unwrap_or_default()
        .iter()
        .map(|item| {
            require(item.is_string(), name, "array of strings")?;
            Ok(item.as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(options: &Value) -> Result<Options, Refusal> {
        Options::parse(options.as_object().unwrap())
    }

    #[test]
    fn known_options_are_read_and_unknown_ones_ignored() {
        let options =
            parse(&json!({"num_ctx": 8192.0, "num_predict": -1, "stop": ["x"], "made_up": {}}));
        let expected =
            Options { num_ctx: Some(8192), stop: vec!["x".to_owned()], ..Options::default() };
        assert_eq!(options, Ok(expected));
    }

    #[test]
    fn the_wrong_type_is_named_as_upstream_names_it() {
        let table = [
            (json!({"num_ctx": "8192"}), r#"option "num_ctx" must be of type integer"#),
            (json!({"temperature": "hot"}), r#"option "temperature" must be of type float32"#),
            (json!({"use_mmap": 1}), r#"option "use_mmap" must be of type boolean"#),
            (json!({"stop": "x"}), r#"option "stop" must be of type array"#),
        ];
        for (options, expected) in table {
            assert_eq!(parse(&options), Err(Refusal::new(500, expected)));
        }
    }
}
