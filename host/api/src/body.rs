//! Bodies of requests: bounded, and read as strict JSON with errors for people.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use roughneck_jobs::strict::nearest;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::{code::Code, packed, problem::Problem};

/// How often the limit is read and thrown away before the connection is closed on a body that is refused:
/// a client that is still sending would see a reset instead of the answer.
const DRAIN_FACTOR: usize = 8;

/// How long a client may send nothing of a body that it has begun.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The bodies that are being read, of all clients together. What becomes of one that is whole, others count.
#[derive(Debug)]
pub(crate) struct Bodies {
    held_bytes: AtomicUsize,
    bytes_max: usize,
}

/// What one of them holds. It is given back when it is dropped.
struct Share<'a> {
    bodies: &'a Bodies,
    bytes: usize,
}

impl Bodies {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { held_bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Reads a whole body of at most `bytes_max` bytes, and unpacks it if it is packed.
    ///
    /// # Errors
    /// [`Code::BodyTooLarge`] and [`Code::BodyCutOff`], [`Code::NotReady`] where all clients send too much at once, and those of
    /// [`packed::unpacked`].
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Bytes, Problem> {
        let body = self.receive(headers, body, bytes_max).await?;
        packed::unpacked(self, headers, body, bytes_max).await
    }

    /// Reads a whole body of at most `bytes_max` bytes, as it was sent.
    async fn receive(
        &self,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Bytes, Problem> {
        // Whoever asks first has sent nothing yet, so there is nothing to drain.
        if headers.contains_key(header::EXPECT) && declared(headers).is_some_and(|n| n > bytes_max)
        {
            return Err(too_large(bytes_max));
        }
        let mut chunks = body.into_data_stream();
        let mut share = Share { bodies: self, bytes: 0 };
        let mut kept = BytesMut::new();
        let mut seen = 0_usize;
        let mut refused = None;
        while let Some(chunk) = next(&mut chunks).await? {
            seen = seen.saturating_add(chunk.len());
            if seen > bytes_max {
                refused = Some(too_large(bytes_max));
            } else if refused.is_none() {
                match share.take(chunk.len()) {
                    Ok(()) => kept.extend_from_slice(&chunk),
                    Err(problem) => refused = Some(problem),
                }
            }
            if refused.is_some() {
                kept = BytesMut::new();
                share.give_back();
                if seen / DRAIN_FACTOR >= bytes_max {
                    break;
                }
            }
        }
        refused.map_or_else(|| Ok(kept.freeze()), Err)
    }
}

impl Bodies {
    /// Room for what a packed body of these may stand for, as long as it is held.
    ///
    /// # Errors
    /// [`Code::NotReady`].
    pub(crate) fn room(&self, bytes: usize) -> Result<impl Drop + '_, Problem> {
        let mut share = Share { bodies: self, bytes: 0 };
        share.take(bytes)?;
        Ok(share)
    }
}

impl Share<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let held = &self.bodies.held_bytes;
        let fits =
            |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.bodies.bytes_max);
        match held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => self.bytes += bytes,
            Err(_) => {
                let why = "clients send more at once than the host holds; try again soon";
                return Err(Problem::not_ready(vec![why.to_owned()]));
            }
        }
        Ok(())
    }

    fn give_back(&mut self) {
        self.bodies.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The next piece of a body, or none at its end.
async fn next(chunks: &mut BodyDataStream) -> Result<Option<Bytes>, Problem> {
    let cut_off = |why: String| Problem::new(Code::BodyCutOff, why);
    match tokio::time::timeout(SILENCE_MAX, chunks.next()).await {
        Ok(chunk) => chunk.transpose().map_err(|_| {
            cut_off("the connection broke off within the body; send it again".to_owned())
        }),
        Err(_elapsed) => Err(cut_off(format!(
            "nothing more of the body came within {} s; send it again",
            SILENCE_MAX.as_secs()
        ))),
    }
}

fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!(
            "the body is larger than {bytes_max} bytes; store the data elsewhere and submit its address"
        ),
    )
    .with("bytes_max", bytes_max)
}

