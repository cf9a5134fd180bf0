//! Pages of jobs, each with the address of the next one.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use roughneck_jobs::job::Job;
use serde::Serialize;

use crate::{query::encode, view::JobView};

/// Jobs on a page that asks for no number.
pub(crate) const LIMIT: u32 = 50;

/// Jobs on a page at most.
pub(crate) const LIMIT_MAX: u32 = 200;

#[derive(Serialize)]
struct Page<'a> {
    jobs: Vec<JobView<'a>>,
    /// The address of the next page, or null on the last one.
    next: Option<String>,
}

/// What to ask the store for: one more than a page shows tells whether there is another page.
pub(crate) fn one_more(limit: u32) -> u32 {
    limit.saturating_add(1)
}

/// The page of `jobs`, of which there is [`one_more`] if another page follows. `kept` are the
/// parameters of the query that the next page repeats.
pub(crate) fn of(jobs: &[Job], limit: u32, path: &str, kept: &[(&str, Option<&str>)]) -> Response {
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let last = (jobs.len() > shown).then(|| jobs.iter().take(shown).next_back()).flatten();
    let next = last.map(|last| {
        let mut next = format!("{path}?before={}&limit={limit}", last.id);
        for (name, value) in kept {
            if let Some(value) = value {
                next.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        next
    });
    let jobs = jobs.iter().take(shown).map(JobView::summary).collect();
    Json(Page { jobs, next }).into_response()
}
