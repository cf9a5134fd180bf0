//! HTTP to the hosts that the manifest names and the operator granted. Redirects are answers, not
//! followed.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::roughneck::plugin::http;
use crate::{Failure, HostError};

/// The host's codes for a request that it sent, but that nobody answered. All others are refusals.
const UNREACHABLE: &[&str] = &["unreachable", "http-timeout"];

/// True if the request was allowed, but nobody answered it: for a plugin that watches others, that
/// is a result and no failure.
#[must_use]
pub fn is_unreachable(error: &HostError) -> bool {
    UNREACHABLE.contains(&error.code.as_str())
}

/// A request under construction.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request(http::Request);

/// Starts a GET.
pub fn get(url: &str) -> Request {
    request("GET", url)
}

/// Starts a POST.
pub fn post(url: &str) -> Request {
    request("POST", url)
}

/// Starts a request with any method.
pub fn request(method: &str, url: &str) -> Request {
    Request(http::Request::new(method, url))
}

impl Request {
    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.0.header(name, value);
        self
    }

    /// Sets the body.
    pub fn body(self, data: &[u8]) -> Self {
        self.0.body(data);
        self
    }

    /// Sets the body to JSON and says so in `content-type`.
    ///
    /// # Errors
    /// If `value` cannot be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_vec(value).map_err(|error| {
            Failure::fail(
                "unwritable-body",
                format!("The body cannot be written as JSON: {error}."),
            )
        })?;
        Ok(self.header("content-type", "application/json").body(&body))
    }

    /// Gives up after `timeout`. The host shortens it to what is left of the run.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.0.timeout_ms(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends it and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    /// If the host refuses the destination, or nothing answers, or the body is larger than the host
    /// allows.
    pub fn send(self) -> Result<Response, HostError> {
        http::send(self.0).map(Response)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response(http::Response);

impl Response {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is not JSON of that shape (code `unexpected-answer`, retried).
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0.body).map_err(|error| {
            Failure::retry(
                "unexpected-answer",
                format!("The answer is not the expected JSON: {error}."),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_unreachable;
    use crate::HostError;

    #[test]
    fn a_refusal_by_the_host_is_not_taken_for_a_dead_site() {
        for (code, unreachable) in [
            ("http-timeout", true),
            ("unreachable", true),
            ("http-not-granted", false),
            ("private-address", false),
        ] {
            let error = HostError {
                code: code.to_owned(),
                message: String::new(),
                retryable: true,
                retry_after_ms: None,
            };
            assert_eq!(is_unreachable(&error), unreachable, "{code}");
        }
    }
}
