//! `GET /aliases`: the names that stand for models, and for which.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use futures_util::future::join_all;
use serde::Serialize;

use crate::{App, query::NoParameters};

#[derive(Serialize)]
struct Answer {
    aliases: Vec<AliasView>,
}

#[derive(Serialize)]
struct AliasView {
    alias: String,
    /// Null if it stands for none that can be asked.
    model: Option<String>,
    /// Why it does not.
    error: Option<String>,
}

pub(crate) async fn list_aliases(
    _: NoParameters,
    State(app): State<Arc<App>>,
) -> impl IntoResponse {
    let llm = &app.ports.llm;
    // Together: those whose models are missing share a look at what Ollama has.
    let aliases = join_all(llm.aliases().into_iter().map(async |alias| {
        let (model, error) = match llm.resolve(&alias).await {
            Ok(model) => (Some(model.name), None),
            Err(error) => (None, Some(error.to_string())),
        };
        AliasView { alias, model, error }
    }));
    Json(Answer { aliases: aliases.await })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn an_alias_is_told_with_its_model_or_why_it_has_none() {
        let host = Host::new();
        let expected = json!({"aliases": [{"alias": "fast", "model": "fast", "error": null}]});
        assert_eq!(json(host.get("/aliases").await).await, expected);
        host.fakes.llm.forget_models();
        let told = json(host.get("/aliases").await).await;
        assert_eq!(told["aliases"][0]["model"], json!(null));
        let error = told["aliases"][0]["error"].as_str().unwrap();
        assert!(error.contains("`fast` is not installed"), "{error}");
    }
}
