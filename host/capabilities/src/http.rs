//! HTTP to the hosts that the manifest names and the operator granted.

use std::time::Duration;

use reqwest::{
    Client, Method, Response as Answer, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use roughneck_jobs::grant::matches;

use crate::{
    HostError, Refusal, Session, clip,
    egress::{origin, refused_address, unanswered},
    held::Held,
};

const URL_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;

/// URL, headers and body of one request together.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// Body of one response: it is copied into the guest's memory.
const RESPONSE_BYTES_MAX: usize = 8 << 20;

const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Headers that say how the message is framed, where it goes or who sends it. They are the host's: a
/// guest that could set them could smuggle a second request or reach another virtual host.
const HOST_HEADERS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request as a guest builds it. A setter cannot fail in the contract, so the first mistake takes
/// the request's place, gives back what it held and is told when it is sent.
#[derive(Debug)]
pub struct Request(Result<Draft, HostError>);

#[derive(Debug)]
struct Draft {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
    timeout_ms: Option<u32>,
    held: Held,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case; values that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Adds a header.
    pub fn header(&mut self, name: &str, value: &str) {
        self.change(|draft| draft.header(name, value));
    }

    /// Sets the body.
    pub fn body(&mut self, data: Vec<u8>) {
        self.change(|draft| {
            draft.held.exchange(draft.body.len(), data.len())?;
            draft.body = data;
            Ok(())
        });
    }

    /// Sets the timeout, in milliseconds.
    pub fn timeout_ms(&mut self, timeout_ms: u32) {
        self.change(|draft| {
            draft.timeout_ms = Some(timeout_ms);
            Ok(())
        });
    }

    /// Changes the draft, unless a mistake has ended it.
    fn change(&mut self, change: impl FnOnce(&mut Draft) -> Result<(), HostError>) {
        if let Ok(draft) = &mut self.0
            && let Err(mistake) = change(draft)
        {
            self.0 = Err(mistake);
        }
    }
}

impl Draft {
    fn new(method: &str, url: &str, mut held: Held) -> Result<Self, HostError> {
        let invalid = |sentence: String| HostError::fatal("invalid-request", sentence);
        let Some(known) = METHODS.iter().find(|known| known.as_str() == method) else {
            let methods = METHODS.each_ref().map(Method::as_str).join(", ");
            return Err(invalid(format!("`{}` is not a method; use {methods}", clip(method, 16))));
        };
        if url.len() > URL_BYTES_MAX {
            return Err(invalid(format!("a URL has at most {URL_BYTES_MAX} bytes")));
        }
        held.take(url.len())?;
        let (headers, body) = (HeaderMap::new(), Vec::new());
        Ok(Self {
            method: known.clone(),
            url: url.to_owned(),
            headers,
            body,
            timeout_ms: None,
            held,
        })
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), HostError> {
        let shown = clip(name, 64);
        let invalid = |why: &str| {
            HostError::fatal(
                "invalid-request",
                format!("the header `{shown}` cannot be sent: {why}"),
            )
        };
        self.held.take(name.len().saturating_add(value.len()))?;
        if self.headers.len() >= HEADERS_MAX {
            return Err(invalid(&format!("a request has at most {HEADERS_MAX} headers")));
        }
        let name: HeaderName = name.parse().map_err(|_| invalid("its name is not one"))?;
        if HOST_HEADERS.contains(&name.as_str()) {
            return Err(invalid("the host sets it; leave it out"));
        }
        let value: HeaderValue =
            value.parse().map_err(|_| invalid("its value has control characters"))?;
        self.headers.append(name, value);
        Ok(())
    }
}

impl Session {
    /// Begins a request.
    ///
    /// # Errors
    /// [`crate::Exhausted`].
    pub fn http_request(&mut self, method: &str, url: &str) -> Result<Request, crate::Exhausted> {
        self.count()?;
        Ok(Request(Draft::new(method, url, self.held.request(REQUEST_BYTES_MAX))))
    }

    /// Sends a request. Redirects are returned, not followed.
    ///
    /// # Errors
    /// [`Refusal`] when the host is not granted, cannot be reached or answers too much.
    pub async fn http_send(&mut self, request: Request) -> Result<Response, Refusal> {
        self.admit().await?;
        let Draft { method, url, headers, body, timeout_ms, held: _held } = request.0?;
        let url = self.http_url(&url)?;
        let client = self.http_client(&url)?;
        let asked_ms = timeout_ms.map_or(u64::MAX, u64::from);
        let timeout = Duration::from_millis(asked_ms.min(self.left_ms()));
        let origin = origin(&url);
        let failed = |error: reqwest::Error| self.http_failed(&origin, &error);
        let sent = client.request(method, url).headers(headers).body(body).timeout(timeout);
        let answer = self.ports.egress.send(&self.plugin, sent).await.map_err(failed)?;
        Ok(self.http_read(&origin, answer).await?)
    }

    /// The URL, if manifest and grant name its host.
    fn http_url(&self, text: &str) -> Result<Url, HostError> {
        let invalid = |why: &str| HostError::fatal("invalid-request", format!("the URL {why}"));
        let url = Url::parse(text).map_err(|error| invalid(&format!("is not one: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("must start with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(
                "must not carry a user or a password; set the `authorization` header",
            ));
        }
        let names = names(&url);
        let named = |patterns: &[String]| {
            patterns.iter().any(|pattern| names.iter().any(|name| matches(pattern, name)))
        };
        let shown = clip(&origin(&url), 128);
        if !self.wanted.http.as_ref().is_some_and(|wish| named(&wish.hosts)) {
            let sentence = format!(
                "the manifest does not name the host of `{shown}`; add it to `http.hosts` under [capabilities] in plugin.toml"
            );
            return Err(HostError::fatal("http-not-granted", sentence));
        }
        if !named(&self.grant.http) {
            let sentence = format!(
                "the operator has not granted HTTP to `{shown}`; add it to `http` under [grants.{}] in roughneck.toml",
                self.plugin
            );
            return Err(HostError::fatal("http-not-granted", sentence));
        }
        Ok(url)
    }

    fn http_client(&self, url: &Url) -> Result<&Client, HostError> {
        let client = self.ports.egress.client(url, self.grant.http_private);
        client.map_err(|refused| self.http_private(&refused.to_string()))
    }

    async fn http_read(&self, origin: &str, mut answer: Answer) -> Result<Response, HostError> {
        let too_large = || {
            HostError::fatal(
                "response-too-large",
                format!(
                    "{origin} answered more than {RESPONSE_BYTES_MAX} bytes; ask for less at once"
                ),
            )
        };
        let announced = answer.content_length().unwrap_or(0);
        if usize::try_from(announced).map_or(true, |bytes| bytes > RESPONSE_BYTES_MAX) {
            return Err(too_large());
        }
        let status = answer.status().as_u16();
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let headers = answer.headers().iter().filter_map(text).collect();
        let mut body = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| self.http_failed(origin, &error))?
        {
            if body.len().saturating_add(chunk.len()) > RESPONSE_BYTES_MAX {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body })
    }

    fn http_failed(&self, origin: &str, error: &reqwest::Error) -> HostError {
        if let Some(refused) = refused_address(error) {
            return self.http_private(&refused.to_string());
        }
        let code = if error.is_timeout() { "http-timeout" } else { "unreachable" };
        HostError::retryable(code, unanswered(origin, error))
    }

    fn http_private(&self, what: &str) -> HostError {
        HostError::fatal(
            "private-address",
            format!(
                "{what}; if the plugin may reach it, write `http-private = true` under [grants.{}] in roughneck.toml",
                self.plugin
            ),
        )
    }
}

/// The names a pattern may match: `host:port`, and `host` alone when the port is the scheme's own. A
/// grant for a host is thereby none for whatever else listens on it.
fn names(url: &Url) -> Vec<String> {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let port = url.port_or_known_default().unwrap_or_default();
    let mut names = vec![format!("{host}:{port}")];
    if url.port().is_none() {
        names.push(host.to_owned());
    }
    names
}

#[cfg(test)]
mod tests;
