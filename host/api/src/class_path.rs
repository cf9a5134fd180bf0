//! The class that a path names.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use roughneck_jobs::{pause::Scope, strict::nearest};

use crate::{App, code::Code, problem::Problem};

/// The `{name}` of `/classes/{name}…`: a class of this host.
pub(crate) struct ClassPath(pub(crate) Scope);

impl FromRequestParts<Arc<App>> for ClassPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|rejection| Problem::new(Code::UnknownClass, rejection.body_text()))?;
        let known: Vec<&str> = app.settings.slots.iter().map(|slots| &*slots.class.0).collect();
        if known.contains(&&*name) {
            return Ok(Self(Scope::Class(name)));
        }
        let hint = match nearest(&name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        let name: String = name.chars().take(100).collect();
        let detail = format!("this host has no class `{name}`; {hint}");
        Err(Problem::new(Code::UnknownClass, detail))
    }
}
