//! Request bodies that a client has packed.

use std::io::Read as _;

use ruzstd::decoding::StreamingDecoder;

use super::wire::Refusal;

/// Upstream's limit of what comes out.
const UNPACKED_BYTES_MAX: u64 = 20 << 20;

/// The bytes that `packed` stands for.
pub(super) fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let refuse = || Refusal::new(400, "failed to decompress zstd body");
    let decoder = StreamingDecoder::new(packed).map_err(|_no_zstd| refuse())?;
    let mut bytes = Vec::new();
    decoder.take(UNPACKED_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|_damaged| refuse())?;
    if bytes.len() as u64 > UNPACKED_BYTES_MAX {
        return Err(Refusal::new(400, "http: request body too large"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of blocks that each stand for one byte, repeated.
    fn repeated(byte: u8, blocks: usize, times: u32) -> Vec<u8> {
        // The magic number, no content size, and a window of 128 KiB.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
        for block in 1..=blocks {
            let last = u32::from(block == blocks);
            let header = (times << 3) | (1 << 1) | last;
            frame.extend(&header.to_le_bytes()[..3]);
            frame.push(byte);
        }
        frame
    }

    #[test]
    fn what_was_packed_comes_out() {
        assert_eq!(unpacked(&repeated(b'a', 2, 3)), Ok(b"aaaaaa".to_vec()));
    }

    #[test]
    fn what_is_no_zstd_and_what_grows_too_large_is_refused() {
        let message = |packed: &[u8]| unpacked(packed).unwrap_err().message;
        assert_eq!(message(b"{}"), "failed to decompress zstd body");
        let bomb = repeated(b' ', 161, 128 << 10);
        assert!(bomb.len() < 1000);
        assert_eq!(message(&bomb), "http: request body too large");
    }
}