/// Reads a JSON object into `T`, which should deny unknown fields.
///
/// # Errors
/// [`Code::MalformedJson`] and [`Code::NotAnObject`]; [`Code::InvalidSubmission`] if the object does
/// not fit `T`. Each says where.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    // serde would take an array for a struct, field by field.
    if first.is_none() {
        return Err(Problem::new(Code::MalformedJson, "the body is empty; send a JSON object"));
    }
    if first != Some(&b'{') {
        return Err(match serde_json::from_slice::<IgnoredAny>(body) {
            Ok(_) => not_an_object(),
            Err(error) => explain(&error),
        });
    }
    serde_json::from_slice(body).map_err(|error| explain(&error))
}

fn not_an_object() -> Problem {
    Problem::new(
        Code::NotAnObject,
        "the body must be a JSON object, such as {\"kind\": \"…\", \"input\": {…}}",
    )
}

fn explain(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let message = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let (code, message) = match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            (Code::MalformedJson, format!("the body is not JSON: {message}"))
        }
        Category::Data => (Code::InvalidSubmission, sentence(message)),
    };
    // Errors that serde finds after the last byte of a value have no position.
    if line == 0 {
        return Problem::new(code, message);
    }
    Problem::new(code, format!("line {line}, column {column}: {message}"))
        .with("line", line)
        .with("column", column)
}

