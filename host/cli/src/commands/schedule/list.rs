//! `roughneck schedule list`: all schedules as a table.

use anyhow::Result;
use roughneck_jobs::clock::{Clock as _, Millis};
use serde::Deserialize;

use super::Host;
use crate::{
    client::Schedule,
    span::span,
    system::System,
    table::Table,
    terminal::{self, stdout_size},
};

#[derive(Deserialize)]
struct All {
    schedules: Vec<Schedule>,
}

pub(super) async fn run(host: &Host) -> Result<()> {
    let answer = host.client.get("/schedules").await?;
    if host.json {
        return host.print_json(&answer);
    }
    let all: All = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&all.schedules, System.now()).render(columns))
}

fn table(schedules: &[Schedule], now: Millis) -> Table<9> {
    let mut table = Table::new([
        "ID",
        "KIND",
        "EXPRESSION",
        "TIMEZONE",
        "CALLER",
        "STATE",
        "NEXT",
        "LAST",
        "REASON",
    ]);
    for one in schedules {
        // What does not fire has no next fire, whatever its expression says.
        let next = one.next.first().filter(|_| one.state() == "active");
        let next = next.and_then(|next| next.at.millis());
        let last = one.last_fire.as_ref().and_then(|last| last.at.millis());
        table.row([
            one.id.clone(),
            one.kind.clone(),
            one.expr.clone(),
            one.timezone.clone(),
            one.caller.clone().unwrap_or_else(|| "-".to_owned()),
            one.state().to_owned(),
            next.map_or_else(|| "-".to_owned(), |at| format!("in {}", span(at.since_ms(now)))),
            last.map_or_else(|| "-".to_owned(), |at| format!("{} ago", span(now.since_ms(at)))),
            one.reason().to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::{NOW, told_schedule};

    #[test]
    fn a_schedule_is_a_row_and_one_that_does_not_fire_has_no_next_fire() {
        let active = told_schedule(&json!({}));
        let paused = told_schedule(&json!({
            "id": "nightly", "caller": "alice",
            "paused": {"since": "2026-01-01T00:00:00.000Z", "reason": "the CMS moves"},
            "last_fire": {"at": "2026-01-01T00:00:00.000Z", "job": null},
        }));
        assert_eq!(
            table(&[active, paused], NOW).render(None),
            "ID          KIND   EXPRESSION  TIMEZONE       CALLER  STATE   NEXT      LAST       REASON\n\
             mill/daily  grind  0 6 * * *   Europe/Berlin  -       active  in 4h59m  -\n\
             nightly     grind  0 6 * * *   Europe/Berlin  alice   paused  -         10.0s ago  the CMS moves\n"
        );
    }
}
