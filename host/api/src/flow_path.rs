//! The flow that a path names.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use roughneck_jobs::id::FlowId;

use crate::{code::Code, problem::Problem};

/// The `{id}` of `/flows/{id}…`.
pub(crate) struct FlowPath(pub(crate) FlowId);

impl<S: Send + Sync> FromRequestParts<S> for FlowPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The only rejection left is a path whose percent-encoding is no UTF-8.
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(Code::MalformedId, rejection.body_text()))?;
        let id = text.parse().map_err(|error: roughneck_jobs::id::NotAnId| {
            Problem::new(Code::MalformedId, error.to_string())
        })?;
        Ok(Self(id))
    }
}
