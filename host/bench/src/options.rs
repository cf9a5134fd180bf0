//! What the caller chose.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The options, one line each.
pub(crate) const USAGE: &str = "\
  --quick        short rounds and a small depth: the whole run takes less than three minutes
  --only CELL    one cell; may be given several times
  --no-peer      measure the host alone
  --rounds N     rounds of each cell (5; quick: 2)
  --idle SECONDS how long the idle host is watched (30; quick: 10)";

/// How much is measured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Rounds of each cell.
    pub(crate) rounds: u32,
    /// How long one round puts load on one server.
    pub(crate) span: Duration,
    /// Jobs that wait in the deep queue.
    pub(crate) depth: u64,
    /// How long the idle host is watched.
    pub(crate) idle: Duration,
    /// Whether a peer is measured beside the host.
    pub(crate) peer: bool,
    /// The cells to measure; empty for all.
    only: Vec<String>,
}

impl Options {
    /// Reads the command line of a bench that has these cells.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub(crate) fn read(arguments: &[String], cells: &[&str]) -> Result<Self> {
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let mut options = if quick { Self::quick() } else { Self::full() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().with_context(|| format!("{argument} needs a value\n\n{USAGE}"));
            match argument.as_str() {
                "--quick" => {}
                "--no-peer" => options.peer = false,
                "--only" => options.only.push(cell(value()?, cells)?),
                "--rounds" => options.rounds = number(value()?)?.max(1),
                "--idle" => options.idle = Duration::from_secs(number(value()?)?.max(1).into()),
                other => bail!("there is no option `{other}`\n\n{USAGE}"),
            }
        }
        Ok(options)
    }

    fn full() -> Self {
        Self {
            rounds: 5,
            span: Duration::from_secs(3),
            depth: 1_000_000,
            idle: Duration::from_secs(30),
            peer: true,
            only: Vec::new(),
        }
    }

    fn quick() -> Self {
        Self {
            rounds: 2,
            span: Duration::from_secs(1),
            depth: 50_000,
            idle: Duration::from_secs(10),
            ..Self::full()
        }
    }

    /// Whether the cell is to be measured.
    pub(crate) fn wants(&self, cell: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == cell)
    }
}

fn cell(name: &str, cells: &[&str]) -> Result<String> {
    if !cells.contains(&name) {
        bail!("there is no cell `{name}`; there are {}", cells.join(", "));
    }
    Ok(name.to_owned())
}

fn number(text: &str) -> Result<u32> {
    text.parse().with_context(|| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::read(&arguments, &["enqueue", "drain"])
    }

    #[test]
    fn a_cell_can_be_chosen_and_a_quick_run_shortened_further() {
        let options = read("--only drain --quick --rounds 1 --no-peer").unwrap();
        assert!(options.wants("drain") && !options.wants("enqueue"));
        assert_eq!((options.rounds, options.span), (1, Duration::from_secs(1)));
        assert!(!options.peer);
        assert!(read("").unwrap().wants("enqueue"));
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (line, expected) in [
            ("--only drane", "there is no cell `drane`; there are enqueue"),
            ("--fast", "there is no option `--fast`"),
            ("--rounds", "--rounds needs a value"),
            ("--rounds many", "`many` is not a number"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
