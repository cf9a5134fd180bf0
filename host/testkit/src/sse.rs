//! A reader of server-sent events, for clients that follow a job.

/// One event as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event:` field; `message` when it was left out.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
    /// The `id:` field, if this event had one.
    pub id: Option<String>,
}

/// Cuts a byte stream into events, wherever the chunks fall.
#[derive(Debug, Default)]
pub struct Reader {
    pending: Vec<u8>,
}

impl Reader {
    /// Takes the next chunk and returns the events that are whole now. Comments are skipped.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Event> {
        self.pending.extend_from_slice(chunk);
        let mut events = Vec::new();
        while let Some(end) = self.pending.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.pending.drain(..end + 2).collect();
            events.extend(parse(&String::from_utf8_lossy(&block)));
        }
        events
    }
}

fn parse(block: &str) -> Option<Event> {
    let mut event = Event { name: "message".to_owned(), ..Event::default() };
    let mut data: Vec<&str> = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "data" => data.push(value),
            "id" => event.id = Some(value.to_owned()),
            // A comment has an empty field name; other fields are none of ours.
            _ => {}
        }
    }
    event.data = data.join("\n");
    (!data.is_empty()).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_wherever_the_chunks_are_cut() {
        let stream =
            ": hello\n\nid: 1\nevent: state\ndata: {\"a\":1}\n\nevent: token\ndata: ä\ndata: b\n\n";
        let whole = Reader::default().push(stream.as_bytes());
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[1].data, "ä\nb");
        assert_eq!(whole[0].id.as_deref(), Some("1"));
        for cut in 0..stream.len() {
            let (head, tail) = stream.as_bytes().split_at(cut);
            let mut reader = Reader::default();
            let mut events = reader.push(head);
            events.extend(reader.push(tail));
            assert_eq!(events, whole, "cut at {cut}");
        }
    }
}
