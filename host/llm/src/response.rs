//! What Ollama answers: the head, and then the body as it comes.

use std::{error::Error, fmt};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, StatusCode, header::CONTENT_TYPE, http::response::Parts};

use crate::direct::Rest;

/// An answer that has begun. Dropping it closes the connection, which is how Ollama learns that nobody wants the rest.
#[derive(Debug)]
pub(crate) struct Response {
    head: Parts,
    body: Body,
}

/// Where the body comes from.
#[derive(Debug)]
enum Body {
    /// A connection of our own.
    Direct(Box<Rest>),
    /// One of reqwest's.
    Library(reqwest::Body),
}

/// The connection broke, by this cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut(String);

impl Response {
    pub(crate) fn direct(head: Parts, rest: Rest) -> Self {
        Self { head, body: Body::Direct(Box::new(rest)) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// What the body is, if that can be read.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// Waits for what comes next of the body; none at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Cut`].
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Cut> {
        loop {
            let frame = match &mut self.body {
                Body::Direct(rest) => {
                    rest.frame().await.transpose().map_err(|error| Cut::by(&error))
                }
                Body::Library(body) => {
                    body.frame().await.transpose().map_err(|error| Cut::by(&error))
                }
            };
            let Some(frame) = frame? else { return Ok(None) };
            // What is no data are trailers, which nobody sends.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The body, unless it is longer than `bytes_max`.
    ///
    /// # Errors
    /// [`Cut`].
    pub(crate) async fn read(&mut self, bytes_max: usize) -> Result<Option<Bytes>, Cut> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > bytes_max {
                return Ok(None);
            }
        }
        Ok(Some(body.freeze()))
    }

    /// Waits for the end of an answer of which nothing but its end is wanted.
    ///
    /// # Errors
    /// [`Cut`].
    pub(crate) async fn finish(mut self) -> Result<(), Cut> {
        while self.chunk().await?.is_some() {}
        self.done();
        Ok(())
    }

    /// All that was wanted has come. What follows it is the end, so the connection may serve the next call.
    pub(crate) fn done(self) {
        if let Body::Direct(rest) = self.body {
            rest.spare();
        }
    }
}

impl From<reqwest::Response> for Response {
    fn from(response: reqwest::Response) -> Self {
        let (head, body) = hyper::Response::<reqwest::Body>::from(response).into_parts();
        Self { head, body: Body::Library(body) }
    }
}

impl Cut {
    /// The innermost error: the layers above it only repeat themselves and the address.
    pub(crate) fn by(error: &(dyn Error + 'static)) -> Self {
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self(if cause.is::<reqwest::Error>() {
            "the request failed".to_owned()
        } else {
            cause.to_string()
        })
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cut {}
