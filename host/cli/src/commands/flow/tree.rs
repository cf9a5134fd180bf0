//! The tree of a flow's jobs: each above those that it needs. A job that several need is told once, and
//! named where it comes again.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::clock::Millis;

use crate::{
    client::{Flow, Part},
    commands::state::{dullness, mark},
    span::span,
    table::Table,
};

/// Needed jobs of one job that are shown, those first that say most.
const NEEDS_MAX: usize = 20;

/// What is deeper is not shown: it would be at the right of any screen.
const DEPTH_MAX: usize = 24;

/// Lays the tree out as a table.
pub(super) fn tree(flow: &Flow, now: Millis) -> Table<5> {
    let by_name = flow.jobs.iter().map(|job| (job.name.as_str(), job)).collect();
    let table = Table::new(["JOB", "STATE", "RAN", "KIND", "NOTE"]);
    let mut tree = Tree { by_name, shown: BTreeSet::new(), now, table };
    for goal in flow.goals() {
        tree.job(goal, "", &Branch { edge: "", below: "" }, 0);
    }
    tree.table
}

struct Tree<'a> {
    by_name: BTreeMap<&'a str, &'a Part>,
    shown: BTreeSet<&'a str>,
    now: Millis,
    table: Table<5>,
}

/// How a job hangs below another one.
struct Branch {
    /// Before its name.
    edge: &'static str,
    /// Before the names of those that it needs.
    below: &'static str,
}

const MIDDLE: Branch = Branch { edge: "├─ ", below: "│  " };
const LAST: Branch = Branch { edge: "└─ ", below: "   " };

impl<'a> Tree<'a> {
    fn job(&mut self, job: &'a Part, indent: &str, branch: &Branch, depth: usize) {
        self.row(job, &format!("{indent}{}", branch.edge), "");
        self.needs(job, &format!("{indent}{}", branch.below), depth + 1);
    }

    fn needs(&mut self, job: &'a Part, indent: &str, depth: usize) {
        let mut needs: Vec<(Option<&'a Part>, &'a str)> = job
            .needs
            .iter()
            .map(|need| {
                let needed = need.job.as_deref().and_then(|name| self.by_name.get(name).copied());
                (needed, policy(&need.on_failure))
            })
            .collect();
        if depth > DEPTH_MAX && !needs.is_empty() {
            return self.line(format!("{indent}└─ … and what it needs; --json has it all"));
        }
        let hidden = self.hide(&mut needs);
        let count = needs.len() + usize::from(hidden.is_some());
        for (n, (needed, policy)) in needs.into_iter().enumerate() {
            let branch = if n + 1 == count { &LAST } else { &MIDDLE };
            match needed {
                None => self.line(format!("{indent}{}(deleted)", branch.edge)),
                Some(job) if self.shown.contains(job.name.as_str()) => {
                    self.line(format!("{indent}{}{} ↑{policy}", branch.edge, job.name));
                }
                Some(job) => {
                    self.row(job, &format!("{indent}{}", branch.edge), policy);
                    self.needs(job, &format!("{indent}{}", branch.below), depth + 1);
                }
            }
        }
        if let Some(hidden) = hidden {
            self.line(format!("{indent}└─ … {hidden}"));
        }
    }

    /// Takes the needs out that are too many, and says what they are.
    fn hide(&self, needs: &mut Vec<(Option<&'a Part>, &'a str)>) -> Option<String> {
        if needs.len() <= NEEDS_MAX {
            return None;
        }
        // A sort keeps the order of equals.
        needs.sort_by_key(|(job, _)| job.map_or(0, |job| dullness(&job.state)));
        let hidden = needs.split_off(NEEDS_MAX);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for (job, _) in &hidden {
            *counts.entry(job.map_or("deleted", |job| job.state.as_str())).or_default() += 1;
        }
        let counts: Vec<String> =
            counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
        Some(format!("{} more: {}", hidden.len(), counts.join(", ")))
    }

