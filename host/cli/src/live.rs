//! Shows one running job: on a terminal redrawn in place, elsewhere line by line.

use std::{collections::VecDeque, fmt::Write as _, io::Write};

use roughneck_testkit::sse;
use serde::Deserialize;

use crate::terminal::{Size, clean, cut};

const LABEL_COLUMNS: usize = 9;
const BAR_COLUMNS: u8 = 24;

/// Characters of a line of tokens.
const TEXT_COLUMNS: usize = 60;

/// States shown on a terminal; a job that is retried often has many.
const STATES: usize = 5;

/// Without wrapping, a line of wide characters stays one line, and the next redraw finds its way.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// What is known about a running job, and where it is shown.
pub(crate) struct Live {
    out: Box<dyn Write + Send>,
    /// None where nothing can be redrawn.
    screen: Option<Size>,
    indent: usize,
    /// The last ones, with the words that came with the newest.
    states: VecDeque<String>,
    reason: Option<String>,
    percent: Option<u8>,
    note: String,
    /// The run whose text is shown; a retry starts a text of its own.
    run: i64,
    /// On a terminal the end of the text; elsewhere what is not printed yet.
    text: String,
    /// Lines on the terminal that the next redraw replaces.
    drawn: usize,
}

#[derive(Deserialize)]
struct State {
    state: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Progress {
    percent: Option<u8>,
    note: String,
}

#[derive(Deserialize)]
struct Token {
    text: String,
    run: i64,
}

impl Live {
    /// Leaves what is drawn, since something was written below it.
    pub(crate) fn begin_below(&mut self) {
        self.drawn = 0;
    }

    /// Shows a job on `out`, which is a terminal of that size or none, `indent` columns from the left.
    pub(crate) fn new(
        out: impl Write + Send + 'static,
        screen: Option<Size>,
        indent: usize,
    ) -> Self {
        Self {
            out: Box::new(out),
            screen,
            indent,
            states: VecDeque::new(),
            reason: None,
            percent: None,
            note: String::new(),
            run: 0,
            text: String::new(),
            drawn: 0,
        }
    }

    /// Shows what an event says. One that a newer host invented says nothing to this client.
    pub(crate) fn show(&mut self, event: &sse::Event) {
        let data = event.data.as_str();
        match event.name.as_str() {
            "state" => serde_json::from_str(data).into_iter().for_each(|state| self.state(state)),
            "progress" => serde_json::from_str(data).into_iter().for_each(|one| self.progress(one)),
            "token" => serde_json::from_str(data).into_iter().for_each(|token| self.token(&token)),
            "end" => self.flush(),
            _ => {}
        }
    }

    fn state(&mut self, event: State) {
        // What the run wrote before comes first.
        self.flush();
        self.states.push_back(event.state);
        if self.states.len() > STATES {
            self.states.pop_front();
        }
        self.reason = event.reason;
        if self.screen.is_some() {
            return self.redraw();
        }
        let text = self.last_states(1);
        self.line("state", &text);
    }

    fn last_states(&self, count: usize) -> String {
        let skipped = self.states.len().saturating_sub(count);
        let states: Vec<&str> = self.states.iter().skip(skipped).map(String::as_str).collect();
        let reason = self.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        format!("{}{reason}", states.join(" → "))
    }

    fn progress(&mut self, event: Progress) {
        let percent = event.percent.map(|percent| percent.min(100));
        // Line by line, only every tenth is worth one.
        let tenth = |percent: Option<u8>| percent.map(|percent| percent / 10);
        let is_news = tenth(percent) != tenth(self.percent) || event.note != self.note;
        (self.percent, self.note) = (percent, event.note);
        if self.screen.is_some() {
            self.redraw();
        } else if is_news {
            self.line("progress", &self.bar());
        }
    }

