//! `POST /classes/{name}/resume`: ends the pause of a class.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};

use crate::{App, class_path::ClassPath, pause_view, problem::Problem};

pub(crate) async fn resume_class(
    State(app): State<Arc<App>>,
    ClassPath(scope): ClassPath,
) -> Result<impl IntoResponse, Problem> {
    pause_view::resume(&app, scope).await
}
