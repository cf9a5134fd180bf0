//! `/v1/embeddings`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ollama::call::looked_for;
use crate::ollama::embed::{inputs, run};
use crate::ollama::request::EmbedRequest;
use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, Refusal, first_value};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    input: Option<Value>,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    embedding: Numbers,
    index: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers {
    Floats(Vec<f32>),
    /// The floats as bytes, little end first, in base64.
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Answers `/v1/embeddings`.
pub(in crate::ollama) async fn embeddings(server: &Server, body: &[u8]) -> Result<Answer, Refusal> {
    let request: Request = first_value(body)?;
    let in_base64 = is_base64(request.encoding_format.as_deref())?;
    let input = match request.input {
        None | Some(Value::Null) => return Err(Refusal::new(400, "invalid input")),
        Some(Value::Array(items)) if items.is_empty() => {
            return Err(Refusal::new(400, "invalid input"));
        }
        // Here an empty text is a text like any other.
        Some(Value::String(text)) => Value::from(vec![text]),
        Some(input) => input,
    };
    let native = EmbedRequest {
        model: request.model,
        dimensions: request.dimensions,
        ..EmbedRequest::default()
    };
    looked_for(native.model.as_deref())?;
    let done = run(server, &native, &inputs(Some(&input))?).await?;
    let data = done.embeddings.into_iter().enumerate().map(|(index, floats)| Embedding {
        object: "embedding",
        embedding: if in_base64 {
            Numbers::Base64(base64(&floats))
        } else {
            Numbers::Floats(floats)
        },
        index,
    });
    Ok(Answer::translated(
        200,
        &List {
            object: "list",
            data: data.collect(),
            model: native.model.as_deref().unwrap_or_default(),
            usage: Usage { prompt_tokens: done.prompt_tokens, total_tokens: done.prompt_tokens },
        },
    ))
}

fn is_base64(format: Option<&str>) -> Result<bool, Refusal> {
    match format.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "float") => Ok(false),
        Some("base64") => Ok(true),
        Some(_) => {
            let format = format.unwrap_or_default();
            Err(Refusal::new(
                400,
                format!(
                    "Invalid value for 'encoding_format' = {format}. Supported values: ['float', 'base64']."
                ),
            ))
        }
    }
}

fn base64(floats: &[f32]) -> String {
    let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
