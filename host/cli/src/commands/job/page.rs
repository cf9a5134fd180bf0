//! The page of one job. Everything that can be long is bounded, and says what it left out.

use std::fmt::Write as _;

use roughneck_jobs::clock::Millis;

use super::family::tree;
use crate::{
    client::{At, Attempt, Job},
    pretty::beginning,
    span::span,
    table::Table,
    terminal::{clean, cut},
};

const LABEL_COLUMNS: usize = 10;

/// Lines of an input or an output.
const JSON_LINES: usize = 40;

/// Lines of the log of all attempts; the last ones say most.
const LOG_LINES: usize = 30;

/// Characters of a line where no terminal bounds it.
const LINE_COLUMNS: usize = 400;

/// Lays the page out for a terminal of that many columns, or for a file.
pub(super) fn page(job: &Job, now: Millis, columns: Option<usize>) -> String {
    let mut page = Page { text: String::new(), columns };
    page.head(job);
    page.times(job, now);
    page.error(job);
    page.usage(job);
    let detail = job.error.as_ref().and_then(|error| error.detail.as_ref());
    page.json("ERROR DETAIL", detail.map(|detail| detail.get()));
    page.family(job);
    page.attempts(&job.attempts);
    page.deliveries(job);
    page.log(&job.attempts);
    page.json("INPUT", job.input.as_ref().map(|input| input.get()));
    page.json("OUTPUT", job.output.as_ref().map(|output| output.get()));
    page.text
}

struct Page {
    text: String,
    columns: Option<usize>,
}

impl Page {
    fn head(&mut self, job: &Job) {
        self.field("job", &job.id);
        self.field("kind", &format!("{}, class {}", job.kind, job.class));
        self.field("state", &job.state);
        if let Some(reason) = &job.reason {
            self.field("reason", reason);
        }
        if let Some(progress) = &job.progress {
            let percent = progress.percent.map_or_else(String::new, |at| format!("{at} % "));
            self.field("progress", &format!("{percent}{}", progress.note));
        }
        self.field("priority", &job.priority.to_string());
        let losses = match job.losses {
            0 => String::new(),
            losses => format!("; runs lost with their host: {losses}"),
        };
        self.field("attempt", &format!("{} of {}{losses}", job.attempt, job.attempts_max));
        if let Some(flow) = &job.flow {
            self.field("flow", &format!("{} of {}", flow.name, flow.id));
        }
        if let Some(fire) = &job.schedule {
            self.field("schedule", &fire.line());
        }
        for (label, text) in [
            ("caller", &job.caller),
            ("callback", &job.callback),
            ("plugin", &job.plugin),
            ("trace", &job.trace_parent),
        ] {
            if let Some(text) = text {
                self.field(label, text);
            }
        }
    }

    fn times(&mut self, job: &Job, now: Millis) {
        self.at("enqueued", Some(&job.enqueued_at), now);
        if job.run_at.0 != job.enqueued_at.0 {
            self.at("due", Some(&job.run_at), now);
        }
        self.at("deadline", job.deadline.as_ref(), now);
        self.at("started", job.started_at.as_ref(), now);
        self.at("finished", job.finished_at.as_ref(), now);
        for (label, ms) in [("waited", job.wait_ms(now)), ("ran", job.run_ms(now))] {
            if let Some(ms) = ms {
                self.field(label, &span(ms));
            }
        }
    }

    fn error(&mut self, job: &Job) {
        let Some(error) = &job.error else { return };
        self.field("error", &error.line());
    }

    fn usage(&mut self, job: &Job) {
        let usage = &job.usage;
        if usage.calls == 0 {
            return;
        }
        let rate = usage
            .tokens_per_second
            .map_or_else(String::new, |rate| format!(", {rate:.1} tokens/s"));
        let wasted = match usage.wasted_tokens {
            0 => String::new(),
            wasted => format!("; lost by giving way: {wasted}"),
        };
        let tokens = format!(
            "model calls: {}; tokens: {} in, {} out{rate}{wasted}",
            usage.calls, usage.input_tokens, usage.output_tokens
        );
        self.field("usage", &tokens);
        let first = usage
            .first_token_ms
            .map_or_else(String::new, |ms| format!(", first token after {}", span(ms)));
        let times = format!(
            "queue {}, load {}, prompt {}, generate {}{first}",
            span(usage.queue_ms),
            span(usage.load_ms),
            span(usage.prompt_ms),
            span(usage.generate_ms)
        );
        self.field("", &times);
    }

    fn family(&mut self, job: &Job) {
        if let Some(tree) = tree(job) {
            self.section("FAMILY", &tree.render(self.columns));
        }
    }

    fn attempts(&mut self, attempts: &[Attempt]) {
        if attempts.is_empty() {
            return;
        }
        let mut table = Table::new(["RUN", "ATTEMPT", "STARTED", "TOOK", "OUTCOME", "ERROR"]);
        for one in attempts {
            let took = one.finished_at.as_ref().and_then(|end| end.since_ms(&one.started_at));
            table.row([
                one.run.to_string(),
                one.attempt.to_string(),
                one.started_at.0.clone(),
                took.map_or_else(|| "-".to_owned(), span),
                one.outcome.clone().unwrap_or_else(|| "runs".to_owned()),
                one.error.as_ref().map_or_else(String::new, |error| error.line()),
            ]);
        }
        self.section("ATTEMPTS", &table.render(self.columns));
    }

