//! What a host answers, and what is said when it does not.

use std::error::Error;

use anyhow::{Context, Result};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use crate::terminal::clean;

/// A successful answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
}

/// The host understood the request and refused it.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Refused {
    detail: String,
    /// Whether the same request may be served later.
    pub(crate) is_temporary: bool,
    /// Whether something that it names is not there.
    pub(super) is_missing: bool,
    /// The host's `problem+json`, as it came.
    pub(crate) document: String,
}

/// The host did not answer, or not to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silent {
    #[error(
        "no host answers at {url} ({cause}); start one with `roughneck serve`, or name another with --url or ROUGHNECK_URL"
    )]
    Unreachable { url: String, cause: String },
    #[error("the host at {url} did not answer to the end: {cause}")]
    BrokenOff { url: String, cause: String },
}

#[derive(Deserialize)]
struct Problem {
    /// Ollama's surface refuses as Ollama does, and calls it otherwise.
    #[serde(alias = "error")]
    detail: String,
}

impl Refused {
    /// The same, with more for people to go on with.
    pub(super) fn with_hint(self, hint: &str) -> Self {
        Self { detail: format!("{}; {hint}", self.detail), ..self }
    }
}

impl Answer {
    pub(super) async fn read(url: &str, response: Response) -> Result<Self> {
        let text = response.text().await.map_err(|error| silent(url, &error))?;
        if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
            anyhow::bail!("{url} does not answer as a Roughneck host does; check --url");
        }
        Ok(Self { text })
    }

    /// The host's JSON, to the byte.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Reads the answer.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        serde_json::from_str(&self.text)
            .context("the host's answer cannot be read; is it of another version?")
    }
}

/// Sends a request; the answer's head tells whether it was served.
pub(super) async fn send(url: &str, request: RequestBuilder) -> Result<Response> {
    let response = request.send().await.map_err(|error| silent(url, &error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let document = response.text().await.map_err(|error| silent(url, &error))?;
    match serde_json::from_str::<Problem>(&document) {
        Ok(problem) => Err(Refused {
            detail: by_command(clean(&problem.detail)),
            is_temporary: status == StatusCode::SERVICE_UNAVAILABLE,
            is_missing: status == StatusCode::NOT_FOUND,
            document,
        }
        .into()),
        Err(_) => anyhow::bail!(
            "{url} answered {status}, which is not how a Roughneck host refuses; check --url"
        ),
    }
}

/// What the host says of its routes, in commands.
fn by_command(detail: String) -> String {
    ["job", "flow", "schedule"].into_iter().fold(detail, |detail, noun| {
        detail.replace(&format!("`GET /{noun}s` lists"), &format!("`roughneck {noun} list` lists"))
    })
}

/// Why a request came to nothing. Only the innermost cause says something to a person.
pub(super) fn silent(url: &str, error: &reqwest::Error) -> Silent {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let (url, cause) = (url.to_owned(), innermost.to_string());
    if error.is_connect() {
        Silent::Unreachable { url, cause }
    } else {
        Silent::BrokenOff { url, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lists_is_named_as_a_command() {
        let detail = by_command("there is no job 7; `GET /jobs` lists those there are".to_owned());
        assert_eq!(detail, "there is no job 7; `roughneck job list` lists those there are");
        let other = "there is nothing at `/job`; `GET /help` lists what there is";
        assert_eq!(by_command(other.to_owned()), other);
    }
}
