//! What commands print, and the terminal it may land on.

use std::{
    io::{self, IsTerminal, Write as _},
    os::fd::AsFd,
};

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Assumed where a terminal does not tell its size.
const SIZE_DEFAULT: Size = Size { columns: 80, rows: 24 };

/// Whoever read the output has stopped, as `head` does. That is no error.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct OutputClosed;

/// Prints to standard output, at once.
///
/// # Errors
/// [`OutputClosed`], or why the output cannot be written.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("the output cannot be written")),
    }
}

/// Prints a line to standard error. Where nobody reads it, nothing is lost: the exit code stands.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes to standard error what the next key is typed behind.
pub(crate) fn prompt(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{text}").and_then(|()| err.flush());
}

/// Writes a line to the terminal that is standard error, in the place of the last one.
pub(crate) fn status(line: &str) {
    prompt(&format!("\r\x1b[K{line}"));
}

/// The size of the terminal that is standard output, or none if it is a file or a pipe.
pub(crate) fn stdout_size() -> Option<Size> {
    let out = io::stdout();
    out.is_terminal().then(|| size(&out))
}

/// The size of the terminal that is standard error, or none if it is a file or a pipe.
pub(crate) fn stderr_size() -> Option<Size> {
    let out = io::stderr();
    out.is_terminal().then(|| size(&out))
}

fn size(terminal: &impl AsFd) -> Size {
    match rustix::termios::tcgetwinsize(terminal) {
        // Some terminals, such as serial lines, answer with zeros.
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        Ok(_) | Err(_) => SIZE_DEFAULT,
    }
}

/// One line without control characters: a plugin's or a model's words must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most `columns` characters; an ellipsis marks the cut. None cuts nothing.
pub(crate) fn cut(line: &str, columns: Option<usize>) -> String {
    match columns {
        Some(columns) if line.chars().count() > columns => {
            let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
            format!("{kept}…")
        }
        Some(_) | None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_terminal_and_says_so() {
        assert_eq!(cut("größer", Some(6)), "größer");
        assert_eq!(cut("größer", Some(4)), "grö…");
        assert_eq!(cut("größer", None), "größer");
    }

    #[test]
    fn words_of_others_cannot_steer_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\r\nc\u{9b}d"), "a [2Jb  c d");
    }
}
