//! HTTP/1.1 as cheap as it can be: one connection, requests that are bytes already, answers with a
//! `Content-Length` or in chunks. A client library would take from the machine what is to be measured.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::chunked::Chunked;

/// Bytes that are asked of the system at once.
const READ_BYTES: usize = 16 << 10;

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes())
    }

    /// A `POST` of JSON.
    pub(crate) fn post(path: &str, json: &str) -> Self {
        let length = json.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        Self([head.as_bytes(), json.as_bytes()].concat())
    }
}

/// An answer, in the buffer of its connection.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// The body as JSON, of an answer that should have this status.
    ///
    /// # Errors
    /// If it has another one, or the body is no JSON.
    pub(crate) fn json(&self, status: u16) -> Result<serde_json::Value> {
        if self.status != status {
            bail!("{} instead of {status}: {}", self.status, String::from_utf8_lossy(self.body));
        }
        serde_json::from_slice(self.body).context("the answer is no JSON")
    }
}

/// How an answer came that is a stream of lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed {
    /// From the request to the first byte of the body.
    pub(crate) first_byte: Duration,
    /// Lines of the body.
    pub(crate) lines: u64,
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("nobody listens at {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ_BYTES) })
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// If the connection breaks off, or the answer is none this client reads.
    pub(crate) async fn send(&mut self, request: &Request) -> Result<Answer<'_>> {
        let head = self.ask(request).await?;
        let body_bytes = head.body_bytes.context("the answer has no Content-Length")?;
        while self.buffer.len() < head.body_begins + body_bytes {
            self.read().await?;
        }
        let body = self.buffer.get(head.body_begins..).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }

    /// Sends a request and reads its answer, which is `200` and comes in chunks, to the end. Nothing of it is kept.
    ///
    /// # Errors
    /// If the connection breaks off, or the answer is another one.
    pub(crate) async fn stream(&mut self, request: &Request) -> Result<Streamed> {
        let sent_at = Instant::now();
        let head = self.ask(request).await?;
        if head.status != 200 {
            bail!("answered {}: {}", head.status, String::from_utf8_lossy(&self.buffer));
        }
        if head.body_bytes.is_some() {
            bail!("the answer came in one piece");
        }
        drop(self.buffer.drain(..head.body_begins));
        let (mut body, mut first_byte) = (Chunked::default(), None);
        loop {
            body.read(&self.buffer)?;
            if body.bytes > 0 {
                first_byte.get_or_insert_with(|| sent_at.elapsed());
            }
            if body.is_over() {
                let first_byte = first_byte.context("the answer was empty")?;
                return Ok(Streamed { first_byte, lines: body.lines });
            }
            self.buffer.clear();
            self.read().await?;
        }
    }

    /// Sends a request and waits for the head of its answer.
    async fn ask(&mut self, request: &Request) -> Result<Head> {
        self.buffer.clear();
        self.stream.write_all(&request.0).await?;
        loop {
            self.read().await?;
            if let Some(head) = head(&self.buffer)? {
                return Ok(head);
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ_BYTES);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body_begins: usize,
    /// None if the body comes in chunks.
    body_bytes: Option<usize>,
}

/// The head of an answer, once it is there as a whole.
fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let header = |wanted: &str| {
        let headers = text.lines().filter_map(|line| line.split_once(':'));
        let mut values = headers.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        values.next().map(|(_, value)| value.trim())
    };
    let body_bytes = match header("transfer-encoding") {
        Some("chunked") => None,
        Some(other) => bail!("the answer comes as {other}"),
        None => {
            let length = header("content-length").context("the answer has no Content-Length")?;
            Some(length.parse()?)
        }
    };
    Ok(Some(Head {
        status: status.context("the answer has no status")?,
        body_begins: end + 4,
        body_bytes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhe";
        assert_eq!(head(&whole[..40]).unwrap(), None);
        let read = head(whole).unwrap().unwrap();
        assert_eq!(read, Head { status: 202, body_begins: 44, body_bytes: Some(5) });
        let chunked =
            head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap().unwrap();
        assert_eq!(chunked.body_bytes, None);
        assert!(head(b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\n").is_err());
    }
}
