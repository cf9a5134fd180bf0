//! What the host has Ollama do for its stand-ins. No model is needed for any of it.

use roughneck_jobs::model::LlmError;
use serde_json::json;

use crate::client::Client;

/// Makes a model of another with this context.
pub(super) async fn create(
    client: &Client,
    model: &str,
    from: &str,
    num_ctx: u64,
) -> Result<(), LlmError> {
    let parameters = json!({"num_ctx": num_ctx});
    let body = json!({"model": model, "from": from, "parameters": parameters, "stream": false});
    client.ask("POST", "/api/create", &body).await.map(drop)
}

/// Deletes a model, unless it is gone already.
pub(super) async fn delete(client: &Client, model: &str) -> Result<(), LlmError> {
    match client.ask("DELETE", "/api/delete", &json!({"model": model})).await {
        Ok(_) | Err(LlmError::Refused { status: 404, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
