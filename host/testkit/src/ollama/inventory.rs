//! The routes that only look: version, tags, ps, show.

use serde::Serialize;
use serde_json::{Map, Value};

use super::call::required;
use super::config::{Capability, Model, Remote};
use super::request::ShowRequest;
use super::server::{Doing, Server};
use super::wire::{Answer, Refusal, first_value};

/// When every model was "pulled". Fixed, so that answers only change when something did.
const MODIFIED_AT: &str = "2026-01-01T00:00:00Z";
pub(super) const MODIFIED_AT_UNIX_S: i64 = 1_767_225_600;

#[derive(Serialize)]
struct Models<T> {
    models: Vec<T>,
}

#[derive(Serialize)]
struct Details<'a> {
    parent_model: &'static str,
    format: &'static str,
    family: &'a str,
    families: [&'a str; 1],
    parameter_size: &'a str,
    quantization_level: &'a str,
}

#[derive(Serialize)]
struct Tag<'a> {
    name: &'a str,
    model: &'a str,
    #[serde(flatten)]
    remote: Elsewhere<'a>,
    modified_at: &'static str,
    size: u64,
    digest: &'a str,
    details: Details<'a>,
    capabilities: &'a [Capability],
}

#[derive(Serialize)]
struct Running<'a> {
    name: &'a str,
    model: &'a str,
    size: u64,
    digest: &'a str,
    details: Details<'a>,
    expires_at: String,
    size_vram: u64,
    context_length: u64,
}

#[derive(Serialize)]
struct Shown<'a> {
    license: &'static str,
    modelfile: String,
    parameters: String,
    template: &'static str,
    details: Details<'a>,
    model_info: Map<String, Value>,
    capabilities: &'a [Capability],
    modified_at: &'static str,
}

/// The model elsewhere that is meant; nothing if none is.
#[derive(Serialize)]
pub(super) struct Elsewhere<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_host: Option<&'a str>,
}

impl<'a> Elsewhere<'a> {
    pub(super) fn of(remote: Option<&'a Remote>) -> Self {
        Self {
            remote_model: remote.map(|remote| remote.model.as_str()),
            remote_host: remote.map(|remote| remote.host.as_str()),
        }
    }
}

#[derive(Serialize)]
struct Recommendations {
    recommendations: Vec<Recommendation>,
}

/// One of them, fields in Ollama's order. A model of the cloud has limits, one of this machine needs memory.
#[derive(Serialize)]
struct Recommendation {
    model: String,
    description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vram_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Version<'a> {
    version: &'a str,
}

/// Answers `/api/version`.
pub(super) fn version(server: &Server) -> Answer {
    Answer::json(&Version { version: &server.config.version })
}

/// Answers `/api/experimental/model-recommendations`: what the cloud has, and what is installed.
pub(super) fn recommendations(server: &Server) -> Answer {
    let cloud = server.config.cloud.iter().flatten().map(|model| Recommendation {
        model: format!("{}{}cloud", model.name, if model.name.contains(':') { "-" } else { ":" }),
        description: "A simulated model elsewhere",
        context_length: Some(model.context_length),
        max_output_tokens: Some(model.context_length),
        vram_bytes: None,
    });
    let installed = server.shelf.models();
    let here =
        installed.iter().filter(|model| model.remote.is_none()).map(|model| Recommendation {
            model: model.name.clone(),
            description: "A simulated model of this machine",
            context_length: None,
            max_output_tokens: None,
            vram_bytes: Some(model.size_bytes),
        });
    Answer::json(&Recommendations { recommendations: cloud.chain(here).collect() })
}

/// Answers `/api/tags`.
pub(super) fn tags(server: &Server) -> Answer {
    let installed = server.shelf.models();
    let models = installed.iter().map(|model| Tag {
        name: &model.name,
        model: &model.name,
        remote: Elsewhere::of(model.remote.as_ref()),
        modified_at: MODIFIED_AT,
        size: model.size_bytes,
        digest: &model.digest,
        details: details(model),
        capabilities: &model.capabilities,
    });
    Answer::json(&Models { models: models.collect() })
}

