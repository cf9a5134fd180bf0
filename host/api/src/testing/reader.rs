//! A client of event streams, as strict as a browser.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use serde_json::Value;

/// Nothing in these tests takes this long.
const DEADLINE: Duration = Duration::from_secs(10);

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

pub(crate) struct Reader {
    body: BodyDataStream,
    bytes: Vec<u8>,
}

impl Reader {
    pub(crate) fn of(body: Body) -> Self {
        Self { body: body.into_data_stream(), bytes: Vec::new() }
    }

    /// The next event, or none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
                match parse(std::str::from_utf8(&block).unwrap()) {
                    Some(sent) => return Some(sent),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(DEADLINE, self.body.next()).await.expect("an event");
            self.bytes.extend_from_slice(&chunk?.unwrap());
        }
    }

    /// The next event of this name; those before it are skipped.
    pub(crate) async fn next_named(&mut self, name: &str) -> Sent {
        loop {
            let sent = self.next().await.expect("the stream ended");
            if sent.event == name {
                return sent;
            }
        }
    }

    /// All events up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some(sent) = self.next().await {
            all.push(sent);
        }
        all
    }
}

/// None for a block of comments.
fn parse(block: &str) -> Option<Sent> {
    let (mut event, mut id, mut data) = (None, None, Vec::new());
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
        let (name, value) = line.split_once(": ").unwrap();
        match name {
            "event" => event = Some(value.to_owned()),
            "id" => id = Some(value.to_owned()),
            "data" => data.push(value),
            _ => panic!("unexpected field {name}"),
        }
    }
    let data = serde_json::from_str(&data.join("\n")).ok()?;
    Some(Sent { event: event?, id: id.unwrap(), data })
}
