//! Pauses as clients see them, and how they ask for one.

use axum::{extract::Request, response::IntoResponse};
use roughneck_jobs::{
    clock::Millis,
    manifest::text,
    pause::{Pause, Scope},
};
use serde::{Deserialize, Serialize};

use crate::{App, body, code::Code, problem::Problem, view::At};

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 500;

/// A pause that is not over.
#[derive(Debug, Serialize)]
pub(crate) struct PauseView {
    since: At,
    /// None until somebody resumes it.
    until: Option<At>,
    reason: String,
}

impl PauseView {
    /// The pause of `scope` among `pauses`, if it is not over.
    pub(crate) fn of(scope: &Scope, pauses: &[Pause], now: Millis) -> Option<Self> {
        let pause = pauses.iter().find(|pause| pause.scope == *scope)?;
        (!pause.is_over(now)).then(|| Self::from(pause))
    }
}

impl From<&Pause> for PauseView {
    fn from(pause: &Pause) -> Self {
        Self { since: At(pause.since), until: pause.until.map(At), reason: pause.reason.clone() }
    }
}

/// What a caller may say about a pause.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    r#for: Option<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Paused {
    paused: PauseView,
}

#[derive(Serialize)]
struct Resumed {
    /// False if it was not paused.
    resumed: bool,
}

/// Pauses `scope` as the request says: for a while, or until somebody resumes it.
pub(crate) async fn pause(
    app: &App,
    scope: Scope,
    request: Request,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, app.settings.body_bytes_max).await?;
    // Nothing has to be said.
    let wanted: Wanted = if body.is_empty() { Wanted::default() } else { body::object(&body)? };
    let now = app.ports.clock.now();
    let wrong = |detail: String| Problem::new(Code::InvalidSubmission, detail);
    let for_ms = wanted.r#for.as_deref().map(text::duration_ms).transpose();
    let for_ms = for_ms.map_err(|error| wrong(format!("`for`: {error}")))?;
    let reason = wanted.reason.unwrap_or_else(|| "paused on request".to_owned());
    if reason.len() > REASON_BYTES_MAX {
        return Err(wrong(format!("`reason` may have at most {REASON_BYTES_MAX} bytes")));
    }
    let pause = Pause { scope, since: now, until: for_ms.map(|ms| now.plus_ms(ms)), reason };
    app.ports.store.pause(pause.clone()).await?;
    Ok(axum::Json(Paused { paused: PauseView::from(&pause) }))
}

/// Resumes `scope`.
pub(crate) async fn resume(app: &App, scope: Scope) -> Result<impl IntoResponse + use<>, Problem> {
    let resumed = app.ports.store.resume(scope).await?;
    Ok(axum::Json(Resumed { resumed }))
}
