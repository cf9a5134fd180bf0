//! `roughneck job events`: the event stream of a job, one line an event.

use anyhow::Result;
use roughneck_jobs::id::JobId;
use roughneck_testkit::sse;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Host;
use crate::terminal::{self, clean};

/// Columns of the longest event name, `progress`, and a gap.
const NAME_COLUMNS: usize = 10;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --json every line is a JSON object: {\"id\": …, \"event\": …, \"data\": …}"
)]
pub(super) struct Arguments {
    /// The job's id
    id: JobId,
}

#[derive(Serialize)]
struct Line<'a> {
    id: Option<&'a str>,
    event: &'a str,
    data: Box<RawValue>,
}

pub(super) async fn run(host: &Host, arguments: &Arguments) -> Result<()> {
    let mut events = host.client.events(arguments.id);
    while let Some(event) = events.next().await? {
        terminal::print(&if host.json { json(&event)? } else { text(&event) })?;
    }
    Ok(())
}

fn text(event: &sse::Event) -> String {
    format!("{:NAME_COLUMNS$}{}\n", clean(&event.name), clean(&event.data))
}

fn json(event: &sse::Event) -> Result<String> {
    // A line is a document; JSON has no line feeds but those between its parts.
    let data = event.data.replace(['\r', '\n'], " ");
    let data = RawValue::from_string(data).or_else(|_| to_raw_value(&event.data))?;
    let line = Line { id: event.id.as_deref(), event: &event.name, data };
    Ok(format!("{}\n", serde_json::to_string(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_in_either_form() {
        let data = "{\"output\":{\"n\":\n1.0}}".to_owned();
        let event = sse::Event { name: "end".into(), data, id: Some("3-end".into()) };
        assert_eq!(text(&event), "end       {\"output\":{\"n\": 1.0}}\n");
        assert_eq!(
            json(&event).unwrap(),
            "{\"id\":\"3-end\",\"event\":\"end\",\"data\":{\"output\":{\"n\": 1.0}}}\n"
        );
    }
}
