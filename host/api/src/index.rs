//! `GET /help` and the answers to requests that no operation takes.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{Method, Uri},
    response::Response,
};

use crate::{App, code::Code, ollama::reply::refused_at, problem::Problem};

const ROUTES: &str = "\
POST   /jobs              submit a job: {\"kind\": \"…\", \"input\": {…}}
GET    /jobs              list jobs: ?state= &kind= &limit= &before=
GET    /jobs/{id}         one job
DELETE /jobs/{id}         cancel it
GET    /jobs/{id}/events  follow it: server-sent events
POST   /jobs/{id}/retry   run it again, if it has failed or was cancelled
GET    /jobs/{id}/artifacts, /jobs/{id}/artifacts/{name}   what it left behind: what a model said, as text
POST   /flows             submit jobs that wait for each other: {\"jobs\": [{\"name\": \"…\", \"needs\": […], …}]}
GET    /flows             list flows: ?limit= &before=
GET    /flows/{id}        one flow with its jobs
DELETE /flows/{id}        cancel what is not over
POST   /flows/{id}/retry  run its failed and cancelled jobs again
GET    /dead              list failed jobs: ?kind= &code= &limit= &before=
POST   /dead/retry        run them again: {\"kind\": \"…\", \"code\": \"…\", \"limit\": 500, \"failed_before\": \"…\"}
DELETE /dead              delete them: ?kind= &code= &limit=
GET    /schedules         list schedules, of manifests and made here, with their next fires
POST   /schedules         make one: {\"id\": \"…\", \"kind\": \"…\", \"expr\": \"0 6 * * MON\", …}
GET    /schedules/{id}    one schedule; write a slash in its id as %2F
PUT    /schedules/{id}    change it
DELETE /schedules/{id}    delete it
POST   /schedules/{id}/pause, /resume, /run
GET    /classes           what jobs compete for, and how much waits for it
POST   /classes/{name}/pause, /classes/{name}/resume   {\"for\": \"10m\", \"reason\": \"…\"}
GET    /kinds             what can be run, and what keeps its jobs back
POST   /kinds/{name}/pause, /kinds/{name}/resume
GET    /budgets           tokens a day, of kinds and callers, and what is left of them
GET    /aliases           names that stand for models, and for which
GET    /plugins           installed and refused plugins
GET    /healthz           is the process alive, is Ollama up
GET    /readyz            does it take work
GET    /metrics           OpenMetrics

Ollama's own surface, queued: set OLLAMA_HOST, or a client's base URL, to this address.
POST   /api/generate, /api/chat, /api/embed, /api/embeddings
POST   /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/messages
       Prefer: respond-async makes the call a job; X-Roughneck-Priority: urgent … bulk, or 0 to 100;
       X-Roughneck-Caller: who pays, where callers have budgets
GET    /api/version, /api/tags, /api/ps, /api/status, /v1/models; POST /api/show
GET    /api/experimental/model-recommendations
POST   /api/pull, /api/push, /api/create, /api/copy; DELETE /api/delete   if the operator allows it
";

/// `GET /help`: what there is, for a person with curl.
pub(crate) async fn index(State(app): State<Arc<App>>) -> String {
    format!("roughneck {}\n\n{ROUTES}", app.settings.version)
}

/// Any path without a route.
pub(crate) async fn no_such_route(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    // What CONNECT asks for is an authority, not a path.
    if path.is_empty() {
        let words = "there are paths here and nothing else, and no way on to other hosts; `GET /help` lists what there is";
        return refused_at(&app, "/", Problem::new(Code::NoSuchRoute, words));
    }
    // The ids of schedules of manifests have one.
    let hint = match path.strip_prefix("/schedules/") {
        Some(_) => "; write a slash in the id of a schedule as %2F",
        None => "",
    };
    let problem = Problem::new(
        Code::NoSuchRoute,
        format!("there is nothing at `{path}`{hint}; `GET /help` lists what there is"),
    );
    refused_at(&app, uri.path(), problem)
}

/// Any path with a route that does not take the method. The router adds `Allow`.
pub(crate) async fn wrong_method(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
) -> Response {
    let problem = Problem::new(
        Code::WrongMethod,
        format!("`{}` does not take {method}; the header `Allow` names what it takes", uri.path()),
    );
    refused_at(&app, uri.path(), problem)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, json, text};

    #[tokio::test]
    async fn the_index_names_the_version_and_every_route() {
        let page = text(Host::new().get("/help").await).await;
        assert!(page.starts_with("roughneck 9.9.9\n"), "{page}");
        for route in [
            "/jobs/{id}/events",
            "/jobs/{id}/retry",
            "/jobs/{id}/artifacts/{name}",
            "/flows/{id}",
            "/flows/{id}/retry",
            "/dead",
            "/dead/retry",
            "/schedules/{id}",
            "/classes/{name}/pause",
            "/kinds/{name}/resume",
            "/budgets",
            "/aliases",
            "/plugins",
            "/healthz",
            "/readyz",
            "/metrics",
        ] {
            assert!(page.contains(route), "{route}");
        }
    }

    #[tokio::test]
    async fn an_unknown_route_is_a_problem_that_points_to_the_index() {
        let response = Host::new().get("/job").await;
        assert_eq!(response.status(), 404);
        let problem = json(response).await;
        assert_eq!(problem["code"], "no-such-route");
        assert_eq!(
            problem["detail"],
            "there is nothing at `/job`; `GET /help` lists what there is"
        );
    }

    #[tokio::test]
    async fn who_wants_a_proxy_is_told_that_this_is_none() {
        let response = Host::new().send("CONNECT", "127.0.0.1:443", "").await;
        assert_eq!(response.status(), 404);
        let detail = json(response).await["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("there are paths here and nothing else"), "{detail}");
    }

    #[tokio::test]
    async fn a_wrong_method_is_a_problem_that_names_the_right_ones() {
        let response = Host::new().send("PUT", "/jobs", "").await;
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
        assert_eq!(json(response).await["code"], "wrong-method");
    }
}
