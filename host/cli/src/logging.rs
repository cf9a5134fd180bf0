//! The host's own log, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log. `ROUGHNECK_LOG` filters it, as in `info,roughneck_store=debug`.
pub(crate) fn start(format: Format) {
    let filter =
        EnvFilter::try_from_env("ROUGHNECK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
}
