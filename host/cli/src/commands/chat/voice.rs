//! Where an answer is shown while it comes.

use anyhow::Result;

use crate::{
    client::Piece,
    terminal::{self, cut, stderr_size, stdout_size},
};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// The voice of one answer.
pub(super) struct Voice {
    is_json: bool,
    is_terminal: bool,
    /// Whether what was shown last was thought, and not said.
    thinks: bool,
    waits: bool,
}

impl Voice {
    pub(super) fn new(is_json: bool) -> Self {
        let is_terminal = stdout_size().is_some();
        Self { is_json, is_terminal, thinks: false, waits: false }
    }

    /// Shows that there is nothing to show yet: in place on a terminal, elsewhere once.
    pub(super) fn wait(&mut self, line: &str) {
        if self.is_json {
            return;
        }
        if let Some(size) = stderr_size() {
            terminal::status(&cut(line, Some(size.columns)));
        } else if !self.waits {
            terminal::tell(line);
        }
        self.waits = true;
    }

    /// Shows a piece. What is thought is for people at a terminal only.
    pub(super) fn say(&mut self, piece: &Piece) -> Result<()> {
        if self.is_json {
            return terminal::print(&format!("{}\n", piece.text));
        }
        let (thinking, content) = (&piece.message.thinking, &piece.message.content);
        if thinking.is_empty() && content.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.waits) && stderr_size().is_some() {
            terminal::status("");
        }
        if !self.is_terminal {
            return terminal::print(content);
        }
        terminal::print(&self.dressed(thinking, content))
    }

    /// Ends the answer's last line.
    pub(super) fn end(&self) -> Result<()> {
        if self.is_json { Ok(()) } else { terminal::print("\n") }
    }

    /// Each piece ends plain: whoever stops the answer stops this process, and keeps the terminal.
    fn dressed(&mut self, thinking: &str, content: &str) -> String {
        let mut text = String::new();
        if !thinking.is_empty() {
            self.thinks = true;
            text.extend([DIM, &tame(thinking), PLAIN]);
        }
        if !content.is_empty() {
            if std::mem::take(&mut self.thinks) {
                text.push_str("\n\n");
            }
            text.push_str(&tame(content));
        }
        text
    }
}

/// A model's words, which may have lines but must not steer the terminal.
fn tame(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_thought_is_dim_and_what_is_said_is_not() {
        let mut voice = Voice { is_json: false, is_terminal: true, thinks: false, waits: false };
        assert_eq!(voice.dressed("hm", ""), "\x1b[2mhm\x1b[0m");
        assert_eq!(voice.dressed(", so", ""), "\x1b[2m, so\x1b[0m");
        assert_eq!(voice.dressed("", "Yes"), "\n\nYes");
        assert_eq!(voice.dressed("", ".\n"), ".\n");
    }

    #[test]
    fn a_model_cannot_steer_the_terminal() {
        assert_eq!(tame("a\x1b[2J\tb\r\nc\u{9b}"), "a[2J\tb\nc");
    }
}
