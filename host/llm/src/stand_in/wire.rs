//! What the host asks of Ollama for its stand-ins. No model is needed for any of it.

use bytes::Bytes;
use roughneck_jobs::model::LlmError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{client, lane::Shared};

/// Largest answer, in bytes: what Ollama shows of a model has its licence and its template in it.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The Modelfile of a model.
pub(super) async fn show(shared: &Shared, model: &str) -> Result<String, LlmError> {
    #[derive(Deserialize)]
    struct Shown {
        modelfile: String,
    }
    let body = ask(shared, "POST", "/api/show", json!({"model": model})).await?;
    let shown: Shown = serde_json::from_slice(&body).map_err(|error| {
        broken_off(format!("/api/show does not answer as Ollama does: {error}"))
    })?;
    Ok(shown.modelfile)
}

/// Makes a model of another with this context.
pub(super) async fn create(
    shared: &Shared,
    model: &str,
    from: &str,
    num_ctx: u64,
) -> Result<(), LlmError> {
    let parameters = json!({"num_ctx": num_ctx});
    let body = json!({"model": model, "from": from, "parameters": parameters, "stream": false});
    ask(shared, "POST", "/api/create", body).await.map(drop)
}

/// Deletes a model, unless it is gone already.
pub(super) async fn delete(shared: &Shared, model: &str) -> Result<(), LlmError> {
    match ask(shared, "DELETE", "/api/delete", json!({"model": model})).await {
        Ok(_) | Err(LlmError::Refused { status: 404, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn ask(shared: &Shared, method: &str, path: &str, body: Value) -> Result<Bytes, LlmError> {
    let patience = shared.config.probe_timeout;
    let headers = [("content-type", "application/json".to_owned())];
    let asked = async {
        let body = body.to_string().into();
        let mut response = shared.client.pass(method, path, &headers, body).await?;
        let read = response.read(BODY_BYTES_MAX).await;
        let body = read.map_err(|cut| broken_off(cut.to_string()))?.unwrap_or_default();
        if response.status().is_success() {
            return Ok(body);
        }
        let (status, message) = (response.status().as_u16(), client::words(&body));
        Err(LlmError::Refused { status, message })
    };
    let silent = || broken_off(format!("{path} is not answered within {patience:?}"));
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_elapsed| Err(silent()))
}

fn broken_off(why: String) -> LlmError {
    LlmError::BrokenOff(why)
}
