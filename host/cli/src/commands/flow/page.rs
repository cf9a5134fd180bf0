//! The page of one flow: how it stands, and the tree of its jobs.

use std::fmt::Write as _;

use roughneck_jobs::clock::Millis;

use super::tree::tree;
use crate::{client::Flow, span::span, terminal::clean};

const LABEL_COLUMNS: usize = 10;

/// Lays the page out for a terminal of that many columns, or for a file.
pub(super) fn page(flow: &Flow, now: Millis, columns: Option<usize>) -> String {
    let mut page = String::new();
    let mut field = |label: &str, text: &str| {
        let _ = writeln!(page, "{label:LABEL_COLUMNS$}{}", clean(text));
    };
    field("flow", &flow.id);
    if let Some(name) = &flow.name {
        field("name", name);
    }
    field("state", &format!("{}, {}", flow.state, flow.progress()));
    let age = flow
        .enqueued_at
        .millis()
        .map_or_else(String::new, |at| format!(" ({} ago)", span(now.since_ms(at))));
    field("enqueued", &format!("{}{age}", flow.enqueued_at.0));
    if let Some(finished_at) = &flow.finished_at {
        let took = finished_at.since_ms(&flow.enqueued_at);
        let took = took.map_or_else(String::new, |ms| format!(" (took {})", span(ms)));
        field("finished", &format!("{}{took}", finished_at.0));
    }
    page.push('\n');
    page.push_str(&tree(flow, now).render(columns));
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{NOW, told_flow};

    #[test]
    fn a_page_says_how_the_flow_stands_and_shows_its_jobs() {
        let flow = told_flow("done", &[("a", "done", &[]), ("b", "done", &["a"])]);
        assert_eq!(
            page(&flow, NOW, None),
            "flow      01K9Z4T8N6Q0V5W3X2Y1R7S9AB\n\
             name      letter\n\
             state     done, 2 of 2 jobs over: 2 done\n\
             enqueued  2026-01-01T00:00:00.000Z (10.0s ago)\n\
             finished  2026-01-01T00:00:03.500Z (took 3.5s)\n\
             \n\
             JOB     STATE  RAN   KIND  NOTE\n\
             ✓ b     done   2.5s  echo\n\
             └─ ✓ a  done   2.5s  echo\n"
        );
    }
}
