//! Cuts a stream of bytes into lines, as NDJSON needs it.

use bytes::{Bytes, BytesMut};

/// Longest line, in bytes; Ollama's own Go client draws the line here too.
pub(crate) const LINE_BYTES_MAX: usize = 8 << 20;

/// A line went past [`LINE_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// What has arrived and is not yet a line.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// Bytes at the front that are known to hold no line feed: a line of many small chunks is
    /// searched once, not once for each chunk.
    searched: usize,
}

impl Lines {
    /// Takes what came next from the wire.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole line that is not blank, without its end.
    pub(crate) fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(offset) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return if self.searched > LINE_BYTES_MAX { Err(TooLong) } else { Ok(None) };
            };
            let line = self.buffer.split_to(self.searched + offset + 1).freeze();
            self.searched = 0;
            if line.len() > LINE_BYTES_MAX {
                return Err(TooLong);
            }
            let line = line.slice_ref(line.trim_ascii());
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// At the end of the stream: the last line, if nothing ended it.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        self.searched = 0;
        let rest = self.buffer.split().freeze();
        let rest = rest.slice_ref(rest.trim_ascii());
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut lines = Lines::default();
        let mut read = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next_line().unwrap() {
                read.push(line);
            }
        }
        read.extend(lines.rest());
        read
    }

    #[test]
    fn blank_lines_carriage_returns_and_a_missing_last_line_feed_are_tolerated() {
        assert_eq!(read(&[b"{\"a\"", b":1}\r", b"\n\r\n\n{\"b\":2}"]), ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_BYTES_MAX]);
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"x");
        assert_eq!(lines.next_line(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_the_chunks_end_changes_nothing(
            wanted in prop::collection::vec("[a-z{}ä]{1,12}", 0..12),
            crlf: bool,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let text: String = wanted.iter().map(|line| format!("{line}{end}")).collect();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&chunks), wanted);
        }
    }
}
