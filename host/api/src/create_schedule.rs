//! `POST /schedules`: makes a schedule.
//!
//! The answer `201` means that it is on disk and fires from now on. The id is the caller's: the same
//! schedule sent again is answered with `200`, and another one of the same id is refused.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use roughneck_jobs::{
    ports::schedules::Created,
    schedule::{MADE_MAX, NotWritten, Pause, Schedule, Spec, Written},
};

use crate::{
    App, body,
    code::Code,
    find_schedule::{address, find},
    get_schedule::show,
    problem::Problem,
    unknown_kind::unknown_kind,
};

/// Why a schedule that was made so is paused.
const NOT_RESUMED: &str = "paused since it was made";

pub(crate) async fn create_schedule(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = app.bodies.read(&head.headers, body, app.settings.body_bytes_max).await?;
    let written: Written = body::object(&body)?;
    let is_paused = written.paused.unwrap_or(false);
    let Schedule { spec, .. } = read(&app, written)?;
    if app.ports.control.is_stopping() {
        return Err(Problem::stopping());
    }
    let now = app.ports.clock.now();
    let pause = is_paused.then(|| Pause { since: now, reason: NOT_RESUMED.to_owned() });
    let created = app.ports.schedules.create_schedule(spec.clone(), pause, now, MADE_MAX).await?;
    let status = match created {
        Created::New => StatusCode::CREATED,
        Created::Exists => {
            is_same(&app, &spec).await?;
            StatusCode::OK
        }
        Created::Full => return Err(too_many()),
    };
    let mut response = show(&app, &spec.id).await?;
    *response.status_mut() = status;
    // A path of visible ASCII is always a value.
    if let Ok(location) = HeaderValue::try_from(address(&spec.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Reads and checks what was written, under the present name of its kind.
///
/// # Errors
/// [`Code::UnknownKind`], [`Code::InputTooLarge`] and [`Code::InvalidSubmission`].
pub(crate) fn read(app: &App, written: Written) -> Result<Schedule, Problem> {
    let catalog = app.ports.catalog.as_ref();
    let served =
        catalog.served(&written.kind).ok_or_else(|| unknown_kind(&written.kind, catalog))?;
    written.read(&served.kind.name).map_err(|error| {
        let code = match error {
            NotWritten::InputTooLarge { .. } => Code::InputTooLarge,
            NotWritten::InputTooDeep
            | NotWritten::NoId
            | NotWritten::Id(_)
            | NotWritten::MissedMax(_)
            | NotWritten::Schedule(_) => Code::InvalidSubmission,
        };
        Problem::new(code, error.to_string())
    })
}

/// Whether the schedule that stands says the same.
async fn is_same(app: &App, spec: &Spec) -> Result<(), Problem> {
    if find(app, &spec.id).await?.spec == *spec {
        return Ok(());
    }
    let (id, path) = (&spec.id, address(&spec.id));
    Err(Problem::new(
        Code::ScheduleExists,
        format!("there is another schedule `{id}`; change it with `PUT {path}`, or use another id"),
    ))
}

fn too_many() -> Problem {
    Problem::new(
        Code::TooManySchedules,
        format!("there are {MADE_MAX} schedules, and no more are taken; delete some first"),
    )
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::schedule::Missed;

    use crate::testing::{Host, NOW, json};

    const BODY: &str = r#"{"id":"nightly","kind":"old-echo","expr":"0 3 * * *","missed":"all"}"#;

    #[tokio::test]
    async fn a_schedule_is_made_under_the_present_name_of_its_kind_and_has_an_address() {
        let host = Host::new();
        let response = host.send("POST", "/schedules", BODY).await;
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["location"], "/schedules/nightly");
        let shown = json(response).await;
        assert_eq!(
            (&shown["kind"], &shown["created_at"]),
            (&"echo".into(), &NOW.to_string().into())
        );
        let spec = host.fakes.schedules.made("nightly").spec;
        assert_eq!((spec.missed, spec.missed_max, spec.input.as_str()), (Missed::All, 100, "{}"));
    }

    #[tokio::test]
    async fn the_same_schedule_twice_is_one_and_another_one_of_its_id_is_a_conflict() {
        let host = Host::new();
        host.make(BODY).await;
        assert_eq!(host.send("POST", "/schedules", BODY).await.status(), 200);
        let response = host.send("POST", "/schedules", BODY.replace("0 3", "0 4")).await;
        assert_eq!(response.status(), 409);
        let problem = json(response).await;
        assert_eq!(problem["code"], "schedule-exists");
        assert!(problem["detail"].as_str().unwrap().contains("`PUT /schedules/nightly`"));
    }

    #[tokio::test]
    async fn a_schedule_for_somebody_else_is_another_one() {
        let host = Host::new();
        let body = BODY.replace('}', r#","caller":"alice"}"#);
        host.make(&body).await;
        assert_eq!(json(host.get("/schedules/nightly").await).await["caller"], "alice");
        assert_eq!(host.send("POST", "/schedules", body.clone()).await.status(), 200);
        for other in [BODY.to_owned(), body.replace("alice", "bob")] {
            assert_eq!(host.send("POST", "/schedules", other).await.status(), 409);
        }
    }

    #[tokio::test]
    async fn a_schedule_can_be_made_paused() {
        let host = Host::new();
        let body = r#"{"id":"nightly","kind":"echo","expr":"@every 1h","paused":true}"#;
        let shown = json(host.send("POST", "/schedules", body).await).await;
        assert_eq!(shown["paused"]["since"], NOW.to_string());
        assert_eq!(shown["next"].as_array().unwrap().len(), 5, "what it would do");
    }

    #[tokio::test]
    async fn an_unknown_kind_is_refused_as_for_a_job() {
        let response =
            Host::new().send("POST", "/schedules", r#"{"id":"a1","kind":"ecko","expr":"x"}"#).await;
        assert_eq!(response.status(), 404);
        let problem = json(response).await;
        assert_eq!(problem["code"], "unknown-kind");
        assert_eq!(problem["suggestion"], "echo");
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_refused_and_makes_nothing() {
        let host = Host::new();
        let table = [
            ("", 400, "malformed-json", "the body is empty"),
            (r#"{"kind":"echo","expr":"@every 1h"}"#, 422, "invalid-submission", "`id` is missing"),
            (
                r#"{"id":"a/b","kind":"echo","expr":"@every 1h"}"#,
                422,
                "invalid-submission",
                "`a/b`",
            ),
            (r#"{"id":"a1","kind":"echo"}"#, 422, "invalid-submission", "`expr` is missing"),
            (
                r#"{"id":"a1","kind":"echo","expr":"daily"}"#,
                422,
                "invalid-submission",
                "`@every 5m`",
            ),
            (
                r#"{"id":"a1","kind":"echo","expr":"@every 1h","timezone":"Berlin"}"#,
                422,
                "invalid-submission",
                "`Europe/Berlin`",
            ),
            (
                r#"{"id":"a1","kind":"echo","expr":"@every 1h","overlap":"skipp"}"#,
                422,
                "invalid-submission",
                "did you mean `skip`?",
            ),
            (
                r#"{"id":"a1","kind":"echo","expr":"@every 1h","caller":" alice"}"#,
                422,
                "invalid-submission",
                "`caller` names whom a job is for in 1 to 128 bytes",
            ),
            (
                r#"{"id":"a1","kind":"echo","expr":"@every 1h","tz":"UTC"}"#,
                422,
                "invalid-submission",
                "unknown field `tz`",
            ),
        ];
        for (body, status, code, word) in table {
            let response = host.send("POST", "/schedules", body).await;
            assert_eq!(response.status(), status, "{body}");
            let problem = json(response).await;
            assert_eq!(problem["code"], code, "{body}");
            assert!(problem["detail"].as_str().unwrap().contains(word), "{body}: {problem}");
        }
        host.fakes.control.stop();
        assert_eq!(json(host.send("POST", "/schedules", BODY).await).await["code"], "stopping");
        assert_eq!(json(host.get("/schedules/nightly").await).await["code"], "unknown-schedule");
    }

    #[tokio::test]
    async fn the_number_of_schedules_is_bounded() {
        let host = Host::new();
        host.fakes.schedules.fill();
        let response = host.send("POST", "/schedules", BODY).await;
        assert_eq!(response.status(), 422);
        assert_eq!(json(response).await["code"], "too-many-schedules");
    }
}
