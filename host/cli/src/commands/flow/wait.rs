//! `roughneck flow wait`, and the end of `roughneck flow submit --wait`: shows a flow until it is over.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use anyhow::{Context, Result};
use roughneck_jobs::{clock::Clock as _, id::FlowId};

use super::{Host, tree::tree};
use crate::{
    client::{Answer, Flow, Job, Patience},
    commands::job::{duration, wait::print_output},
    exit::{self, Exit},
    span::span,
    system::System,
    terminal::{self, Size, clean, stderr_size},
};

/// A short flow is told soon; a long one costs the host little.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(2);

/// Without wrapping, a line of wide characters stays one line, and the next redraw finds its way.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

#[derive(Debug, clap::Args)]
#[command(after_help = exit::CODES)]
pub(super) struct Arguments {
    /// The flow's id
    id: FlowId,
    /// How long to wait, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<Exit> {
    until_end(host, arguments.id, arguments.timeout).await
}

/// Shows the flow on standard error until it is over, and prints the output of its last job, if there is
/// one, on standard output. A host that restarts meanwhile is waited for.
pub(super) async fn until_end(host: &Host, id: FlowId, limit: Option<Duration>) -> Result<Exit> {
    let answer = match limit {
        None => follow(host, id).await?,
        Some(limit) => match tokio::time::timeout(limit, follow(host, id)).await {
            Ok(answer) => answer?,
            Err(_) => return late(host, id, limit).await,
        },
    };
    host.print_json(&answer)?;
    let flow: Flow = answer.parse()?;
    let exit = Exit::of_job(&flow.state)
        .with_context(|| format!("the flow {id} is {}, which is no end", flow.state))?;
    match exit {
        Exit::Done => {
            if let Some(goal) = flow.goal().filter(|goal| goal.state == "done") {
                let answer = host.client.get(&format!("/jobs/{}", goal.id)).await?;
                let job: Job = answer.parse()?;
                print_output(host, &job)?;
            }
        }
        Exit::JobFailed | Exit::JobCancelled => terminal::tell(&format!(
            "the flow is {}; `roughneck flow show {id}` says why, and `roughneck flow retry {id}` runs again what is not done",
            clean(&flow.state)
        )),
        // No state of a flow.
        Exit::Error | Exit::TimedOut => {}
    }
    Ok(exit)
}

/// Looks again and again, and returns what the host said when the flow was over.
async fn follow(host: &Host, id: FlowId) -> Result<Answer> {
    let path = format!("/flows/{id}");
    let mut patience = Patience::telling(format!("flow {id}"), format!("roughneck flow wait {id}"));
    let mut live = Live::default();
    let (mut interval, mut was_seen) = (INTERVAL_MIN, false);
    loop {
        patience.pause().await;
        match host.client.get(&path).await {
            Ok(answer) => {
                was_seen = true;
                patience.found();
                let flow: Flow = answer.parse()?;
                if patience.has_told() {
                    live.drawn = 0;
                }
                live.show(&flow, stderr_size());
                if flow.state != "running" {
                    return Ok(answer);
                }
                tokio::time::sleep(interval).await;
                interval = interval.mul_f64(1.3).min(INTERVAL_MAX);
            }
            Err(error) => {
                if was_seen {
                    patience.lost();
                }
                patience.bear(error)?;
            }
        }
    }
}

async fn late(host: &Host, id: FlowId, limit: Duration) -> Result<Exit> {
    let answer = host.client.get(&format!("/flows/{id}")).await?;
    host.print_json(&answer)?;
    let flow: Flow = answer.parse()?;
    let waited = span(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    terminal::tell(&format!(
        "the flow is {} after {waited}, and goes on; `roughneck flow wait {id}` waits again",
        flow.state
    ));
    Ok(Exit::TimedOut)
}

/// What is shown of a flow that runs.
#[derive(Default)]
struct Live {
    /// Lines on the terminal that the next redraw replaces.
    drawn: usize,
    /// The last line where nothing can be redrawn.
    line: String,
}

impl Live {
    fn show(&mut self, flow: &Flow, screen: Option<Size>) {
        let text = match screen {
            Some(size) => self.redraw(flow, size),
            None => self.news(flow),
        };
        // Whoever does not look any more must not stop the flow from being waited for.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// On a terminal the tree, of which only what fits.
    fn redraw(&mut self, flow: &Flow, size: Size) -> String {
        let mut text = String::from(NO_WRAP);
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A\x1b[J", self.drawn);
        }
        let _ = writeln!(text, "state     {}, {}", clean(&flow.state), flow.progress());
        let tree = tree(flow, System.now()).render(Some(size.columns));
        let lines: Vec<&str> = tree.lines().take(size.rows.saturating_sub(3)).collect();
        for line in &lines {
            let _ = writeln!(text, "{line}");
        }
        self.drawn = lines.len() + 1;
        text.push_str(WRAP);
        text
    }

    /// Elsewhere a line, whenever it says something new.
    fn news(&mut self, flow: &Flow) -> String {
        let line = format!("state     {}, {}\n", clean(&flow.state), flow.progress());
        if line == self.line {
            return String::new();
        }
        self.line.clone_from(&line);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::told_flow;

    #[test]
    fn without_a_terminal_only_news_are_lines() {
        let mut live = Live::default();
        let runs = told_flow("running", &[("a", "working", &[])]);
        assert_eq!(live.news(&runs), "state     running, 0 of 1 job over: 1 working\n");
        assert_eq!(live.news(&runs), "");
        let over = told_flow("done", &[("a", "done", &[])]);
        assert_eq!(live.news(&over), "state     done, 1 of 1 job over: 1 done\n");
    }

    #[test]
    fn a_terminal_is_redrawn_in_place_and_never_scrolls() {
        let flow = told_flow("running", &[("a", "done", &[]), ("b", "working", &["a"])]);
        let mut live = Live::default();
        let size = Size { columns: 40, rows: 5 };
        assert!(!live.redraw(&flow, size).contains("\x1b[J"), "it is drawn where the cursor is");
        let again = live.redraw(&flow, size);
        assert!(again.starts_with("\x1b[?7l\x1b[3A\x1b[Jstate     running"), "{again:?}");
        assert_eq!(again.lines().count(), 4, "{again:?}");
    }
}
