//! `POST /classes/{name}/pause`: no job of the class begins, until somebody resumes it or for a while.
//! Those that run go on, and new ones are accepted.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::IntoResponse,
};

use roughneck_jobs::{class::CLIENT, pause::Scope};

use crate::{App, class_path::ClassPath, code::Code, pause_view, problem::Problem};

pub(crate) async fn pause_class(
    State(app): State<Arc<App>>,
    ClassPath(scope): ClassPath,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    if scope == Scope::Class(CLIENT.to_owned()) {
        let sentence = "the class `client` cannot be paused: its clients wait on open connections, \
            and their calls begin when the lane is free; stop the clients, or the host";
        return Err(Problem::new(Code::ClassNotPausable, sentence));
    }
    pause_view::pause(&app, scope, request).await
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, json};

    #[tokio::test]
    async fn the_class_of_waiting_clients_cannot_be_paused() {
        let response = Host::new().send("POST", "/classes/client/pause", "").await;
        assert_eq!(response.status(), 409);
        assert_eq!(json(response).await["code"], "class-not-pausable");
    }

    #[tokio::test]
    async fn a_class_is_paused_for_a_while_or_until_it_is_resumed() {
        let host = Host::new();
        let body = r#"{"for":"10m","reason":"the fan is loud"}"#;
        let response = host.send("POST", "/classes/io/pause", body).await;
        assert_eq!(response.status(), 200);
        let paused = json(response).await["paused"].clone();
        assert_eq!(paused["reason"], "the fan is loud");
        assert!(paused["until"].is_string());
        let response = host.send("POST", "/classes/cpu/pause", "").await;
        let paused = json(response).await["paused"].clone();
        assert_eq!(
            (&paused["until"], &paused["reason"]),
            (&().into(), &"paused on request".into())
        );
        let classes = json(host.get("/classes").await).await["classes"].clone();
        let paused: Vec<bool> =
            classes.as_array().unwrap().iter().map(|class| class["paused"].is_object()).collect();
        assert_eq!(paused, [false, true, true, false], "{classes}");
        for resumed in [true, false] {
            let response = host.send("POST", "/classes/io/resume", "").await;
            assert_eq!(json(response).await["resumed"], resumed);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_paused_is_explained() {
        let host = Host::new();
        let long = format!(r#"{{"reason":"{}"}}"#, "ü".repeat(501));
        for (path, body, status, code, words) in [
            ("/classes/oi/pause", "", 404, "unknown-class", "did you mean `io`?"),
            ("/classes/io/pause", r#"{"for":"a bit"}"#, 422, "invalid-submission", "`for`: "),
            ("/classes/io/pause", r#"{"until":1}"#, 422, "invalid-submission", "until"),
            (
                "/classes/io/pause",
                r#"{"reason":""}"#,
                422,
                "invalid-submission",
                "1 to 500 characters",
            ),
            ("/classes/io/pause", &long, 422, "invalid-submission", "1 to 500 characters"),
            ("/kinds/ecko/pause", "", 404, "unknown-kind", "did you mean `echo`?"),
        ] {
            let response = host.send("POST", path, body.to_owned()).await;
            assert_eq!(response.status(), status, "{path} {body}");
            let problem = json(response).await;
            assert_eq!(problem["code"], code);
            assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
        }
    }
}
