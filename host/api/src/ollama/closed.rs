//! Routes of Ollama's that are closed here, and why.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};

use super::reply::refused_at;
use crate::{App, code::Code, problem::Problem};

/// What acts in the name of the operator's account at ollama.com, or on its cost.
pub(crate) const OF_THE_ACCOUNT: [&str; 5] = [
    "/api/me",
    "/api/signout",
    "/api/user/keys/{key}",
    "/api/experimental/web_search",
    "/api/experimental/web_fetch",
];

/// Its model is a field of a form, not of JSON.
pub(crate) const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

pub(crate) async fn of_the_account(State(app): State<Arc<App>>, request: Request) -> Response {
    let detail = "this acts in the name of the operator's account at ollama.com, so this host passes it on for \
         no client; ask Ollama itself";
    refused_at(&app, request.uri().path(), Problem::new(Code::OperatorOnly, detail))
}

pub(crate) async fn not_served(State(app): State<Arc<App>>, request: Request) -> Response {
    let detail = "this host does not transcribe sounds; ask Ollama itself";
    refused_at(&app, request.uri().path(), Problem::new(Code::NotImplemented, detail))
}
