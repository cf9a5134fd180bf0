//! The input of a plugin, on the command line or in a file.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::value::RawValue;

#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// The plugin's input
    #[arg(long, value_name = "JSON", value_parser = json, conflicts_with = "input_file")]
    input: Option<Box<RawValue>>,
    /// A file with the plugin's input; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
}

impl Input {
    /// The input, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no JSON.
    pub(super) fn read(self) -> Result<Option<Box<RawValue>>> {
        match &self.input_file {
            Some(path) => read(path).map(Some),
            None => Ok(self.input),
        }
    }
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("this is no JSON: {error}; a text needs its own quotes, as in '\"text\"'")
    })
}

/// The JSON in a file, or on standard input if it is `-`.
pub(super) fn read(path: &Path) -> Result<Box<RawValue>> {
    let (text, shown) = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        (text, "standard input".to_owned())
    } else {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        (text, shown)
    };
    serde_json::from_str(&text).with_context(|| format!("{shown} holds no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_keeps_its_bytes_and_what_is_no_json_is_explained() {
        assert_eq!(json(r#"{"z":1.0,"a":2}"#).unwrap().get(), r#"{"z":1.0,"a":2}"#);
        assert!(json("hello").unwrap_err().contains("quotes"));
    }
}
