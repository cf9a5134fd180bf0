//! The header `Idempotency-Key`: the submitter's own name for a submission.

use axum::http::{HeaderMap, HeaderName};

use crate::{code::Code, problem::Problem};

/// Not yet among the standard names of `http`.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Bytes of a key.
const KEY_BYTES_MAX: usize = 255;

/// Reads the key, if there is one.
///
/// # Errors
/// [`Code::InvalidIdempotencyKey`].
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| {
        (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    });
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        (Some(_), Some(_)) => Err(invalid("`Idempotency-Key` is given twice; send one")),
        (None, _) => Err(invalid(&format!(
            "`Idempotency-Key` must have 1 to {KEY_BYTES_MAX} visible ASCII characters and no spaces"
        ))),
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidIdempotencyKey, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, (*value).try_into().unwrap());
        }
        idempotency_key(&headers).map_err(|problem| problem.failed().code.as_str())
    }

    #[test]
    fn a_key_is_one_to_255_visible_characters() {
        let longest = "k".repeat(KEY_BYTES_MAX);
        assert_eq!(read(&[]), Ok(None));
        for key in ["k", "\"8e03978e-40d5\"", "!~", &longest] {
            assert_eq!(read(&[key.as_bytes()]), Ok(Some(key.to_owned())));
        }
        let too_long = format!("{longest}k");
        let wrong: [&[u8]; 5] = [b"", b"a b", b"a\tb", "ü".as_bytes(), too_long.as_bytes()];
        for key in wrong {
            assert_eq!(read(&[key]), Err("invalid-idempotency-key"), "{key:?}");
        }
        assert_eq!(read(&[b"a", b"a"]), Err("invalid-idempotency-key"));
    }
}