    fn deliveries(&mut self, job: &Job) {
        if job.deliveries.is_empty() {
            return;
        }
        let mut table = Table::new(["EVENT", "STATE", "ATTEMPTS", "NEXT", "TARGET", "LAST ERROR"]);
        for one in &job.deliveries {
            table.row([
                one.event.clone(),
                one.state.clone(),
                one.attempts.to_string(),
                one.next_at.as_ref().map_or_else(|| "-".to_owned(), |at| at.0.clone()),
                one.target.clone(),
                one.last_error.clone().unwrap_or_default(),
            ]);
        }
        self.section("DELIVERIES", &table.render(self.columns));
    }

    fn log(&mut self, attempts: &[Attempt]) {
        let lines: Vec<String> = attempts
            .iter()
            .flat_map(|one| &one.log)
            .map(|line| format!("{} {:5} {}", line.at.0, line.level, line.message))
            .collect();
        if lines.is_empty() {
            return;
        }
        let hidden = lines.len().saturating_sub(LOG_LINES);
        let mut text = String::new();
        if hidden > 0 {
            let _ = writeln!(text, "… {hidden} earlier lines; --json has them");
        }
        for line in lines.iter().skip(hidden) {
            let _ = writeln!(text, "{}", self.fit(line));
        }
        self.section("LOG", &text);
    }

    fn json(&mut self, title: &str, json: Option<&str>) {
        let Some(json) = json else { return };
        let (beginning, hidden) = beginning(json, JSON_LINES);
        let mut text = String::new();
        for line in beginning.lines() {
            let _ = writeln!(text, "{}", self.fit(line));
        }
        if hidden > 0 {
            let _ = writeln!(text, "… {hidden} more lines; --json has them");
        }
        self.section(title, &text);
    }

    fn at(&mut self, label: &str, at: Option<&At>, now: Millis) {
        let Some(at) = at else { return };
        let text = match at.millis() {
            Some(then) if then > now => format!("{} (in {})", at.0, span(then.since_ms(now))),
            Some(then) => format!("{} ({} ago)", at.0, span(now.since_ms(then))),
            None => at.0.clone(),
        };
        self.field(label, &text);
    }

    /// A line of the head. It is never cut: it may hold a sentence that says what to do.
    fn field(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.text, "{label:LABEL_COLUMNS$}{}", clean(text));
    }

    fn section(&mut self, title: &str, text: &str) {
        let _ = write!(self.text, "\n{title}\n{text}");
    }

    fn fit(&self, line: &str) -> String {
        cut(&clean(line), Some(self.columns.unwrap_or(LINE_COLUMNS)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::{NOW, told};

    #[test]
    fn a_page_tells_what_the_job_went_through() {
        let job = told(&json!({
            "state": "failed", "attempt": 2, "losses": 1,
            "error": {"disposition": "fatal", "code": "trap", "message": "it panicked"},
            "usage": {"calls": 1, "input_tokens": 10, "output_tokens": 20,
                "wasted_tokens": 4, "tokens_per_second": 33.33, "queue_ms": 5, "load_ms": 1200, "prompt_ms": 7,
                "generate_ms": 600, "first_token_ms": 8},
            "attempts": [{
                "run": 1, "attempt": 1, "started_at": "2026-01-01T00:00:01.000Z",
                "finished_at": "2026-01-01T00:00:03.500Z", "outcome": "failed",
                "error": {"disposition": "retry", "code": "busy", "message": "not now"},
                "usage": {}, "log": [
                    {"at": "2026-01-01T00:00:02.000Z", "level": "info", "message": "a\nb"},
                ],
            }],
            "deliveries": [{"id": "x", "target": "alerts", "event": "job.failed",
                "state": "delivered", "attempts": 1, "next_at": null, "finished_at": null,
                "last_error": null}],
            "input": {"a": 1},
            "deadline": "2026-01-01T00:00:20.000Z",
            "schedule": {"id": "mill/daily", "fire_at": null, "by_hand": true}, "caller": "alice",
        }));
        let page = page(&job, NOW, None);
        for part in [
            "state     failed\n",
            "schedule  mill/daily, run by hand\ncaller    alice\n",
            "attempt   2 of 3; runs lost with their host: 1\n",
            "enqueued  2026-01-01T00:00:00.000Z (10.0s ago)\n",
            "deadline  2026-01-01T00:00:20.000Z (in 10.0s)\n",
            "waited    1.0s\nran       2.5s\n",
            "error     trap: it panicked\n",
            "usage     model calls: 1; tokens: 10 in, 20 out, 33.3 tokens/s; lost by giving way: 4\n",
            "queue 5ms, load 1.2s, prompt 7ms, generate 600ms, first token after 8ms\n",
            "1    1        2026-01-01T00:00:01.000Z  2.5s  failed   busy: not now\n",
            "job.failed  delivered  1         -     alerts\n",
            "\nLOG\n2026-01-01T00:00:02.000Z info  a b\n",
            "\nINPUT\n{\n  \"a\": 1\n}\n",
        ] {
            assert!(page.contains(part), "`{part}` is missing in:\n{page}");
        }
        assert!(!page.contains("OUTPUT"), "a job that failed has none:\n{page}");
    }

    #[test]
    fn a_long_output_is_bounded_and_says_what_is_missing() {
        let items: Vec<u32> = (0..100).collect();
        let job = told(&json!({ "output": { "items": items, "text": "x".repeat(1000) } }));
        let page = page(&job, NOW, Some(60));
        // Two braces, two brackets, a hundred numbers and a text.
        assert!(page.ends_with("… 65 more lines; --json has them\n"), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 60), "{page}");
    }
}
