//! A flow as the host tells it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{At, job::Failure};

/// One flow, in full or as lists show it.
#[derive(Debug, Deserialize)]
pub(crate) struct Flow {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) state: String,
    pub(crate) enqueued_at: At,
    pub(crate) finished_at: Option<At>,
    pub(crate) counts: BTreeMap<String, u32>,
    pub(crate) ended: u32,
    pub(crate) submitted: u32,
    pub(crate) deleted: u32,
    #[serde(default)]
    pub(crate) jobs: Vec<Part>,
}

/// A job of a flow.
#[derive(Debug, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) attempts_max: u32,
    pub(crate) started_at: Option<At>,
    pub(crate) finished_at: Option<At>,
    pub(crate) needs: Vec<Need>,
    pub(crate) waits: u32,
    pub(crate) error: Option<Failure>,
}

/// What a job of a flow needs.
#[derive(Debug, Deserialize)]
pub(crate) struct Need {
    /// None if it was deleted.
    pub(crate) job: Option<String>,
    pub(crate) on_failure: String,
}

impl Flow {
    /// How far it is, in one line.
    pub(crate) fn progress(&self) -> String {
        // In the order of a job's life.
        let order =
            ["done", "failed", "cancelled", "working", "loading", "queued", "scheduled", "blocked"];
        let counted = order
            .iter()
            .filter_map(|state| self.counts.get(*state).map(|count| format!("{count} {state}")));
        let mut parts: Vec<String> = counted.collect();
        if self.deleted > 0 {
            parts.push(format!("{} deleted", self.deleted));
        }
        let jobs = if self.submitted == 1 { "job" } else { "jobs" };
        let (ended, submitted) = (self.ended, self.submitted);
        format!("{ended} of {submitted} {jobs} over: {}", parts.join(", "))
    }

    /// The one job that no other needs, if there is only one: its output is the flow's.
    pub(crate) fn goal(&self) -> Option<&Part> {
        let mut goals = self.goals();
        goals.next().filter(|_| goals.next().is_none())
    }

    /// The jobs that no other needs, in the order of the submission.
    pub(crate) fn goals(&self) -> impl Iterator<Item = &Part> {
        let needs = self.jobs.iter().flat_map(|job| &job.needs);
        let needed: std::collections::BTreeSet<&str> =
            needs.filter_map(|need| need.job.as_deref()).collect();
        self.jobs.iter().filter(move |job| !needed.contains(job.name.as_str()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A flow as a host tells it; each job is its name, its state and what it needs. A need may end with
    /// `?` or `~`.
    pub(crate) fn told(state: &str, jobs: &[(&str, &str, &[&str])]) -> Flow {
        let need = |text: &&str| {
            let on_failure = match text.chars().last() {
                Some('?') => "continue",
                Some('~') => "ignore",
                Some(_) | None => "fail",
            };
            json!({"job": text.trim_end_matches(['?', '~']), "id": "x", "on_failure": on_failure})
        };
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for (_, state, _) in jobs {
            *counts.entry(state).or_default() += 1;
        }
        let is_over = |state: &&str| ["done", "failed", "cancelled"].contains(state);
        let ended = jobs.iter().filter(|(_, state, _)| is_over(state)).count();
        let parts: Vec<Value> = jobs
            .iter()
            .map(|(name, state, needs)| {
                let failed = *state == "failed";
                let error = failed.then(|| json!({"code": "broken", "message": "it broke"}));
                let runs = !matches!(*state, "blocked" | "queued");
                json!({
                    "name": name, "id": "x", "kind": "echo", "state": state, "reason": null,
                    "attempt": u32::from(runs), "attempts_max": 4,
                    "started_at": runs.then_some("2026-01-01T00:00:01.000Z"),
                    "finished_at": is_over(state).then_some("2026-01-01T00:00:03.500Z"),
                    "needs": needs.iter().map(need).collect::<Vec<_>>(),
                    "waits": if *state == "blocked" { needs.len() } else { 0 },
                    "error": error,
                })
            })
            .collect();
        let flow = json!({
            "id": "01K9Z4T8N6Q0V5W3X2Y1R7S9AB", "name": "letter", "state": state,
            "enqueued_at": "2026-01-01T00:00:00.000Z",
            "finished_at": (state != "running").then_some("2026-01-01T00:00:03.500Z"),
            "counts": counts, "ended": ended, "submitted": jobs.len(), "deleted": 0,
            "links": {}, "jobs": parts,
        });
        serde_json::from_value(flow).unwrap()
    }

    #[test]
    fn a_flow_says_how_far_it_is() {
        let flow = told(
            "running",
            &[("a", "done", &[]), ("b", "working", &["a"]), ("c", "blocked", &["b"])],
        );
        assert_eq!(flow.progress(), "1 of 3 jobs over: 1 done, 1 working, 1 blocked");
        let flow =
            Flow { deleted: 2, ended: 3, submitted: 3, ..told("done", &[("a", "done", &[])]) };
        assert_eq!(flow.progress(), "3 of 3 jobs over: 1 done, 2 deleted");
    }

    #[test]
    fn a_flow_with_one_last_job_has_a_goal() {
        let goal = |jobs| told("done", jobs).goal().map(|goal| goal.name.clone());
        assert_eq!(goal(&[("a", "done", &[]), ("b", "done", &["a"])]), Some("b".to_owned()));
        assert_eq!(goal(&[("a", "done", &[]), ("b", "done", &[])]), None);
    }
}
