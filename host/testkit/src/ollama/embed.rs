//! `/api/embed` and the older `/api/embeddings`.
//!
//! An embedding is made of the words of the text, so that texts with words in common are near each other: enough for a
//! demonstration of search. It has length one and is always the same for the same text.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::call::{keep_alive, looked_for, required, within_context};
use super::config::{Model, time_for};
use super::generation::nanoseconds;
use super::key::RunnerKey;
use super::options::Options;
use super::request::EmbedRequest;
use super::runner::Wanted;
use super::server::{Doing, Server};
use super::wire::{Answer, Refusal, first_value};
use super::words::{prompt_tokens, words};

#[derive(Serialize)]
struct EmbedBody<'a> {
    model: &'a str,
    embeddings: Vec<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u64>,
}

#[derive(Serialize)]
struct LegacyBody {
    embedding: Vec<f32>,
}

/// Answers `/api/embed`.
pub(super) async fn embed(server: &Server, body: &[u8]) -> Result<Answer, Refusal> {
    let request: EmbedRequest = first_value(body)?;
    looked_for(request.model.as_deref())?;
    let inputs = inputs(request.input.as_ref())?;
    let done = run(server, &request, &inputs).await?;
    let name = request.model.as_deref().unwrap_or_default();
    if inputs.is_empty() {
        return Ok(Answer::json(&EmbedBody {
            model: name,
            embeddings: Vec::new(),
            total_duration: None,
            load_duration: None,
            prompt_eval_count: None,
        }));
    }
    Ok(Answer::json(&EmbedBody {
        model: name,
        embeddings: done.embeddings,
        total_duration: Some(done.total_duration),
        load_duration: Some(done.load_duration),
        prompt_eval_count: Some(done.prompt_tokens),
    }))
}

/// Answers `/api/embeddings`.
pub(super) async fn embeddings(server: &Server, body: &[u8]) -> Result<Answer, Refusal> {
    let request: EmbedRequest = first_value(body)?;
    let prompt = request.prompt.clone().filter(|prompt| !prompt.is_empty());
    let inputs: Vec<String> = prompt.into_iter().collect();
    let done = run(server, &request, &inputs).await?;
    let embedding = done.embeddings.into_iter().next().unwrap_or_default();
    Ok(Answer::json(&LegacyBody { embedding }))
}

pub(super) struct Embedded {
    pub(super) embeddings: Vec<Vec<f32>>,
    total_duration: u64,
    load_duration: u64,
    pub(super) prompt_tokens: u64,
}

/// Embeds `inputs`; nothing only loads the model.
pub(super) async fn run(
    server: &Server,
    request: &EmbedRequest,
    inputs: &[String],
) -> Result<Embedded, Refusal> {
    let mut watch = server.stopwatch();
    let name = required(request.model.as_deref())?;
    let keep_alive = keep_alive(request.keep_alive.as_ref(), &server.config)?;
    let missing = Refusal::new(404, format!("model {name:?} not found, try pulling it first"));
    let model = server.meant(name, Doing::Inference, missing)?;
    let options = Options::over(&model, request.options.as_ref())?;
    let wanted = Wanted {
        key: RunnerKey::of(&model, &options, None, server.config.context_length),
        model: std::sync::Arc::clone(&model),
        keep_alive,
    };
    let mut tokens = 0;
    for input in inputs {
        let asked = prompt_tokens([input.as_str()]);
        tokens += within_context(asked, wanted.key.num_ctx, request.truncate)?;
    }
    let lease = server.runner.acquire(&wanted, &mut watch).await;
    let load_duration = nanoseconds(watch.elapsed());
    let _slot = lease.slot().await;
    watch.begin_phase();
    let work = time_for(tokens, model.prefill_tokens_per_s);
    watch.spend(work).await;
    let length = dimensions(&model, request.dimensions);
    Ok(Embedded {
        embeddings: inputs.iter().map(|input| vector(input, length)).collect(),
        total_duration: nanoseconds(watch.elapsed()),
        load_duration,
        prompt_tokens: tokens,
    })
}

/// `input` is a string or an array of strings; nothing and `""` only load the model.
pub(super) fn inputs(input: Option<&Value>) -> Result<Vec<String>, Refusal> {
    let refusal = || Refusal::new(400, "invalid input type");
    match input {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(refusal)).collect()
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(refusal()),
    }
}

fn dimensions(model: &Model, asked: Option<usize>) -> usize {
    let asked = asked.filter(|asked| *asked > 0);
    asked.map_or(model.embedding_length, |asked| asked.min(model.embedding_length))
}

/// A vector of length one. Each word of the text adds or subtracts one in eight places that its hash picks.
fn vector(text: &str, length: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; length];
    for word in words(text) {
        let hash = Sha256::digest(word.as_bytes());
        for bytes in hash.chunks_exact(4) {
            let pick = bytes.iter().fold(0_usize, |pick, byte| pick << 8 | usize::from(*byte));
            let sign = if pick % 2 == 0 { 1.0 } else { -1.0 };
            if let Some(place) = vector.get_mut((pick / 2) % length.max(1)) {
                *place += sign;
            }
        }
    }
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        for x in &mut vector {
            *x /= norm;
        }
    } else if let Some(first) = vector.first_mut() {
        // A text without words is somewhere too.
        *first = 1.0;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::vector;

    fn nearness(a: &str, b: &str) -> f32 {
        let (a, b) = (vector(a, 768), vector(b, 768));
        a.iter().zip(&b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn texts_with_common_words_are_near_and_vectors_have_length_one() {
        assert!((nearness("the red sea", "the red sea") - 1.0).abs() < 1e-5);
        assert!(nearness("the red sea", "a red sea") > 0.4);
        assert!(nearness("the red sea", "quarterly figures").abs() < 0.3);
        assert!((nearness("", "…") - 1.0).abs() < 1e-5);
    }
}
