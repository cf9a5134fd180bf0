//! Cuts an answer into frames, whole lines or whole events, without copying what arrives whole.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// Longest frame, in bytes; Ollama's own Go client draws the line for a line here too.
pub(crate) const FRAME_BYTES_MAX: usize = 8 << 20;

/// A frame goes on past [`FRAME_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// What ends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One line each.
    Lines,
    /// Server-sent events: a blank line.
    Events,
}

/// The frames of one answer. Only whole ones go on, so that an error can follow at any time.
#[derive(Debug)]
pub(crate) struct Frames {
    framing: Framing,
    /// The beginning of a frame whose end has not come.
    partial: BytesMut,
}

impl Framing {
    fn end(self) -> &'static [u8] {
        match self {
            Self::Lines => b"\n",
            Self::Events => b"\n\n",
        }
    }

    /// The frames in what [`Frames::push`] returned.
    pub(crate) fn split(self, whole: &[u8]) -> impl Iterator<Item = &[u8]> {
        let end = self.end();
        let mut ends = memmem::find_iter(whole, end).map(move |at| at + end.len());
        let mut passed = 0;
        std::iter::from_fn(move || {
            let frame = passed..ends.next().unwrap_or(whole.len());
            passed = frame.end;
            whole.get(frame).filter(|frame| !frame.is_empty())
        })
    }
}

impl Frames {
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, partial: BytesMut::new() }
    }

    /// Takes what came next and returns the frames that are whole with it, back to back.
    ///
    /// # Errors
    /// [`TooLong`] if a frame has no end.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Bytes, TooLong> {
        let end = self.framing.end();
        if self.partial.is_empty() && chunk.ends_with(end) {
            return Ok(chunk);
        }
        self.partial.extend_from_slice(&chunk);
        // An end may lie across two chunks, but in nothing that was searched before the last one.
        let searched = self.partial.len().saturating_sub(chunk.len() + end.len() - 1);
        let tail = self.partial.get(searched..).unwrap_or_default();
        match memmem::rfind(tail, end) {
            Some(at) => Ok(self.partial.split_to(searched + at + end.len()).freeze()),
            None if self.partial.len() > FRAME_BYTES_MAX => Err(TooLong),
            None => Ok(Bytes::new()),
        }
    }

    /// At the end of the stream: a last frame that nothing ended.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.partial.split().freeze()
    }
}

/// The data of an event: what follows `data:` on its lines. Ollama writes one such line.
pub(crate) fn data(event: &str) -> Option<&str> {
    event.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_arrives_whole_goes_on_as_it_is() {
        let mut frames = Frames::new(Framing::Lines);
        let chunk = Bytes::from_static(b"{}\n{}\n");
        let whole = frames.push(chunk.clone()).unwrap();
        assert_eq!(whole.as_ptr(), chunk.as_ptr());
        assert_eq!(Framing::Lines.split(&whole).collect::<Vec<_>>(), [b"{}\n", b"{}\n"]);
    }

    #[test]
    fn a_frame_without_end_is_refused_at_the_limit() {
        let mut frames = Frames::new(Framing::Events);
        assert_eq!(frames.push(vec![b'x'; FRAME_BYTES_MAX].into()), Ok(Bytes::new()));
        assert_eq!(frames.push(Bytes::from_static(b"x")), Err(TooLong));
    }

    #[test]
    fn the_data_of_an_event_is_found_behind_its_name() {
        assert_eq!(data("event: ping\ndata: {\"a\":1}\n\n"), Some("{\"a\":1}"));
        assert_eq!(data(": comment\n\n"), None);
    }

    proptest! {
        #[test]
        fn where_the_chunks_end_changes_nothing(
            events in prop::collection::vec("[a-z]{1,9}", 0..9),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
            lines: bool,
        ) {
            let framing = if lines { Framing::Lines } else { Framing::Events };
            let end = std::str::from_utf8(framing.end()).unwrap();
            let wanted: Vec<String> = events.iter().map(|event| format!("{event}{end}")).collect();
            let text = wanted.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut frames = Frames::new(framing);
            let mut read = Vec::new();
            for cut in cuts.windows(2) {
                let chunk = Bytes::copy_from_slice(&text.as_bytes()[cut[0]..cut[1]]);
                let whole = frames.push(chunk).unwrap();
                let frames = framing.split(&whole).map(<[u8]>::to_vec);
                read.extend(frames.map(|frame| String::from_utf8(frame).unwrap()));
            }
            prop_assert_eq!(read, wanted);
            prop_assert!(frames.rest().is_empty());
        }
    }
}
