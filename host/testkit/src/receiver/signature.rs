//! Checks the signature of a webhook in the Standard Webhooks form.
//!
//! Written from the specification, on purpose without the host's own signing code: a mistake made twice would agree
//! with itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::Sha256;

/// Why a delivery is not authentic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The secret is not `whsec_` and base64: a mistake of the test, not of the sender.
    #[error("the secret must be `whsec_` followed by base64")]
    Secret,
    /// A header that the form requires is absent, or no text.
    #[error("the header `{0}` is missing or not text")]
    Header(&'static str),
    /// The timestamp is not a whole number of Unix seconds.
    #[error("`webhook-timestamp` is not a number of seconds: `{0}`")]
    Timestamp(String),
    /// None of the signatures was made with this secret for this id, timestamp and body.
    #[error("no `v1` signature in `webhook-signature` fits the secret, id, timestamp and body")]
    Mismatch,
}

/// Checks that `webhook-signature` holds at least one `v1,<base64>` made with `secret` over `{id}.{timestamp}.{body}`.
/// While secrets rotate the header carries several, parted by spaces. The age of the timestamp is not judged.
///
/// # Errors
/// The first thing found wrong, see [`SignatureError`].
pub fn verify(secret: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
    let key = secret
        .strip_prefix("whsec_")
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .ok_or(SignatureError::Secret)?;
    let id = text(headers, "webhook-id")?;
    let timestamp = text(headers, "webhook-timestamp")?;
    let signatures = text(headers, "webhook-signature")?;
    if timestamp.parse::<u64>().is_err() {
        return Err(SignatureError::Timestamp(timestamp.to_owned()));
    }

    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_length| SignatureError::Secret)?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let authentic = signatures
        .split_ascii_whitespace()
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .any(|signature| mac.clone().verify_slice(&signature).is_ok());
    if authentic { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, SignatureError> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(SignatureError::Header(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification and its reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signed(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    #[test]
    fn the_example_of_the_specification_is_authentic() {
        assert_eq!(verify(SECRET, &signed(SIGNATURE), BODY), Ok(()));
    }

    #[test]
    fn one_good_signature_among_several_is_enough() {
        let rotated = signed(&format!("v1,AAAA v2,{SIGNATURE} {SIGNATURE}"));
        assert_eq!(verify(SECRET, &rotated, BODY), Ok(()));
    }

    #[test]
    fn what_was_tampered_with_is_refused() {
        let headers = signed(SIGNATURE);
        assert_eq!(
            verify(SECRET, &headers, br#"{"test": 2432232315}"#),
            Err(SignatureError::Mismatch)
        );
        let mut moved = headers.clone();
        moved.insert("webhook-timestamp", "1614265331".parse().unwrap());
        assert_eq!(verify(SECRET, &moved, BODY), Err(SignatureError::Mismatch));
        let mut renamed = headers.clone();
        renamed.insert("webhook-id", "msg_other".parse().unwrap());
        assert_eq!(verify(SECRET, &renamed, BODY), Err(SignatureError::Mismatch));
        assert_eq!(verify("whsec_b3RoZXI=", &headers, BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut headers = signed(SIGNATURE);
        headers.remove("webhook-id");
        assert_eq!(verify(SECRET, &headers, BODY), Err(SignatureError::Header("webhook-id")));
        assert_eq!(verify("plain", &signed(SIGNATURE), BODY), Err(SignatureError::Secret));
    }
}
