//! The host's own log, on standard error.

use std::{
    fmt::{self, Debug, Write as _},
    io::IsTerminal,
    str::FromStr,
};

use anyhow::{Context, Result, anyhow};
use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    filter::LevelFilter,
    fmt::{
        FormatFields,
        format::{Writer, debug_fn},
    },
};

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
        Format::Text => log
            .fmt_fields(on_one_line())
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Writes the message and the fields of an event. They quote what clients, plugins and models say, which must
/// neither look like a line of the log nor command a terminal. JSON has its own way of that.
fn on_one_line() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    let one = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        write!(OneLine(writer), "{value:?}")
    };
    debug_fn(one).delimited(" ")
}

/// Escapes control characters.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            if c.is_control() {
                write!(self.0, "{}", c.escape_default())
            } else {
                self.0.write_char(c)
            }
        })
    }
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
    // Its own sentence repeats that of its source.
    EnvFilter::builder().parse(written).map_err(|error| anyhow!("{}: {error}", wrong()))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs::File,
        io::{Read as _, Seek as _},
        sync::Arc,
    };

    use super::*;

    #[test]
    fn what_others_wrote_is_no_line_of_the_log() {
        let mut file = tempfile::tempfile().unwrap();
        let log = tracing_subscriber::fmt()
            .fmt_fields(on_one_line())
            .with_writer(Arc::new(File::try_clone(&file).unwrap()))
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(log, || {
            let forged = "x\n2026-11-29T00:00:00Z ERROR gone\r\0\u{1b}[2J";
            tracing::info!(kind = forged, job = %forged, attempts = 3, "no kind {forged} ä");
        });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        let shown = r"x\n2026-11-29T00:00:00Z ERROR gone\r\u{0}\u{1b}[2J";
        let quoted = r#""x\n2026-11-29T00:00:00Z ERROR gone\r\0\u{1b}[2J""#;
        let expected = format!(" INFO no kind {shown} ä kind={quoted} job={shown} attempts=3\n");
        assert_eq!(text, expected);
    }

    #[test]
    fn a_filter_that_would_silence_the_log_by_mistake_is_refused() {
        for good in ["", " ", "debug", "info,roughneck_store=debug", "off"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["debgu", "nonsense=[[", "info,roughneck_store=loud"] {
            let told = format!("{:#}", filter(bad).unwrap_err());
            assert!(told.contains("is not a filter"), "{told}");
            let parts: Vec<&str> = told.split(": ").collect();
            let distinct: BTreeSet<&&str> = parts.iter().collect();
            assert_eq!(parts.len(), distinct.len(), "{told}");
        }
    }
}