    fn token(&mut self, event: &Token) {
        if event.run != self.run {
            self.flush();
            self.text.clear();
            self.run = event.run;
        }
        self.text.push_str(&event.text);
        let count = self.text.chars().count();
        if self.screen.is_some() {
            self.text = self.text.chars().skip(count.saturating_sub(TEXT_COLUMNS)).collect();
            self.redraw();
        } else if count >= TEXT_COLUMNS {
            self.flush();
        }
    }

    /// Prints what is left of the text.
    fn flush(&mut self) {
        if self.screen.is_none() && !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.line("tokens", &text);
        }
    }

    fn line(&mut self, label: &str, text: &str) {
        let line = self.labelled(label, text);
        self.write(&format!("{line}\n"));
    }

    fn labelled(&self, label: &str, text: &str) -> String {
        format!("{:indent$}{label:LABEL_COLUMNS$}{}", "", clean(text), indent = self.indent)
    }

    fn bar(&self) -> String {
        let Some(percent) = self.percent else { return self.note.clone() };
        let full = u16::from(percent) * u16::from(BAR_COLUMNS) / 100;
        let bar: String =
            (0..u16::from(BAR_COLUMNS)).map(|n| if n < full { '█' } else { '░' }).collect();
        format!("{bar} {percent:3} %  {}", self.note)
    }

    fn redraw(&mut self) {
        let mut screen = String::from(NO_WRAP);
        if self.drawn > 0 {
            let _ = write!(screen, "\x1b[{}A\x1b[J", self.drawn);
        }
        let lines = [
            self.labelled("state", &self.last_states(STATES)),
            self.labelled("progress", &self.bar()),
            self.labelled("tokens", &self.text),
        ];
        for line in &lines {
            screen.push_str(&cut(line, self.screen.map(|size| size.columns)));
            screen.push('\n');
        }
        screen.push_str(WRAP);
        self.drawn = lines.len();
        self.write(&screen);
    }

    /// Whoever does not look any more must not stop the job from being waited for.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Shown(Arc<Mutex<Vec<u8>>>);

    impl Write for Shown {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(screen: Option<Size>, events: &[(&str, Value)]) -> String {
        let shown = Shown::default();
        let mut live = Live::new(shown.clone(), screen, 2);
        for (name, data) in events {
            let data = data.to_string();
            live.show(&sse::Event { name: (*name).to_owned(), data, id: None });
        }
        let bytes = shown.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn without_a_terminal_everything_is_a_line_of_its_own() {
        let text = shown(
            None,
            &[
                ("state", json!({"state": "queued", "reason": "waits for Ollama"})),
                ("state", json!({"state": "working", "reason": null})),
                ("progress", json!({"percent": 50, "note": "reading"})),
                ("progress", json!({"percent": 51, "note": "reading"})),
                ("token", json!({"text": "first\n", "run": 1})),
                ("token", json!({"text": "try", "run": 1})),
                ("token", json!({"text": "second", "run": 2})),
                ("news", json!({})),
                ("state", json!({"state": "done", "reason": null})),
                ("end", json!({})),
            ],
        );
        assert_eq!(
            text,
            "  state    queued (waits for Ollama)\n  state    working\n  \
             progress ████████████░░░░░░░░░░░░  50 %  reading\n  \
             tokens   first try\n  tokens   second\n  state    done\n"
        );
    }

    #[test]
    fn a_terminal_is_redrawn_in_place_and_no_line_is_wider_than_it() {
        let text = shown(
            Some(Size { columns: 20, rows: 24 }),
            &[
                ("state", json!({"state": "queued", "reason": null})),
                ("state", json!({"state": "working", "reason": null})),
                ("progress", json!({"percent": null, "note": "a\u{1b}[2J"})),
            ],
        );
        let last = text.rsplit("\x1b[3A\x1b[J").next().unwrap();
        assert_eq!(last, "  state    queued →…\n  progress a [2J\n  tokens   \n\x1b[?7h");
        assert_eq!(text.matches("\x1b[3A").count(), 2, "the first is drawn where the cursor is");
    }
}
