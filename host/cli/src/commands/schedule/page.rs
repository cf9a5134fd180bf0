//! The page of one schedule.

use std::fmt::Write as _;

use roughneck_jobs::clock::Millis;

use crate::{
    client::{At, Schedule},
    pretty::pretty,
    span::span,
    terminal::clean,
};

const LABEL_COLUMNS: usize = 10;

/// Lays the page out. No line is cut: any may hold a sentence that says what to do.
pub(super) fn page(schedule: &Schedule, now: Millis) -> String {
    let mut page = Page { text: String::new(), now };
    page.head(schedule);
    page.policies(schedule);
    page.history(schedule);
    page.next(schedule);
    if let Some(input) = &schedule.input {
        page.section("INPUT", &pretty(input.get()));
    }
    page.text
}

struct Page {
    text: String,
    now: Millis,
}

impl Page {
    fn head(&mut self, schedule: &Schedule) {
        self.field("schedule", &schedule.id);
        let origin = match &schedule.plugin {
            Some(plugin) => format!("manifest of the plugin {plugin}"),
            None => "made over HTTP".to_owned(),
        };
        self.field("origin", &origin);
        self.field("kind", &schedule.kind);
        self.field("fires", &format!("{} ({})", schedule.expr, schedule.timezone));
        self.field("state", schedule.state());
        if let Some(pause) = &schedule.paused {
            self.field("reason", &pause.reason);
            self.at("since", Some(&pause.since));
        }
        if let Some(problem) = &schedule.problem {
            self.field("problem", &problem.message);
        }
    }

    fn policies(&mut self, schedule: &Schedule) {
        if let Some(priority) = schedule.priority {
            self.field("priority", &priority.to_string());
        }
        if let Some(caller) = &schedule.caller {
            self.field("caller", caller);
        }
        let missed = match schedule.missed.as_str() {
            "all" => format!("all, at most {}", schedule.missed_max),
            other => other.to_owned(),
        };
        self.field("missed", &missed);
        self.field("overlap", &schedule.overlap);
    }

    fn history(&mut self, schedule: &Schedule) {
        self.at("created", schedule.created_at.as_ref());
        self.at("changed", schedule.changed_at.as_ref());
        if let Some(last) = &schedule.last_fire {
            self.at("last", Some(&last.at));
            self.field("job", last.job.as_deref().unwrap_or("deleted"));
        }
        let (missed, skipped) = (schedule.fires_missed, schedule.fires_skipped);
        self.field("not run", &format!("{missed} missed, {skipped} skipped"));
    }

    fn next(&mut self, schedule: &Schedule) {
        let next: Vec<String> =
            schedule.next.iter().map(|next| format!("{}  {}", next.at.0, next.local)).collect();
        if !next.is_empty() {
            let is_active = schedule.state() == "active";
            let title = if is_active { "NEXT" } else { "NEXT, IF IT WERE ACTIVE" };
            self.section(title, &next.join("\n"));
        }
    }

    fn at(&mut self, label: &str, at: Option<&At>) {
        let Some(at) = at else { return };
        let text = match at.millis() {
            Some(then) => format!("{} ({} ago)", at.0, span(self.now.since_ms(then))),
            None => at.0.clone(),
        };
        self.field(label, &text);
    }

    fn field(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.text, "{label:LABEL_COLUMNS$}{}", clean(text));
    }

    fn section(&mut self, title: &str, text: &str) {
        let _ = writeln!(self.text, "\n{title}");
        for line in text.lines() {
            let _ = writeln!(self.text, "{}", clean(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::{NOW, told_schedule};

    #[test]
    fn a_page_tells_what_the_schedule_is_and_what_became_of_it() {
        let at = "2026-01-01T00:00:00.000Z";
        let schedule = told_schedule(&json!({
            "id": "nightly", "plugin": null, "missed": "all", "missed_max": 3, "fires_missed": 2, "caller": "alice",
            "paused": {"since": at, "reason": "the CMS moves"}, "created_at": at, "changed_at": at,
            "last_fire": {"at": at, "job": "01K9Z4T8N6Q0V5W3X2Y1R7S9AB"}, "input": {"a": 1},
        }));
        assert_eq!(
            page(&schedule, NOW),
            "schedule  nightly\n\
             origin    made over HTTP\n\
             kind      grind\n\
             fires     0 6 * * * (Europe/Berlin)\n\
             state     paused\n\
             reason    the CMS moves\n\
             since     2026-01-01T00:00:00.000Z (10.0s ago)\n\
             caller    alice\n\
             missed    all, at most 3\n\
             overlap   skip\n\
             created   2026-01-01T00:00:00.000Z (10.0s ago)\n\
             changed   2026-01-01T00:00:00.000Z (10.0s ago)\n\
             last      2026-01-01T00:00:00.000Z (10.0s ago)\n\
             job       01K9Z4T8N6Q0V5W3X2Y1R7S9AB\n\
             not run   2 missed, 0 skipped\n\
             \nNEXT, IF IT WERE ACTIVE\n\
             2026-01-01T05:00:00.000Z  2026-01-01T06:00:00+01:00\n\
             \nINPUT\n{\n  \"a\": 1\n}\n"
        );
    }

    #[test]
    fn a_schedule_of_a_manifest_names_its_plugin_and_a_missing_kind_is_explained() {
        let problem = json!({"code": "kind-missing", "message": "no installed plugin serves it"});
        let page = page(&told_schedule(&json!({ "problem": problem })), NOW);
        for part in [
            "origin    manifest of the plugin mill\n",
            "state     kind-missing\nproblem   no installed plugin serves it\n",
        ] {
            assert!(page.contains(part), "`{part}` is missing in:\n{page}");
        }
    }
}
