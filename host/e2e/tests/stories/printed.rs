//! What a process prints.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// How long a process may print nothing while a test waits for it: a first start compiles the plugins.
const SILENCE_MAX: Duration = Duration::from_secs(180);

/// The lines that a process prints. They are read all the time, so that it never waits for the test.
pub(crate) struct Printed {
    lines: Receiver<String>,
}

impl Printed {
    pub(crate) fn of(output: impl Read + Send + 'static) -> Self {
        let (said, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines();
            lines.map_while(Result::ok).try_for_each(|line| said.send(line))
        });
        Self { lines }
    }

    /// The next line; none if it prints no more.
    pub(crate) fn next(&self) -> Option<String> {
        match self.lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was printed for {SILENCE_MAX:?}"),
        }
    }

    /// Reads on to the first line that has these words.
    pub(crate) fn until(&self, words: &str) {
        let mut seen = Vec::new();
        while let Some(line) = self.next() {
            let is_it = line.contains(words);
            seen.push(line);
            if is_it {
                return;
            }
        }
        panic!("`{words}` is missing in:\n{}", seen.join("\n"));
    }

    /// What is printed until there is no more.
    pub(crate) fn rest(&self) -> String {
        std::iter::from_fn(|| self.next()).map(|line| line + "\n").collect()
    }
}
