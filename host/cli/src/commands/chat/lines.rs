//! What is typed.

use std::io;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Lines of standard input. A thread reads them that nobody waits for: it may sit on a line that is never
/// finished.
pub(super) fn read() -> UnboundedReceiver<String> {
    let (typed, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            let Ok(line) = line else { return };
            if typed.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
