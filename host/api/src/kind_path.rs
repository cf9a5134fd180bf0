//! The kind that a path names.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use roughneck_jobs::pause::Scope;

use crate::{App, code::Code, problem::Problem, unknown_kind::unknown_kind};

/// The `{name}` of `/kinds/{name}…`, under its present name: a kind that is served.
pub(crate) struct KindPath(pub(crate) Scope);

impl FromRequestParts<Arc<App>> for KindPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|rejection| Problem::new(Code::UnknownKind, rejection.body_text()))?;
        match app.ports.catalog.served(&name) {
            Some(served) => Ok(Self(Scope::Kind(served.kind.name.clone()))),
            None => Err(unknown_kind(&name, app.ports.catalog.as_ref())),
        }
    }
}
