//! The host's own log, on standard error.

use std::{io::IsTerminal, str::FromStr};

use anyhow::{Context, Result};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

const VARIABLE: &str = "ROUGHNECK_LOG";

const DEFAULT: &str = "info";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log. `ROUGHNECK_LOG` filters it: a level, or a list such as
/// `info,roughneck_store=debug`.
///
/// # Errors
/// A sentence, if the filter cannot be read. A mistake that silences the log would hide itself.
pub(crate) fn start(format: Format) -> Result<()> {
    let written = std::env::var(VARIABLE).unwrap_or_default();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter(&written)?).with_writer(std::io::stderr);
    match format {
        Format::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

fn filter(written: &str) -> Result<EnvFilter> {
    let written = if written.trim().is_empty() { DEFAULT } else { written.trim() };
    let wrong = || {
        format!(
            "{VARIABLE}=`{written}` is not a filter; write error, warn, info, debug or trace, \
             or a list such as info,roughneck_store=debug"
        )
    };
    // A bare word is taken for a module's name and would silence everything else.
    for part in written.split(',').filter(|part| !part.contains('=')) {
        LevelFilter::from_str(part.trim()).with_context(wrong)?;
    }
    EnvFilter::builder().parse(written).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_silence_the_log_by_mistake_is_refused() {
        for good in ["", " ", "debug", "info,roughneck_store=debug", "off"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["debgu", "nonsense=[[", "info,roughneck_store=loud"] {
            assert!(filter(bad).unwrap_err().to_string().contains("is not a filter"), "{bad}");
        }
    }
}
