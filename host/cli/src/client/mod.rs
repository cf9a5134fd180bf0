//! A client of a running host, for the commands that speak to one.
//!
//! It goes straight to the host, whatever proxy the environment names, and keeps the host's answers
//! as they came, for `--json`.

mod answer;
mod call;
mod events;
mod flow;
mod job;
mod model;
mod patience;
mod schedule;

pub(crate) use answer::{Answer, Refused};
pub(crate) use call::{Call, Caller, Piece};
pub(crate) use events::Events;
#[cfg(test)]
pub(crate) use flow::tests::told as told_flow;
pub(crate) use flow::{Flow, Part};
#[cfg(test)]
pub(crate) use job::tests::{NOW, told};
pub(crate) use job::{At, Attempt, Family, Job, Relative};
pub(crate) use model::{Alias, Aliases, Installed, Loaded, Loads, Models, with_hint};
pub(crate) use patience::Patience;
#[cfg(test)]
pub(crate) use schedule::tests::told as told_schedule;
pub(crate) use schedule::{Schedule, path as schedule_path};

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{RequestBuilder, Response, Url, header::ACCEPT};
use roughneck_jobs::id::JobId;

/// Where a host listens that was not told otherwise.
const URL_DEFAULT: &str = "http://127.0.0.1:7117";

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Longer than the pause between two comments of an event stream, so that only a dead host is late.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);

/// Which host to speak to, and how to print what it says.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// The host to speak to
    #[arg(long, env = "ROUGHNECK_URL", default_value = URL_DEFAULT, value_parser = host_url)]
    #[arg(global = true, help_heading = "Host", hide_env_values = true)]
    pub(crate) url: String,
    /// Print the host's JSON, and nothing else on standard output
    #[arg(long, global = true, help_heading = "Host")]
    pub(crate) json: bool,
}

/// Speaks to one host.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// A client of the host at `url`, which [`host_url`] has read.
    pub(crate) fn new(url: &str) -> Result<Self> {
        crate::commands::serve::install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT)
            .build()?;
        Ok(Self { http, url: url.to_owned() })
    }

    /// Reads what is at the path.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.ask(self.http.get(format!("{}{path}", self.url))).await
    }

    /// Reads a list, narrowed by those parameters that have a value.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<Answer> {
        self.ask(self.http.get(self.narrowed(path, query)?)).await
    }

    /// Deletes from a list what those parameters name that have a value.
    pub(crate) async fn delete_list(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<Answer> {
        self.ask(self.http.delete(self.narrowed(path, query)?)).await
    }

    fn narrowed(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Url> {
        let mut url = Url::parse(&format!("{}{path}", self.url))?;
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url)
    }

    /// Sends a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &impl serde::Serialize) -> Result<Answer> {
        self.ask(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// Puts a JSON body in the place of what is at the path.
    pub(crate) async fn put(&self, path: &str, body: &impl serde::Serialize) -> Result<Answer> {
        self.ask(self.http.put(format!("{}{path}", self.url)).json(body)).await
    }

    /// Deletes what is at the path.
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.ask(self.http.delete(format!("{}{path}", self.url))).await
    }

    /// Everything about one job.
    pub(crate) async fn job(&self, id: JobId) -> Result<Answer> {
        self.get(&format!("/jobs/{id}")).await
    }

    /// Follows a job from its first event.
    pub(crate) fn events(&self, id: JobId) -> Events<'_> {
        Events::new(self, id)
    }

    /// Opens an event stream after the event `last`, or from its beginning.
    async fn open(&self, path: &str, last: Option<&str>) -> Result<Response> {
        let mut request =
            self.http.get(format!("{}{path}", self.url)).header(ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        answer::send(&self.url, request).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer> {
        let response = answer::send(&self.url, request).await?;
        Answer::read(&self.url, response).await
    }
}

/// The path of what is called `name` in a collection, whatever the name has in it.
pub(crate) fn path_of(collection: &str, name: &str) -> String {
    // Any address will do: only its path is wanted.
    let mut path = format!("/{collection}/");
    if let Ok(mut url) = Url::parse("http://host/")
        && let Ok(()) = url.path_segments_mut().map(|mut segments| {
            segments.push(name);
        })
    {
        path.push_str(url.path().trim_start_matches('/'));
    }
    path
}

/// A host's address without the slash at its end.
pub(crate) fn host_url(text: &str) -> Result<String> {
    let url: Url = text
        .parse()
        .with_context(|| format!("`{text}` is not a URL; write it as {URL_DEFAULT}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        bail!("`{text}` is not the URL of a host; write it as {URL_DEFAULT}");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("`{text}` has more than an address and a path; write it as {URL_DEFAULT}");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("a host takes no user and no password; write it as {URL_DEFAULT}");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_without_its_last_slash() {
        assert_eq!(host_url("http://localhost:7117/").unwrap(), "http://localhost:7117");
        assert_eq!(host_url("https://a.example/jobs/").unwrap(), "https://a.example/jobs");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for wrong in ["", "localhost:7117", "ftp://a", "http://a/?b", "7117", "http://a:b@c"] {
            let error = host_url(wrong).unwrap_err().to_string();
            assert!(error.contains(URL_DEFAULT), "{wrong}: {error}");
        }
    }
}
