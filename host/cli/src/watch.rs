//! Redraws what a host says on a terminal, until Ctrl-C.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    client::Answer,
    terminal::{self, Size, stdout_size},
};

const INTERVAL: Duration = Duration::from_secs(2);

/// Clears the screen, once.
const CLEAR: &str = "\x1b[2J";
/// Goes to the corner of the screen.
const HOME: &str = "\x1b[H";
/// Clears the rest of the line before it ends.
const LINE_END: &str = "\x1b[K\n";
/// Clears what is left of an older, longer text.
const REST: &str = "\x1b[J";

/// Reads and draws again and again. A host that restarts meanwhile is told in the text's place.
///
/// # Errors
/// If the output is no terminal, or the host does not answer the first time.
pub(crate) async fn watch(
    read: impl AsyncFn() -> Result<Answer>,
    draw: impl Fn(&Answer, Size) -> Result<String>,
) -> Result<()> {
    ensure!(
        stdout_size().is_some(),
        "--watch redraws a terminal, and the output is none; leave --watch out"
    );
    let mut answer = Ok(read().await?);
    terminal::print(CLEAR)?;
    // Asked for every time, because a window changes its size.
    while let Some(size) = stdout_size() {
        let text = match answer.and_then(|answer| draw(&answer, size)) {
            Ok(text) => text,
            Err(error) => format!("{}\n", terminal::clean(&format!("{error:#}"))),
        };
        terminal::print(&screen(&text, size))?;
        tokio::time::sleep(INTERVAL).await;
        answer = read().await;
    }
    Ok(())
}

/// What to send to the terminal to show the text, of which only what fits.
fn screen(text: &str, size: Size) -> String {
    let lines = text.lines().take(size.rows.saturating_sub(1));
    let lines: String = lines.map(|line| format!("{line}{LINE_END}")).collect();
    format!("{HOME}{lines}{REST}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_text_never_scrolls_the_screen() {
        let screen = screen("a\nb\nc\nd\n", Size { columns: 80, rows: 3 });
        assert_eq!(screen, "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
