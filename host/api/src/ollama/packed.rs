//! Bodies that a client has packed: Codex does.

use std::io::Read as _;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use ruzstd::decoding::StreamingDecoder;

use crate::{code::Code, problem::Problem};

/// The body as it was before it was packed, of at most `bytes_max` bytes.
///
/// # Errors
/// [`Code::BodyTooLarge`], and [`Code::MalformedJson`] for what cannot be unpacked.
pub(super) fn unpacked(
    headers: &HeaderMap,
    body: Bytes,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") else {
        return Ok(body);
    };
    if encoding != "zstd" {
        let sentence = "the body is packed in a way that is not taken; send it plain, or as zstd";
        return Err(Problem::new(Code::MalformedJson, sentence));
    }
    let damaged = || Problem::new(Code::MalformedJson, "the zstd body cannot be unpacked");
    let decoder = StreamingDecoder::new(&*body).map_err(|_no_zstd| damaged())?;
    let mut plain = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut plain).map_err(|_damaged| damaged())?;
    if plain.len() > bytes_max {
        let sentence = format!("the body is larger than {bytes_max} bytes when it is unpacked");
        return Err(Problem::new(Code::BodyTooLarge, sentence));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `aaaa`, as one block that stands for a repeated byte.
    const FRAME: [u8; 10] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 0x23, 0x00, 0x00, b'a'];

    fn read(encoding: &'static str, body: &'static [u8], max: usize) -> Result<Bytes, Code> {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().unwrap())]);
        unpacked(&headers, Bytes::from_static(body), max).map_err(|problem| problem.failed().code)
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit() {
        assert_eq!(read("zstd", &FRAME, 4), Ok(Bytes::from_static(b"aaaa")));
        assert_eq!(read("zstd", &FRAME, 3), Err(Code::BodyTooLarge));
        assert_eq!(read("zstd", b"{}", 4), Err(Code::MalformedJson));
        assert_eq!(read("gzip", b"{}", 4), Err(Code::MalformedJson));
        assert_eq!(read("identity", b"{}", 4), Ok(Bytes::from_static(b"{}")));
    }
}
