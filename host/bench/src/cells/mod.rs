//! What is measured, one file a cell.

mod depth;
mod dispatch;
mod drain;
mod enqueue;
mod idle;
mod plugin;
mod start;

use anyhow::Result;

use crate::{stand::Stand, table::Row};

/// The body of every submission: 147 bytes.
pub(crate) const BODY: &str = r#"{"kind":"noop","input":{"tenant":"north","url":"https://example.com/articles/2026/queue-engines","lang":"en","words":120,"tags":["a","b","c","d"]}}"#;

/// A cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    Enqueue,
    Drain,
    Plugin,
    Dispatch,
    Depth,
    Start,
    Idle,
}

/// All cells, by the name that `--only` takes.
pub(crate) const ALL: [(&str, Cell); 7] = [
    ("enqueue", Cell::Enqueue),
    ("drain", Cell::Drain),
    ("plugin", Cell::Plugin),
    ("dispatch", Cell::Dispatch),
    ("depth", Cell::Depth),
    ("start", Cell::Start),
    ("idle", Cell::Idle),
];

impl Cell {
    /// Measures the cell.
    ///
    /// # Errors
    /// If a process does not do what it should.
    pub(crate) async fn measure(self, stand: &Stand) -> Result<Vec<Row>> {
        match self {
            Self::Enqueue => enqueue::measure(stand).await,
            Self::Drain => drain::measure(stand).await,
            Self::Plugin => plugin::measure(stand).await,
            Self::Dispatch => dispatch::measure(stand).await,
            Self::Depth => depth::measure(stand).await,
            Self::Start => start::measure(stand).await,
            Self::Idle => idle::measure(stand).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_body_is_as_long_as_its_comment_says() {
        assert_eq!(super::BODY.len(), 147);
    }
}
