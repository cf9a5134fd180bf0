//! How far a reader of a job's events is. Its text is the id of every event, so that whoever sends
//! it back as `Last-Event-ID` goes on exactly there.

use std::{fmt, str::FromStr};

use roughneck_jobs::event::Live;

/// `{seq}` before any text, `{seq}-{run}-{offset}` after some, `{seq}-end` after the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last durable event that was sent; 0 before the first.
    pub(crate) seq: i64,
    /// The text that was sent.
    pub(crate) place: Place,
}

/// How much was sent of which run's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing yet.
    #[default]
    Start,
    /// Of this run, up to this byte.
    Text {
        /// The fencing token.
        run: i64,
        /// In bytes of the run's text.
        offset: u64,
    },
    /// Everything, the `end` event included.
    End,
}

/// A text that is no id of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not the id of an event of this stream; send the last id you have seen, or none to start over"
)]
pub(crate) struct NotACursor(String);

impl Cursor {
    /// The part of a run's text that the reader has not seen, with the byte at which it begins. That
    /// is past the reader's place only if the front of the text is no longer kept.
    pub(crate) fn unseen<'a>(&self, live: &'a Live) -> Option<(u64, &'a str)> {
        let seen = match self.place {
            Place::Text { run, offset } if run == live.run => offset,
            // The text of another run says nothing about this one's.
            Place::Start | Place::Text { .. } | Place::End => 0,
        };
        let skip = usize::try_from(seen.saturating_sub(live.text_from)).unwrap_or(usize::MAX);
        // Only an id that was made up points past the end or into a character.
        let skip = if skip > live.text.len() { 0 } else { live.text.floor_char_boundary(skip) };
        let text = live.text.get(skip..).filter(|text| !text.is_empty())?;
        Some((live.text_from.saturating_add(skip as u64), text))
    }

    /// Notes that `text` of `run`, which begins at byte `from`, was sent.
    pub(crate) fn sent(&mut self, run: i64, from: u64, text: &str) {
        self.place = Place::Text { run, offset: from.saturating_add(text.len() as u64) };
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Start => write!(f, "{}", self.seq),
            Place::Text { run, offset } => write!(f, "{}-{run}-{offset}", self.seq),
            Place::End => write!(f, "{}-end", self.seq),
        }
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        parse(text).ok_or_else(|| NotACursor(text.chars().take(64).collect()))
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let mut parts = text.split('-');
    let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0);
    let seq = number(parts.next()?)?;
    let place = match (parts.next(), parts.next(), parts.next()) {
        (None, None, None) => Place::Start,
        (Some("end"), None, None) => Place::End,
        (Some(run), Some(offset), None) => {
            Place::Text { run: number(run)?, offset: offset.parse().ok()? }
        }
        _ => return None,
    };
    Some(Cursor { seq, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(text_from: u64, text: &str) -> Live {
        Live { run: 3, text_from, text: text.into(), ..Live::default() }
    }

    fn at(run: i64, offset: u64) -> Cursor {
        Cursor { seq: 1, place: Place::Text { run, offset } }
    }

    #[test]
    fn an_id_reads_back_and_nothing_else_is_one() {
        for text in ["0", "7", "7-2-4096", "7-end"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in ["", "x", "-1", "7-", "7-2", "7-2-", "7-2-x", "7-2-3-4", "7-end-1", "7--1-2"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_reader_gets_what_it_has_not_seen() {
        let table = [
            ("of a new run everything", Cursor::default(), live(0, "abc"), Some((0, "abc"))),
            ("after another run's text everything", at(2, 2), live(0, "abc"), Some((0, "abc"))),
            ("the rest", at(3, 1), live(0, "abc"), Some((1, "bc"))),
            ("nothing twice", at(3, 3), live(0, "abc"), None),
            ("nothing of nothing", Cursor::default(), live(0, ""), None),
            ("the rest of a text without its front", at(3, 12), live(10, "abc"), Some((12, "c"))),
            ("what is left when its place is gone", at(3, 4), live(10, "abc"), Some((10, "abc"))),
            (
                "everything after a place that never was",
                at(3, 99),
                live(0, "abc"),
                Some((0, "abc")),
            ),
            ("whole characters after a made-up place", at(3, 2), live(0, "aüb"), Some((1, "üb"))),
        ];
        for (what, cursor, live, expected) in table {
            assert_eq!(cursor.unseen(&live), expected, "{what}");
        }
    }

    #[test]
    fn a_text_that_grows_and_loses_its_front_is_read_once_and_whole() {
        let whole = "añ€🦀".repeat(50);
        let characters: Vec<char> = whole.chars().collect();
        let (mut cursor, mut read) = (Cursor::default(), String::new());
        for end in 1..=characters.len() {
            // The reader is never further behind than the two characters that are kept.
            let begin = end.saturating_sub(2);
            let text_from: usize = characters[..begin].iter().map(|c| c.len_utf8()).sum();
            let kept: String = characters[begin..end].iter().collect();
            let live = live(text_from as u64, &kept);
            let (from, text) = cursor.unseen(&live).unwrap();
            assert_eq!(from, read.len() as u64);
            read.push_str(text);
            cursor.sent(live.run, from, text);
            cursor = cursor.to_string().parse().unwrap();
        }
        assert_eq!(read, whole);
    }
}
