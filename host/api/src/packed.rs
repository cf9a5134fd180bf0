//! Bodies that a client has packed: Codex does. Every route that takes a body unpacks it, but for blobs, which go on
//! to Ollama as they come.

use std::io::Read as _;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use ruzstd::decoding::{
    FrameDecoder, StreamingDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError::SkipFrame},
};

use crate::{body::Bodies, code::Code, problem::Problem};

/// The body as it was before it was packed, of at most `bytes_max` bytes.
///
/// # Errors
/// [`Code::BodyTooLarge`], [`Code::UnknownEncoding`], and [`Code::MalformedJson`] for what cannot be unpacked; [`Code::NotReady`]
/// where all clients send too much at once.
pub(crate) async fn unpacked(
    bodies: &Bodies,
    headers: &HeaderMap,
    body: Bytes,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    let is = |name: &str| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(name.as_bytes());
    if is("identity") {
        return Ok(body);
    }
    if !is("zstd") {
        let sentence = "the body is packed in a way that is not taken; send it plain, or as zstd";
        return Err(Problem::new(Code::UnknownEncoding, sentence));
    }
    // A few bytes may stand for megabytes, which would keep a thread of the runtime from everybody else.
    let _room = bodies.room(bytes_max)?;
    let unpacking = tokio::task::spawn_blocking(move || plain(&body, bytes_max));
    unpacking.await.unwrap_or_else(|error| Err(Problem::internal(Code::Internal, &error)))
}

/// What the frames stand for, one behind the other. Those to be skipped are for other programs.
fn plain(mut packed: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    let mut decoder = FrameDecoder::new();
    let mut plain = Vec::new();
    loop {
        match StreamingDecoder::new_with_decoder(&mut packed, &mut decoder) {
            Ok(frame) => {
                let left = bytes_max.saturating_sub(plain.len());
                let limit = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
                frame.take(limit).read_to_end(&mut plain).map_err(|_damaged| damaged())?;
            }
            Err(FrameDecoderError::ReadFrameHeaderError(SkipFrame { length, .. })) => {
                let rest = usize::try_from(length).ok().and_then(|length| packed.get(length..));
                packed = rest.ok_or_else(damaged)?;
            }
            Err(_no_frame) => return Err(damaged()),
        }
        if plain.len() > bytes_max {
            let sentence = format!("the body is larger than {bytes_max} bytes when it is unpacked");
            return Err(Problem::new(Code::BodyTooLarge, sentence));
        }
        if packed.is_empty() {
            return Ok(plain.into());
        }
    }
}

fn damaged() -> Problem {
    Problem::new(Code::MalformedJson, "the zstd body cannot be unpacked")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `aaaa`, as one block that stands for a repeated byte.
    const FRAME: [u8; 10] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 0x23, 0x00, 0x00, b'a'];

    /// One of three bytes for other programs.
    const SKIPPED: [u8; 11] = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];

    async fn read(encoding: &str, body: &[u8], max: usize) -> Result<Vec<u8>, Code> {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().unwrap())]);
        let bodies = Bodies::new(max);
        let read = unpacked(&bodies, &headers, Bytes::copy_from_slice(body), max).await;
        read.map(Vec::from).map_err(|problem| problem.failed().code)
    }

    #[tokio::test]
    async fn what_is_packed_is_unpacked_up_to_the_limit() {
        assert_eq!(read("zstd", &FRAME, 4).await, Ok(b"aaaa".to_vec()));
        assert_eq!(read("Zstd", &FRAME, 4).await, Ok(b"aaaa".to_vec()));
        assert_eq!(read("zstd", &FRAME, 3).await, Err(Code::BodyTooLarge));
        assert_eq!(read("zstd", b"{}", 4).await, Err(Code::MalformedJson));
        assert_eq!(read("zstd", b"", 4).await, Err(Code::MalformedJson));
        assert_eq!(read("gzip", b"{}", 4).await, Err(Code::UnknownEncoding));
        assert_eq!(read("identity", b"{}", 4).await, Ok(b"{}".to_vec()));
    }

    #[tokio::test]
    async fn what_a_packed_body_may_stand_for_counts_while_it_is_unpacked() {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, "zstd".parse().unwrap())]);
        let bodies = Bodies::new(7);
        let read = async |max| {
            let read = unpacked(&bodies, &headers, Bytes::from_static(&FRAME), max).await;
            read.map(Vec::from).map_err(|problem| problem.failed().code)
        };
        assert_eq!(read(8).await, Err(Code::NotReady));
        assert_eq!(read(7).await, Ok(b"aaaa".to_vec()));
        assert_eq!(read(7).await, Ok(b"aaaa".to_vec()), "it is given back");
    }

    #[tokio::test]
    async fn every_frame_is_read_and_all_of_them_have_one_limit() {
        let frames = [&FRAME[..], &SKIPPED, &FRAME].concat();
        assert_eq!(read("zstd", &frames, 8).await, Ok(b"aaaaaaaa".to_vec()));
        assert_eq!(read("zstd", &frames, 7).await, Err(Code::BodyTooLarge));
        let torn = [&FRAME[..], b"{}"].concat();
        assert_eq!(read("zstd", &torn, 8).await, Err(Code::MalformedJson));
        let torn = [&FRAME[..], &SKIPPED[..10]].concat();
        assert_eq!(read("zstd", &torn, 8).await, Err(Code::MalformedJson));
    }
}
