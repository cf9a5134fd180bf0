//! Our own endpoint with the store removed: what HTTP and JSON cost alone.
//!
//! It reads the body as `POST /jobs` does, makes the job with the same code ([`intake::accept`]) and
//! answers with the same JSON. It leaves out the store, the guard against foreign pages, the metrics of
//! the route, the look at the catalog, and the engine that is woken.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use roughneck_jobs::{
    intake::{self, Submission},
    job::NewJob,
    manifest,
    ports::catalog::{Plugin, Served},
};
use serde::Serialize;
use tokio::process::Command;

use crate::{clock::System, process::Process, stand::Stand};

/// What this program is told to become that server.
pub(crate) const COMMAND: &str = "no-store";

const MANIFEST: &str = r#"
manifest = 1
[plugin]
name = "bench"
version = "1.0.0"
world = "roughneck:plugin/job-pure@1.0.0"
[component]
source = "none"
[[kind]]
name = "noop"
class = "io"
"#;

/// Starts the server as a process.
///
/// # Errors
/// If it does not start.
pub(crate) async fn start(stand: &Stand) -> Result<(Process, std::net::SocketAddr)> {
    let dir = stand.fresh(COMMAND)?;
    let mut process = Process::start(COMMAND, Command::new(&stand.bench).arg(COMMAND), &dir)?;
    let address = process.said("ready at http://").await?.parse()?;
    Ok((process, address))
}

/// Serves until it is killed, on as many threads as the host has.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn serve() -> Result<()> {
    let served = served()?;
    // On a thread of its own: the bench itself already runs on a runtime with one.
    let server = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            println!("ready at http://{}", listener.local_addr()?);
            let router = Router::new().route("/jobs", post(submit_job)).with_state(served);
            axum::serve(listener, router).await.context("the server failed")
        })
    });
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))?
}

fn served() -> Result<Arc<Served>> {
    let manifest = manifest::parse(MANIFEST)?;
    let kind = manifest.kinds.first().context("the manifest has no kind")?.clone();
    let plugin = Arc::new(Plugin { digest: String::new(), manifest });
    Ok(Arc::new(Served { plugin, kind }))
}

async fn submit_job(State(served): State<Arc<Served>>, body: Bytes) -> Response {
    let job = serde_json::from_slice::<Submission>(&body)
        .ok()
        .and_then(|submission| intake::accept(submission, &served, &System, &System).ok());
    job.map_or(StatusCode::BAD_REQUEST.into_response(), |job| accepted(&job))
}

#[derive(Serialize)]
struct Accepted<'a> {
    id: String,
    state: &'a str,
    kind: &'a str,
    class: &'a str,
    priority: roughneck_jobs::priority::Priority,
    enqueued_at: String,
    run_at: String,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    job: String,
    events: String,
}

fn accepted(job: &NewJob) -> Response {
    let here = format!("/jobs/{}", job.id);
    let accepted = Accepted {
        id: job.id.to_string(),
        state: "queued",
        kind: &job.kind,
        class: &job.class.0,
        priority: job.priority,
        enqueued_at: job.enqueued_at.to_string(),
        run_at: job.run_at.to_string(),
        links: Links { events: format!("{here}/events"), job: here.clone() },
    };
    (StatusCode::ACCEPTED, [(header::LOCATION, here)], axum::Json(accepted)).into_response()
}
