//! `GET /jobs/{id}/artifacts/{name}`: one thing that a job left behind, as it is.

use std::sync::Arc;

use axum::{
    extract::{Path, State, path::ErrorKind, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use roughneck_jobs::job::Job;

use crate::{App, code::Code, job_path, ollama::completion, problem::Problem};

pub(crate) async fn get_artifact(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((id, name)) = path.map_err(|bad| unreadable(&bad))?;
    let id = job_path::named(&app, &id).await?;
    let job = app.ports.store.job(id).await?.ok_or_else(|| Problem::unknown_job(id))?;
    let text = (name == completion::NAME).then(|| completion::of(&app, &job)).flatten();
    let text = text.ok_or_else(|| missing(&job, &name))?;
    Ok(([(header::CONTENT_TYPE, completion::CONTENT_TYPE)], text).into_response())
}

/// Why there is nothing at a path that is no text.
fn unreadable(bad: &PathRejection) -> Problem {
    let code = match bad {
        PathRejection::FailedToDeserializePathParams(failed) if matches!(failed.kind(), ErrorKind::InvalidUtf8InPathParam { key } if key == "name") => {
            Code::UnknownArtifact
        }
        // A foreign enum that grows.
        _ => Code::MalformedId,
    };
    Problem::new(code, bad.body_text())
}

fn missing(job: &Job, name: &str) -> Problem {
    let name: String = name.chars().take(100).collect();
    let why = if job.state.is_terminal() {
        "`GET` its artifacts for those it has; the words of a call whose client waited are kept with `record = \"full\"` under `[ollama]`"
    } else {
        "it is not over yet"
    };
    let state = job.state.as_str();
    let detail = format!("the job {}, which is {state}, has no artifact `{name}`: {why}", job.id);
    Problem::new(Code::UnknownArtifact, detail).with("state", state)
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{job::Job, state::State};

    use crate::testing::{Host, a_job, json, text};

    fn call(state: State, output: Option<&str>) -> Job {
        let output = output.map(str::to_owned);
        Job { kind: "ollama.call".to_owned(), state, output, ..a_job() }
    }

    #[tokio::test]
    async fn the_words_of_a_call_are_plain_text() {
        let host = Host::new();
        let job = call(State::Done, Some("said hi"));
        host.fakes.store.put(job.clone());
        let answer = host.get(&format!("/jobs/{}/artifacts/completion", job.id)).await;
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(text(answer).await, "hi");
    }

    #[tokio::test]
    async fn what_is_not_there_says_why() {
        let host = Host::new();
        for (job, path, words) in [
            (call(State::Working, None), "completion", "it is not over yet"),
            (call(State::Done, Some("nothing")), "completion", "record = \"full\""),
            (call(State::Done, Some("said hi")), "picture", "no artifact `picture`"),
        ] {
            host.fakes.store.put(job.clone());
            let answer = host.get(&format!("/jobs/{}/artifacts/{path}", job.id)).await;
            assert_eq!(answer.status(), 404);
            let problem = json(answer).await;
            assert_eq!(problem["code"], "unknown-artifact");
            assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
        }
        let job = a_job();
        for (path, code) in [
            ("/jobs/42/artifacts/completion".to_owned(), "malformed-id"),
            ("/jobs/%ff/artifacts/completion".to_owned(), "malformed-id"),
            (format!("/jobs/{}/artifacts/%ff", job.id), "unknown-artifact"),
        ] {
            assert_eq!(json(host.get(&path).await).await["code"], code, "{path}");
        }
    }
}
