//! How long a host that was there may be away.

use std::{
    mem,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Refused, answer::Silent};
use crate::terminal;

/// It stops, is replaced, and compiles its plugins.
const AWAY_LIMIT: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(500);

/// The patience with a host whose answers are waited for.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Since when it is away, if it was there before.
    away_since: Option<Instant>,
    /// What a person is told who waits.
    words: Option<Words>,
    /// It was told that the host is away, which it still is.
    has_told: bool,
    /// It was told since somebody asked.
    is_news: bool,
}

/// What is waited for.
#[derive(Debug)]
struct Words {
    /// Such as `job 01…`.
    what: String,
    /// The command that waits for it.
    again: String,
}

impl Patience {
    /// One that tells on standard error that it waits. `what` is kept by the host, and waited for by the command `again`.
    pub(crate) fn telling(what: String, again: String) -> Self {
        Self { words: Some(Words { what, again }), ..Self::default() }
    }

    /// It answers.
    pub(crate) fn found(&mut self) {
        (self.away_since, self.has_told) = (None, false);
    }

    /// It was there, and is not.
    pub(crate) fn lost(&mut self) {
        self.away_since.get_or_insert_with(Instant::now);
    }

    /// Waits a moment, if it is away.
    pub(crate) async fn pause(&self) {
        if self.away_since.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Bears an error, if the host was there and may come back.
    ///
    /// # Errors
    /// The error, if it is not to be borne.
    pub(crate) fn bear(&mut self, error: anyhow::Error) -> Result<()> {
        let Some(since) = self.away_since.filter(|_| may_pass(&error)) else { return Err(error) };
        if since.elapsed() >= AWAY_LIMIT {
            return Err(match &self.words {
                Some(words) => error.context(words.given_up()),
                None => error,
            });
        }
        if let Some(words) = self.words.as_ref().filter(|_| !self.has_told) {
            terminal::tell(&words.waits());
            (self.has_told, self.is_news) = (true, true);
        }
        Ok(())
    }

    /// Whether there is a new line on standard error, below what is drawn there.
    pub(crate) fn has_told(&mut self) -> bool {
        mem::take(&mut self.is_news)
    }
}

impl Words {
    fn waits(&self) -> String {
        let Self { what, .. } = self;
        let limit = AWAY_LIMIT.as_secs();
        format!(
            "the host is away; {what} is safe with it, and the host is waited for, {limit} s at most"
        )
    }

    fn given_up(&self) -> String {
        let Self { what, again } = self;
        let limit = AWAY_LIMIT.as_secs();
        format!(
            "the host did not come back within {limit} s; {what} goes on when it does, and `{again}` waits again"
        )
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    error.is::<Silent>() || error.downcast_ref::<Refused>().is_some_and(|no| no.is_temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> anyhow::Error {
        let (url, cause) = ("http://127.0.0.1:1".to_owned(), "refused".to_owned());
        Silent::Unreachable { url, cause }.into()
    }

    fn telling() -> Patience {
        Patience::telling("job 7".to_owned(), "roughneck job wait 7".to_owned())
    }

    #[test]
    fn who_waits_is_told_once_that_the_host_is_away_and_again_when_it_is_away_again() {
        let mut patience = telling();
        assert!(patience.bear(silent()).is_err(), "it was never there");
        for _ in 0..2 {
            patience.lost();
            patience.bear(silent()).unwrap();
            assert!(patience.has_told());
            patience.bear(silent()).unwrap();
            assert!(!patience.has_told());
            patience.found();
        }
        let waits = patience.words.unwrap().waits();
        assert!(waits.contains("job 7 is safe") && waits.contains("120 s"), "{waits}");
    }

    #[test]
    fn who_has_waited_long_enough_is_told_how_to_wait_again() {
        let Some(long_ago) = Instant::now().checked_sub(AWAY_LIMIT) else { return };
        let mut patience = Patience { away_since: Some(long_ago), ..telling() };
        let error = patience.bear(silent()).unwrap_err();
        let shown = format!("{error:#}");
        assert!(shown.contains("`roughneck job wait 7` waits again: no host answers"), "{shown}");
        let mut silently = Patience { words: None, ..patience };
        assert!(silently.bear(silent()).unwrap_err().is::<Silent>());
    }
}
