//! Pauses as clients see them, and how they ask for one.

use axum::{extract::Request, response::IntoResponse};
use roughneck_jobs::{
    clock::Millis,
    manifest::text,
    pause::{Pause, Scope},
    schedule,
};
use serde::{Deserialize, Serialize};

use crate::{App, body, code::Code, problem::Problem, view::At};

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;

/// The reason of somebody who gives none.
const ON_REQUEST: &str = "paused on request";

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

impl From<&schedule::Pause> for PauseView {
    fn from(pause: &schedule::Pause) -> Self {
        Self { since: At(pause.since), until: None, reason: pause.reason.clone() }
    }
}

/// What a caller wants of a pause.
pub(crate) struct Wanted {
    /// For how long; until it is resumed, if that is not said.
    pub(crate) for_ms: Option<u64>,
    /// Why.
    pub(crate) reason: String,
}

impl Wanted {
    /// Reads a request, in which nothing has to be said.
    ///
    /// # Errors
    /// [`Code::InvalidSubmission`], and those of a body.
    pub(crate) async fn read(app: &App, request: Request) -> Result<Self, Problem> {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            r#for: Option<String>,
            reason: Option<String>,
        }
        let (head, body) = request.into_parts();
        let body = app.bodies.read(&head.headers, body, app.settings.body_bytes_max).await?;
        let written: Written =
            if body.is_empty() { Written::default() } else { body::object(&body)? };
        let for_ms = written.r#for.as_deref().map(text::duration_ms).transpose();
        let for_ms = for_ms.map_err(|error| invalid(format!("`for`: {error}")))?;
        let reason = written.reason.unwrap_or_else(|| ON_REQUEST.to_owned());
        if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) {
            return Err(invalid(format!("`reason` must have 1 to {REASON_CHARS_MAX} characters")));
        }
        Ok(Self { for_ms, reason })
    }
}

/// A pause that cannot be.
pub(crate) fn invalid(detail: String) -> Problem {
    Problem::new(Code::InvalidSubmission, detail)
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
    let Wanted { for_ms, reason } = Wanted::read(app, request).await?;
    let now = app.ports.clock.now();
    let pause = Pause { scope, since: now, until: for_ms.map(|ms| now.plus_ms(ms)), reason };
    app.ports.store.pause(pause.clone()).await?;
    Ok(axum::Json(Paused { paused: PauseView::from(&pause) }))
}

/// Resumes `scope`.
pub(crate) async fn resume(app: &App, scope: Scope) -> Result<impl IntoResponse + use<>, Problem> {
    let resumed = app.ports.store.resume(scope).await?;
    Ok(axum::Json(Resumed { resumed }))
}
