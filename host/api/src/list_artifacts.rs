//! `GET /jobs/{id}/artifacts`: what a job left behind that is fetched by itself.

use std::sync::Arc;

use axum::{Json, extract::State};
use roughneck_jobs::id::JobId;
use serde::Serialize;

use crate::{App, job_path::JobPath, ollama::completion, problem::Problem, query::NoParameters};

#[derive(Serialize)]
pub(crate) struct Artifacts {
    artifacts: Vec<Artifact>,
}

#[derive(Serialize)]
struct Artifact {
    name: &'static str,
    content_type: &'static str,
    bytes: usize,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    this: String,
}

impl Artifact {
    fn completion(job: JobId, text: &str) -> Self {
        let name = completion::NAME;
        let links = Links { this: format!("/jobs/{job}/artifacts/{name}") };
        Self { name, content_type: completion::CONTENT_TYPE, bytes: text.len(), links }
    }
}

pub(crate) async fn list_artifacts(
    _: NoParameters,
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
) -> Result<Json<Artifacts>, Problem> {
    let job = app.ports.store.job(id).await?.ok_or_else(|| Problem::unknown_job(id))?;
    let completion = completion::of(&app, &job).map(|text| Artifact::completion(id, &text));
    Ok(Json(Artifacts { artifacts: completion.into_iter().collect() }))
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::job::Job;
    use serde_json::json;

    use crate::testing::{Host, a_job, json};

    #[tokio::test]
    async fn a_call_that_is_over_has_left_its_words() {
        let host = Host::new();
        let call = Job { kind: "ollama.call".to_owned(), ..a_job() };
        let path = format!("/jobs/{}/artifacts", call.id);
        host.fakes.store.put(call.clone());
        assert_eq!(json(host.get(&path).await).await, json!({"artifacts": []}));
        host.fakes.store.put(Job { output: Some("said hi".to_owned()), ..call });
        let artifact = json!({
            "name": "completion",
            "content_type": "text/plain; charset=utf-8",
            "bytes": 2,
            "links": {"self": format!("{path}/completion")},
        });
        assert_eq!(json(host.get(&path).await).await, json!({"artifacts": [artifact]}));
    }

    #[tokio::test]
    async fn a_job_of_another_kind_has_none_whatever_its_result() {
        let host = Host::new();
        let job = Job { output: Some("said hi".to_owned()), ..a_job() };
        host.fakes.store.put(job.clone());
        let list = json(host.get(&format!("/jobs/{}/artifacts", job.id)).await).await;
        assert_eq!(list, json!({"artifacts": []}));
    }
}
