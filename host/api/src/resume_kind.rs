//! `POST /kinds/{name}/resume`: ends the pause of a kind.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};

use crate::{App, kind_path::KindPath, pause_view, problem::Problem};

pub(crate) async fn resume_kind(
    State(app): State<Arc<App>>,
    KindPath(scope): KindPath,
) -> Result<impl IntoResponse, Problem> {
    pause_view::resume(&app, scope).await
}
