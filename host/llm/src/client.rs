//! HTTP to Ollama: connections, deadlines, and what its refusals mean.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Body, Method, Response, Url, header, redirect, retry};
use roughneck_jobs::model::LlmError;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    broken::Broken,
    config::{BadConfig, Config},
};

/// Enough for the inventory of thousands of models.
const BODY_BYTES_MAX: usize = 16 << 20;

/// One Ollama, by its address.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    /// The address without user and password, for people.
    shown: String,
    probe_timeout: Duration,
    first_byte: Duration,
}

impl Client {
    pub(crate) fn new(config: &Config) -> Result<Self, BadConfig> {
        // Whoever comes first installs it for the process; that it was there already is no error.
        let _present = rustls::crypto::ring::default_provider().install_default();
        let url = config.parsed_url()?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            // A connection of its own for every call: dropping the answer then closes it, which is
            // the only way to cancel, and none can have gone stale while a job was running.
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            // `HTTP_PROXY` is meant for the world outside; Ollama is at home.
            .no_proxy()
            .user_agent(concat!("roughneck/", env!("CARGO_PKG_VERSION")));
        if url.scheme() == "http" {
            // A machine without any certificates can still talk to its own Ollama.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(BadConfig::Client)?;
        Ok(Self {
            http,
            shown: without_secrets(&url),
            url,
            probe_timeout: config.probe_timeout,
            first_byte: config.first_byte,
        })
    }

    /// The address, fit to be shown.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Asks a small question, which does Ollama no harm: whatever goes wrong, it is away.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, LlmError> {
        let request = self.http.get(self.at(path)).timeout(self.probe_timeout);
        let response = request.send().await.map_err(|error| self.unavailable(&error))?;
        let mut response = accepted(response).await?;
        let read = read(&mut response, BODY_BYTES_MAX).await;
        let body = read.map_err(|error| self.unavailable(&error))?.unwrap_or_default();
        serde_json::from_slice(&body).map_err(|error| LlmError::Unavailable {
            url: self.shown.clone(),
            why: format!("{path} does not answer as Ollama does: {error}"),
        })
    }

    /// Sends work, and returns when the answer begins.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Result<Response, Broken> {
        let request = self
            .http
            .post(self.at(path))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .send();
        let answered = tokio::time::timeout(self.first_byte, request).await;
        let response = answered
            .map_err(|_elapsed| Broken::silent(self.first_byte))?
            .map_err(|error| self.undone(&error))?;
        Ok(accepted(response).await?)
    }

    /// Sends a client's work as it came, and returns when an answer begins, whatever its status.
    pub(crate) async fn forward(
        &self,
        path: &str,
        body: Bytes,
        user_agent: Option<&str>,
    ) -> Result<Response, Broken> {
        let mut request =
            self.http.post(self.at(path)).header(header::CONTENT_TYPE, "application/json");
        if let Some(user_agent) = user_agent {
            request = request.header(header::USER_AGENT, user_agent);
        }
        let answered = tokio::time::timeout(self.first_byte, request.body(body).send()).await;
        answered
            .map_err(|_elapsed| Broken::silent(self.first_byte))?
            .map_err(|error| self.undone(&error))
    }

    /// Sends a request that needs no model, and returns when its answer begins. Gigabytes may follow in
    /// both directions, so nothing but the connection has a limit of time.
    pub(crate) async fn pass(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, String)],
        body: Body,
    ) -> Result<Response, LlmError> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| LlmError::Invalid(format!("`{method}` is no method")))?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = self.at(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let mut request = self.http.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.body(body).send().await.map_err(|error| self.unavailable(&error))
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Work without an answer. Ollama is away only if no connection was made: work that was on its way
    /// may be what killed it, and must use up an attempt, or it would come back to kill it for ever.
    fn undone(&self, error: &reqwest::Error) -> Broken {
        if error.is_connect() { self.unavailable(error).into() } else { Broken::cut(error) }
    }

    fn unavailable(&self, error: &reqwest::Error) -> LlmError {
        let why = if error.is_timeout() {
            "it does not answer in time".to_owned()
        } else {
            root_cause(error)
        };
        LlmError::Unavailable { url: self.shown.clone(), why }
    }
}

/// The innermost error: the layers above it only repeat themselves and the address.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<reqwest::Error>() { "the request failed".to_owned() } else { cause.to_string() }
}

async fn accepted(mut response: Response) -> Result<Response, LlmError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = read(&mut response, BODY_BYTES_MAX).await.ok().flatten().unwrap_or_default();
    Err(LlmError::Refused { status: status.as_u16(), message: words(&body) })
}

/// Ollama's own words in the body of a refusal, in whichever of its forms; anything else is shown as far as
/// it is short.
pub(crate) fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Native(String),
        Others { message: String },
    }
    #[derive(Deserialize)]
    struct Refusal {
        error: Words,
    }
    if let Ok(Refusal { error: Words::Native(words) | Words::Others { message: words } }) =
        serde_json::from_slice(body)
    {
        return words;
    }
    let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    if text.is_empty() { "it gave no reason".to_owned() } else { text }
}

/// The body of an answer, unless it is longer than `bytes_max`.
pub(crate) async fn read(
    response: &mut Response,
    bytes_max: usize,
) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > bytes_max {
            return Ok(None);
        }
    }
    Ok(Some(body.freeze()))
}

fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for addresses without a host, which hold no secrets either.
    let _cannot_have_one = shown.set_username("");
    let _cannot_have_one = shown.set_password(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_kept_as_a_prefix_and_secrets_are_never_shown() {
        let client = Client::new(&Config::new("http://me:secret@host:1234/prefix/")).unwrap();
        assert_eq!(client.at("/api/tags").path(), "/prefix/api/tags");
        assert_eq!(client.shown(), "http://host:1234/prefix");
        assert!(Client::new(&Config::new("https://host")).is_ok());
    }

    #[test]
    fn a_refusal_is_told_in_ollama_s_own_words() {
        for (body, said) in [
            (
                r#"{"error":"model requires more system memory"}"#,
                "model requires more system memory",
            ),
            (r#"{"error":{"message":"it is busy","type":"api_error"}}"#, "it is busy"),
            ("404 page not found", "404 page not found"),
            ("", "it gave no reason"),
        ] {
            assert_eq!(words(body.as_bytes()), said);
        }
    }
}