    fn row(&mut self, job: &'a Part, before: &str, policy: &str) {
        self.shown.insert(&job.name);
        let ran_ms = job.started_at.as_ref().and_then(|started| match &job.finished_at {
            Some(finished) => finished.since_ms(started),
            None if is_running(&job.state) => started.millis().map(|at| self.now.since_ms(at)),
            None => None,
        });
        self.table.row([
            format!("{before}{} {}{policy}", mark(&job.state), job.name),
            job.state.clone(),
            ran_ms.map_or_else(|| "-".to_owned(), span),
            job.kind.clone(),
            note(job),
        ]);
    }

    /// A line that is no job's.
    fn line(&mut self, text: String) {
        self.table.row([text, String::new(), String::new(), String::new(), String::new()]);
    }
}

fn is_running(state: &str) -> bool {
    matches!(state, "loading" | "working")
}

fn policy(on_failure: &str) -> &'static str {
    match on_failure {
        "continue" => " (may fail)",
        "ignore" => " (ignored)",
        _ => "",
    }
}

fn note(job: &Part) -> String {
    let mut notes = Vec::new();
    if job.waits > 0 {
        notes.push(format!("waits for {}", job.waits));
    }
    if job.attempt > 1 {
        notes.push(format!("attempt {}/{}", job.attempt, job.attempts_max));
    }
    match &job.error {
        Some(error) if job.state != "done" => notes.push(error.line()),
        Some(_) | None => notes.extend(job.reason.clone()),
    }
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{NOW, told_flow};

    #[test]
    fn a_job_stands_above_what_it_needs_and_is_told_once() {
        let flow = told_flow(
            "running",
            &[
                ("fetch", "done", &[]),
                ("left", "failed", &["fetch"]),
                ("right", "working", &["fetch"]),
                ("letter", "blocked", &["left?", "right"]),
                ("log", "queued", &["fetch~"]),
            ],
        );
        assert_eq!(
            tree(&flow, NOW).render(None),
            "JOB                   STATE    RAN   KIND  NOTE\n\
             · letter              blocked  -     echo  waits for 2\n\
             ├─ ✗ left (may fail)  failed   2.5s  echo  broken: it broke\n\
             │  └─ ✓ fetch         done     2.5s  echo\n\
             └─ ▶ right            working  9.0s  echo\n   \
             └─ fetch ↑\n\
             ○ log                 queued   -     echo\n\
             └─ fetch ↑ (ignored)\n"
        );
    }

    #[test]
    fn of_many_needs_those_are_shown_that_say_most() {
        let names: Vec<String> = (0..1_000).map(|n| format!("child{n}")).collect();
        let needs: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut jobs: Vec<(&str, &str, &[&str])> =
            needs.iter().map(|name| (*name, "done", &[][..])).collect();
        jobs[777].1 = "failed";
        jobs.push(("last", "failed", &needs));
        let text = tree(&told_flow("failed", &jobs), NOW).render(None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 23, "{text}");
        assert!(lines[2].starts_with("├─ ✗ child777"), "{text}");
        assert_eq!(lines[22], "└─ … 980 more: 980 done");
    }

    #[test]
    fn a_chain_is_shown_as_far_as_a_screen_is_wide() {
        let names: Vec<String> = (0..100).map(|n| format!("j{n}")).collect();
        let needs: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
        let mut jobs: Vec<(&str, &str, &[&str])> = vec![("j0", "done", &[])];
        jobs.extend((1..100).map(|n| (names[n].as_str(), "done", needs[n - 1].as_slice())));
        let text = tree(&told_flow("done", &jobs), NOW).render(None);
        assert_eq!(text.lines().count(), DEPTH_MAX + 3, "{text}");
        assert!(text.trim_end().ends_with("└─ … and what it needs; --json has it all"), "{text}");
    }

    #[test]
    fn a_needed_job_that_was_deleted_has_its_place() {
        let mut flow = told_flow("failed", &[("a", "failed", &["b"])]);
        flow.jobs[0].needs[0].job = None;
        assert!(tree(&flow, NOW).render(None).ends_with("└─ (deleted)\n"));
    }
}
