//! How long a host that was there may be away.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Refused, answer::Silent};

/// It stops, is replaced, and compiles its plugins.
const AWAY_LIMIT: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(500);

/// The patience with a host whose answers are waited for.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Since when it is away, if it was there before.
    away_since: Option<Instant>,
}

impl Patience {
    /// It answers.
    pub(crate) fn found(&mut self) {
        self.away_since = None;
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
    pub(crate) fn bear(&self, error: anyhow::Error) -> Result<()> {
        match self.away_since {
            Some(since) if since.elapsed() < AWAY_LIMIT && may_pass(&error) => Ok(()),
            Some(_) | None => Err(error),
        }
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    error.is::<Silent>() || error.downcast_ref::<Refused>().is_some_and(|no| no.is_temporary)
}
