//! The schedule that a path names.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use crate::{code::Code, problem::Problem};

/// The `{id}` of `/schedules/{id}…`, decoded: the slash in `plugin/id` is written `%2F`, so that the
/// schedule `pause` of a plugin and the pause of a schedule are two paths.
pub(crate) struct SchedulePath(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for SchedulePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The only rejection left is a path whose percent-encoding is no UTF-8.
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(Code::UnknownSchedule, rejection.body_text()))?;
        Ok(Self(id))
    }
}