/// Answers `/api/ps`.
pub(super) fn ps(server: &Server) -> Answer {
    let resident = server.runner.resident();
    let running = resident.iter().map(|resident| Running {
        name: &resident.model.name,
        model: &resident.model.name,
        size: resident.model.size_bytes,
        digest: &resident.model.digest,
        details: details(&resident.model),
        expires_at: resident.expires_at.to_string(),
        size_vram: resident.model.size_bytes,
        context_length: resident.context_length,
    });
    Answer::json(&Models { models: running.collect() })
}

/// Answers `/api/show`.
pub(super) fn show(server: &Server, body: &[u8]) -> Result<Answer, Refusal> {
    let request: ShowRequest = first_value(body)?;
    let given = |name: &&String| !name.is_empty();
    let name = request.model.as_ref().filter(given).or(request.name.as_ref());
    let name = required(name.map(String::as_str))?;
    if server.faults.forbids_show() {
        return Err(Refusal::new(500, "open /models/blobs/sha256-simulated: permission denied"));
    }
    let missing = Refusal::new(404, format!("model '{name}' not found"));
    let model = server.meant(name, Doing::Details, missing)?;
    Ok(Answer::json(&Shown {
        license: "",
        // The blob is what tells which names share a runner.
        modelfile: format!(
            "# Modelfile generated by \"ollama show\"\n# A simulated model: there are no weights.\n\
             FROM /models/blobs/sha256-{}\nTEMPLATE {{{{ .Prompt }}}}\n{}",
            model.blob,
            parameters(&model, |name, value| {
                let value = value.as_str().map_or_else(|| as_go(value), str::to_owned);
                format!("PARAMETER {name} {value}\n")
            })
        ),
        parameters: parameters(&model, |name, value| format!("{name:<30} {}\n", as_go(value)))
            .trim_end()
            .to_owned(),
        template: "{{ .Prompt }}",
        details: details(&model),
        model_info: model_info(&model),
        capabilities: &model.capabilities,
        modified_at: MODIFIED_AT,
    }))
}

/// A line for every parameter, and for every value of one that has many.
fn parameters(model: &Model, line: impl Fn(&str, &Value) -> String) -> String {
    let lines = model.parameters.iter().flat_map(|(name, value)| {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        values.iter().map(|value| line(name, value))
    });
    lines.collect()
}

/// A value of a parameter as Go writes it. Every number of a model's parameters is a float there, and from a million on they
/// have an exponent.
fn as_go(value: &Value) -> String {
    let Some(number) = value.as_f64() else { return value.to_string() };
    let scientific = format!("{number:e}");
    match scientific.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent))) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => number.to_string(),
    }
}

fn details(model: &Model) -> Details<'_> {
    Details {
        parent_model: "",
        format: "gguf",
        family: &model.family,
        families: [&model.family],
        parameter_size: &model.parameter_size,
        quantization_level: &model.quantization,
    }
}

fn model_info(model: &Model) -> Map<String, Value> {
    let family = &model.family;
    let entries = [
        ("general.architecture".to_owned(), Value::from(family.as_str())),
        (format!("{family}.context_length"), Value::from(model.context_length)),
        (format!("{family}.embedding_length"), Value::from(model.embedding_length)),
    ];
    entries.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_written_as_go_writes_floats() {
        for (value, written) in [
            (json!(8192), "8192"),
            (json!(999_999), "999999"),
            (json!(1_000_000), "1e+06"),
            (json!(1_048_576), "1.048576e+06"),
            (json!(-1), "-1"),
            (json!(0), "0"),
            (json!(0.95), "0.95"),
            (json!(0.00001), "1e-05"),
            (json!(1e100), "1e+100"),
            (json!(true), "true"),
            (json!("a"), "\"a\""),
        ] {
            assert_eq!(as_go(&value), written);
        }
    }
}