/// serde says "unknown field `x`, expected one of `a`, `b`", with the names in backticks.
fn sentence(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let Some((wrong, known)) = names.split_first() else { return message.to_owned() };
    let (what, known) = if message.starts_with("missing field") {
        return format!("`{wrong}` is missing");
    } else if message.starts_with("unknown field") {
        ("field", known)
    } else if message.starts_with("unknown variant") {
        ("value", known)
    } else {
        return message.to_owned();
    };
    let wrong: String = wrong.chars().take(64).collect();
    match nearest(&wrong, known.iter().copied()) {
        Some(right) => format!("unknown {what} `{wrong}`; did you mean `{right}`?"),
        None => format!("unknown {what} `{wrong}`; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future as _,
        task::{Context, Waker},
    };

    use axum::http::HeaderValue;
    use futures_util::stream;
    use roughneck_jobs::intake::Submission;

    use super::*;

    fn silent() -> Body {
        Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
    }

    fn refused(body: &str) -> (&'static str, String) {
        let failed = object::<Submission>(body.as_bytes()).unwrap_err().failed();
        (failed.code.as_str(), failed.detail)
    }

    #[test]
    fn every_wrong_body_is_told_what_is_wrong_and_where() {
        let table = [
            ("", "malformed-json", "the body is empty; send a JSON object"),
            (" \n", "malformed-json", "the body is empty; send a JSON object"),
            (
                "{\"kind\": \"echo\",\n}",
                "malformed-json",
                "line 2, column 1: the body is not JSON: trailing comma",
            ),
            (
                "kind=echo",
                "malformed-json",
                "line 1, column 1: the body is not JSON: expected value",
            ),
            (
                "{\"kind\":\"echo\"} x",
                "malformed-json",
                "line 1, column 17: the body is not JSON: trailing characters",
            ),
            (
                "[null, \"echo\"]",
                "not-an-object",
                "the body must be a JSON object, such as {\"kind\": \"…\", \"input\": {…}}",
            ),
            ("{}", "invalid-submission", "line 1, column 2: `kind` is missing"),
            (
                "{\"knd\":\"echo\"}",
                "invalid-submission",
                "line 1, column 6: unknown field `knd`; did you mean `kind`?",
            ),
            (
                "{\"kind\":\"echo\",\"colour\":1}",
                "invalid-submission",
                "line 1, column 23: unknown field `colour`; known here: id, kind, input, priority, \
                 run_at, deadline, callback, caller",
            ),
            (
                "{\"kind\":\"echo\",\"priority\":\"hihg\"}",
                "invalid-submission",
                "line 1, column 32: `hihg` is not a priority: use urgent, high, normal, low or bulk, or a number from 0 (bulk) to 100 (urgent)",
            ),
            (
                "{\"kind\":7}",
                "invalid-submission",
                "line 1, column 9: invalid type: integer `7`, expected a string",
            ),
        ];
        for (body, code, detail) in table {
            assert_eq!(refused(body), (code, detail.to_owned()), "{body}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_malformed() {
        let failed = object::<Submission>(b"{\"kind\":\"\xff\"}").unwrap_err().failed();
        assert_eq!(failed.code, Code::MalformedJson);
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let bodies = &Bodies::new(usize::MAX);
        let read = |n: usize| async move {
            let body = Body::from(vec![b'x'; n]);
            bodies.read(&HeaderMap::new(), body, 10).await.map(|body| body.len())
        };
        assert_eq!(read(10).await.unwrap(), 10);
        assert_eq!(read(11).await.unwrap_err().failed().code, Code::BodyTooLarge);
    }

    #[tokio::test]
    async fn a_client_that_asks_first_is_refused_before_it_sends() {
        let headers = HeaderMap::from_iter([
            (header::EXPECT, "100-continue".parse().unwrap()),
            (header::CONTENT_LENGTH, "11".parse().unwrap()),
        ]);
        let read = Bodies::new(usize::MAX).read(&headers, silent(), 10).await;
        assert_eq!(read.unwrap_err().failed().code, Code::BodyTooLarge);
    }

    #[tokio::test]
    async fn a_body_that_is_packed_is_unpacked_or_refused() {
        // `aaaa`.
        const PACKED: [u8; 10] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 0x23, 0x00, 0x00, b'a'];
        let read = async |encoding: &'static str| {
            let encoding = HeaderValue::from_static(encoding);
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding)]);
            let read = Bodies::new(99).read(&headers, Body::from(PACKED.to_vec()), 10).await;
            read.map_err(|problem| problem.failed().code)
        };
        assert_eq!(read("zstd").await, Ok(Bytes::from_static(b"aaaa")));
        assert_eq!(read("identity").await, Ok(Bytes::from_static(&PACKED)));
        assert_eq!(read("gzip").await, Err(Code::UnknownEncoding));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_go_on_is_not_waited_for() {
        let bodies = Bodies::new(usize::MAX);
        let problem = bodies.read(&HeaderMap::new(), silent(), 10).await.unwrap_err();
        assert_eq!(problem.failed().code, Code::BodyCutOff);
        assert!(problem.failed().detail.contains("within 30 s"), "{problem:?}");
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded_and_give_back_what_they_held() {
        let bodies = Bodies::new(15);
        let read = async |n: usize, bytes_max: usize| {
            let read = bodies.read(&HeaderMap::new(), Body::from(vec![b'x'; n]), bytes_max).await;
            read.map(|body| body.len()).map_err(|problem| problem.failed().code)
        };
        let headers = HeaderMap::new();
        let ten = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 10])) });
        let unfinished = bodies.read(&headers, Body::from_stream(ten.chain(stream::pending())), 99);
        let mut unfinished = std::pin::pin!(unfinished);
        let mut context = Context::from_waker(Waker::noop());
        assert!(unfinished.as_mut().poll(&mut context).is_pending());
        assert_eq!(read(5, 99).await, Ok(5));
        assert_eq!(read(6, 99).await, Err(Code::NotReady));
        assert_eq!(read(6, 5).await, Err(Code::BodyTooLarge), "what is only drained holds nothing");
    }

    #[tokio::test]
    async fn an_endless_body_is_not_read_for_ever() {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789"));
        let endless = Body::from_stream(futures_util::stream::repeat_with(chunk));
        let problem =
            Bodies::new(usize::MAX).read(&HeaderMap::new(), endless, 10).await.unwrap_err();
        assert_eq!(problem.failed().code, Code::BodyTooLarge);
    }
}
