//! `POST /kinds/{name}/pause`: no job of the kind begins, until somebody resumes it or for a while.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::IntoResponse,
};

use crate::{App, kind_path::KindPath, pause_view, problem::Problem};

pub(crate) async fn pause_kind(
    State(app): State<Arc<App>>,
    KindPath(scope): KindPath,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    pause_view::pause(&app, scope, request).await
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, a_job, json};

    #[tokio::test]
    async fn a_kind_is_paused_under_its_present_name_and_resumed_under_any() {
        let host = Host::new();
        let response = host.send("POST", "/kinds/old-echo/pause", r#"{"reason":"broken"}"#).await;
        assert_eq!(response.status(), 200);
        let kinds = json(host.get("/kinds").await).await["kinds"].clone();
        let echo = kinds.as_array().unwrap().iter().find(|kind| kind["name"] == "echo").unwrap();
        assert_eq!(echo["paused"]["reason"], "broken");
        host.fakes.store.put(a_job());
        let job = json(host.get(&format!("/jobs/{}", a_job().id)).await).await;
        assert_eq!(
            (&job["state"], &job["reason"]),
            (&"queued".into(), &"its kind is paused: broken".into())
        );
        let response = host.send("POST", "/kinds/echo/resume", "").await;
        assert_eq!(json(response).await["resumed"], true);
    }
}
