//! The chunks of HTTP/1.1, read as they come: how much of the body is there, and whether it is all.

use anyhow::{Result, bail};

/// A body in chunks, as far as it has come. Nothing of it is kept.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    at: At,
    /// Bytes of the body so far, those of the framing not counted.
    pub(crate) bytes: u64,
    /// Line feeds in the body so far.
    pub(crate) lines: u64,
}

#[derive(Debug)]
enum At {
    /// In the line before a chunk: its size so far, and whether its digits are over.
    Size {
        size: usize,
        is_read: bool,
    },
    /// In a chunk, with so many bytes to come.
    Data {
        left: usize,
    },
    /// In the line feed after a chunk.
    DataEnd,
    /// In the line after the last chunk. Nobody here sends trailers.
    Last,
    Over,
}

impl Default for At {
    fn default() -> Self {
        Self::Size { size: 0, is_read: false }
    }
}

impl Chunked {
    /// Reads what has come.
    ///
    /// # Errors
    /// If it is not how chunks are written.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            if let At::Data { left } = self.at {
                let (data, rest) = bytes.split_at(left.min(bytes.len()));
                self.bytes += data.len() as u64;
                self.lines += data.iter().filter(|byte| **byte == b'\n').count() as u64;
                let left = left - data.len();
                self.at = if left == 0 { At::DataEnd } else { At::Data { left } };
                bytes = rest;
            } else {
                self.frame(first)?;
                bytes = rest;
            }
        }
        Ok(())
    }

    /// Whether the whole body has come.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.at, At::Over)
    }

    fn frame(&mut self, byte: u8) -> Result<()> {
        self.at = match (&self.at, byte) {
            (At::Size { size, .. }, b'\n') => match *size {
                0 => At::Last,
                left => At::Data { left },
            },
            // What follows the size is an extension, which nobody needs.
            (At::Size { size, .. }, b';' | b'\r') => At::Size { size: *size, is_read: true },
            (At::Size { size, is_read: true }, _) => At::Size { size: *size, is_read: true },
            (At::Size { size, is_read: false }, _) => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    bail!("the size of a chunk has the byte {byte:#x}");
                };
                At::Size { size: size.saturating_mul(16) + digit as usize, is_read: false }
            }
            (At::DataEnd, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => At::default(),
            (At::Last, b'\r') => At::Last,
            (At::Last, b'\n') => At::Over,
            (At::Data { .. } | At::DataEnd | At::Last | At::Over, _) => {
                bail!("the byte {byte:#x} does not belong between chunks")
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_counted_however_it_is_cut() {
        let wire = b"3\r\na\nb\r\nA;x=1\r\n0123456\n8\n\r\n0\r\n\r\n";
        for cut in 1..wire.len() {
            let mut body = Chunked::default();
            for piece in wire.chunks(cut) {
                assert!(!body.is_over());
                body.read(piece).unwrap();
            }
            assert_eq!((body.bytes, body.lines, body.is_over()), (13, 3, true), "cut {cut}");
        }
    }

    #[test]
    fn what_are_no_chunks_is_refused() {
        for wire in ["x\r\n", "1\r\nab", "0\r\n\r\nmore"] {
            assert!(Chunked::default().read(wire.as_bytes()).is_err(), "{wire}");
        }
    }
}
