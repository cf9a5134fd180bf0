//! Looking a schedule up, whoever made it.

use roughneck_jobs::{
    schedule::{Known, Origin, known},
    strict::nearest,
};

use crate::{App, code::Code, problem::Problem};

/// The schedule of this id.
///
/// # Errors
/// [`Code::UnknownSchedule`].
pub(crate) async fn find(app: &App, id: &str) -> Result<Known, Problem> {
    let kept = app.ports.schedules.schedule(id).await?;
    match known::one(&app.ports.catalog.plugins(), id, kept) {
        Some(known) => Ok(known),
        None => Err(unknown(app, id).await),
    }
}

/// All schedules, without their inputs.
pub(crate) async fn all(app: &App) -> Result<Vec<Known>, Problem> {
    let kept = app.ports.schedules.schedules().await?;
    Ok(known::all(&app.ports.catalog.plugins(), kept))
}

/// The schedule of this id, if it can be changed here.
///
/// # Errors
/// [`Code::UnknownSchedule`] and [`Code::ScheduleOfManifest`].
pub(crate) async fn find_made(app: &App, id: &str) -> Result<Known, Problem> {
    let known = find(app, id).await?;
    match &known.origin {
        Origin::Api => Ok(known),
        Origin::Manifest { plugin } => Err(Problem::new(
            Code::ScheduleOfManifest,
            format!(
                "the schedule `{id}` belongs to the manifest of the plugin `{plugin}`; edit its plugin.toml, \
                 or stop it with `POST {}/pause`",
                address(id)
            ),
        )
        .with("plugin", plugin.as_str())),
    }
}

/// The problem of an id that no schedule has, or why the others cannot be read.
pub(crate) async fn unknown(app: &App, id: &str) -> Problem {
    let id: String = id.chars().take(140).collect();
    let all = match all(app).await {
        Ok(all) => all,
        Err(problem) => return problem,
    };
    let near = nearest(&id, all.iter().map(|known| known.spec.id.as_str()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`GET /schedules` lists those there are".to_owned(),
    };
    let detail = format!("there is no schedule `{id}`; {hint}");
    let problem = Problem::new(Code::UnknownSchedule, detail);
    match near {
        Some(near) => problem.with("suggestion", near),
        None => problem,
    }
}

/// The path of a schedule.
pub(crate) fn address(id: &str) -> String {
    format!("/schedules/{}", crate::query::encode(id))
}
