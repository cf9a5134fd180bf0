//! The relatives of a job, as a small tree: its parent, itself, and its children.

use std::collections::BTreeMap;

use crate::{
    client::{Family, Job, Relative},
    commands::state::{dullness, mark},
    table::Table,
};

/// Children that are shown, those first that say most.
const CHILDREN_MAX: usize = 20;

/// Lays the tree out as a table; none for a job without relatives.
pub(super) fn tree(job: &Job) -> Option<Table<4>> {
    let family = job.family.as_ref()?;
    let mut table = Table::new(["JOB", "STATE", "KIND", "ID"]);
    let (before, below) = match &family.parent {
        Some(parent) => {
            table.row(row("", parent));
            ("└─ ", "   ")
        }
        None => ("", ""),
    };
    let name = family.name.as_deref().unwrap_or("this job");
    let this = format!("{before}{} {name} ←", mark(&job.state));
    table.row([this, job.state.clone(), job.kind.clone(), job.id.clone()]);
    let (shown, hidden) = chosen(family);
    let count = shown.len() + usize::from(hidden.is_some());
    for (n, child) in shown.into_iter().enumerate() {
        let edge = if n + 1 == count { "└─ " } else { "├─ " };
        table.row(row(&format!("{below}{edge}"), child));
    }
    if let Some(hidden) = hidden {
        let line = format!("{below}└─ … {hidden}");
        table.row([line, String::new(), String::new(), String::new()]);
    }
    Some(table)
}

/// The children to show, and what the others are.
fn chosen(family: &Family) -> (Vec<&Relative>, Option<String>) {
    let mut children: Vec<&Relative> = family.children.iter().collect();
    let untold = family.children_count.saturating_sub(children.len() as u64);
    if children.len() <= CHILDREN_MAX && untold == 0 {
        return (children, None);
    }
    // A sort keeps the order of equals.
    children.sort_by_key(|child| dullness(&child.state));
    let hidden = children.split_off(CHILDREN_MAX.min(children.len()));
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for child in &hidden {
        *counts.entry(&child.state).or_default() += 1;
    }
    let mut counts: Vec<String> =
        counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if untold > 0 {
        counts.push(format!("{untold} not told"));
    }
    let all = hidden.len() as u64 + untold;
    (children, Some(format!("{all} more: {}", counts.join(", "))))
}

fn row(before: &str, relative: &Relative) -> [String; 4] {
    let Relative { id, name, kind, state } = relative;
    let name = name.as_deref().unwrap_or("parent");
    [format!("{before}{} {name}", mark(state)), state.clone(), kind.clone(), id.clone()]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::client::told;

    fn relative(name: Option<&str>, state: &str) -> Value {
        json!({ "id": "01X", "name": name, "kind": "page", "state": state, "links": {} })
    }

    fn shown(parent: &Value, children: &[Value], count: usize) -> String {
        let job = told(&json!({ "state": "blocked", "family": {
            "name": "site", "depth": 1, "waits": 1, "parent": parent, "children": children,
            "children_count": count,
        }}));
        tree(&job).unwrap().render(None)
    }

    #[test]
    fn a_job_stands_between_its_parent_and_its_children() {
        let children = [relative(Some("a"), "done"), relative(Some("b"), "working")];
        assert_eq!(
            shown(&relative(None, "blocked"), &children, 2),
            "JOB          STATE    KIND  ID\n\
             · parent     blocked  page  01X\n\
             └─ · site ←  blocked  echo  01K9Z4T8N6Q0V5W3X2Y1R7S9AB\n   \
             ├─ ✓ a    done     page  01X\n   \
             └─ ▶ b    working  page  01X\n"
        );
        assert!(tree(&told(&json!({}))).is_none(), "a job without relatives has no tree");
    }

    #[test]
    fn of_many_children_those_are_shown_that_say_most() {
        let mut children: Vec<Value> =
            (0..200).map(|n| relative(Some(&format!("page {n}")), "done")).collect();
        children[177] = relative(Some("page 177"), "failed");
        let text = shown(&Value::Null, &children, 1_000);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 23, "{text}");
        assert!(lines[2].starts_with("├─ ✗ page 177"), "{text}");
        assert_eq!(lines[22], "└─ … 980 more: 180 done, 800 not told");
    }
}
