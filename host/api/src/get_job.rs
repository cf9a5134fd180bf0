//! `GET /jobs/{id}`: everything about one job.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    App, family_view::CHILDREN_SHOWN_MAX, job_path::JobPath, problem::Problem, view::JobView,
};

pub(crate) async fn get_job(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
) -> Result<Response, Problem> {
    let job = app.ports.store.job(id).await?.ok_or_else(|| Problem::unknown_job(id))?;
    let attempts = app.ports.store.attempts(id).await?;
    let deliveries = app.ports.outbox.deliveries(id).await?;
    let live = app.ports.control.live(id).filter(|_| job.state.is_running());
    let family = app.ports.children.family(id, CHILDREN_SHOWN_MAX).await?.unwrap_or_default();
    let view = JobView::with_data(&job)
        .with_family(&family)
        .with_health(&app.ports.llm.health())
        .with_pauses(&app.ports.store.pauses().await?, app.ports.clock.now())
        .with_history(&attempts, &deliveries)
        .with_progress(live.as_ref());
    Ok(Json(view).into_response())
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{
        child::{Family, Relative},
        clock::Millis,
        delivery::{Delivery, DeliveryState, Target},
        event::Live,
        failure::Failure,
        id::DeliveryId,
        job::{Attempt, Job, LogLevel, LogLine},
        state::State,
        usage::Usage,
    };
    use serde_json::json;

    use crate::testing::{Fixed, Host, a_job, job_id, json};

    #[tokio::test]
    async fn a_job_shows_its_data_history_deliveries_and_progress() {
        let host = Host::new();
        let job = Job { state: State::Working, started_at: Some(Millis(40)), ..a_job() };
        let usage = Usage { calls: 1, load_ns: 2_000_000, ..Usage::default() };
        host.fakes.store.put(job.clone());
        host.fakes.store.put_attempt(Attempt {
            run: 1,
            attempt: 1,
            started_at: Millis(0),
            finished_at: Some(Millis(5)),
            outcome: Some("failed".into()),
            failure: Some(Failure::retry("trapped", "it trapped")),
            usage,
            log: vec![LogLine { at: Millis(1), level: LogLevel::Warn, message: "hm".into() }],
        });
        host.fakes.outbox.put(Delivery {
            id: DeliveryId::new(&Fixed, &Fixed),
            job: job.id,
            target: Target::Named("cms".into()),
            event: "job.done".into(),
            body: "{}".into(),
            state: DeliveryState::Delivered,
            attempts: 2,
            next_at: Millis(9),
            finished_at: Some(Millis(8)),
            last_error: Some("refused".into()),
        });
        host.fakes.control.show(Live {
            run: 2,
            percent: Some(40),
            note: "half".into(),
            ..Live::default()
        });

        let view = json(host.get(&format!("/jobs/{}", job.id)).await).await;
        assert_eq!(view["input"], json!({"text": "hello"}));
        assert_eq!(view["started_at"], "1970-01-01T00:00:00.040Z");
        assert_eq!(
            view["progress"],
            json!({"percent": 40, "note": "half", "attempt": 0, "run": 2})
        );
        let attempt = &view["attempts"][0];
        assert_eq!(
            (&attempt["error"]["code"], &attempt["usage"]["load_ms"]),
            (&json!("trapped"), &json!(2))
        );
        assert_eq!(
            attempt["log"][0],
            json!({"at": "1970-01-01T00:00:00.001Z", "level": "warn", "message": "hm"})
        );
        let delivery = &view["deliveries"][0];
        assert_eq!(delivery["target"], "cms");
        assert_eq!((&delivery["next_at"], &delivery["attempts"]), (&json!(null), &json!(2)));
    }

    #[tokio::test]
    async fn a_job_shows_its_parent_and_its_children_and_how_many_it_waits_for() {
        let host = Host::new();
        let reason = Some("waits for 300 children".to_owned());
        let job = Job { state: State::Blocked, reason, ..a_job() };
        host.fakes.store.put(job.clone());
        let alone = json(host.get(&format!("/jobs/{}", job.id)).await).await;
        assert_eq!(alone.get("family"), None);
        let relative = |n, name: &str, state| Relative {
            id: job_id(n),
            name: Some(name.to_owned()),
            kind: "page".to_owned(),
            state,
        };
        let family = Family {
            name: Some("site".to_owned()),
            depth: 2,
            awaits: 7,
            parent: Some(Relative { name: None, ..relative(9, "", State::Blocked) }),
            children: (0..300).map(|n| relative(n, &format!("page {n}"), State::Done)).collect(),
            children_count: 300,
        };
        host.fakes.children.put(job.id, family);
        let view = json(host.get(&format!("/jobs/{}", job.id)).await).await;
        assert_eq!(view["reason"], "waits for 7 of its 300 children");
        let family = &view["family"];
        assert_eq!((&family["name"], &family["depth"]), (&json!("site"), &json!(2)));
        assert_eq!((&family["waits"], &family["children_count"]), (&json!(7), &json!(300)));
        let (parent, first) = (&family["parent"], &family["children"][0]);
        assert_eq!((&parent["name"], &parent["state"]), (&json!(null), &json!("blocked")));
        assert_eq!((&first["name"], &first["kind"]), (&json!("page 0"), &json!("page")));
        assert_eq!(first["links"]["self"], format!("/jobs/{}", job_id(0)));
        assert_eq!(family["children"].as_array().unwrap().len(), 200, "the answer is bounded");
    }

    #[tokio::test]
    async fn an_unknown_job_and_a_malformed_id_are_told_apart() {
        let host = Host::new();
        let table = [
            ("/jobs/01K9Z4T8N6Q0V5W3X2Y1R7S9AB", 404, "unknown-job"),
            ("/jobs/42", 400, "malformed-id"),
            ("/jobs/%ff", 400, "malformed-id"),
        ];
        for (path, status, code) in table {
            let response = host.get(path).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(json(response).await["code"], code);
        }
    }
}
