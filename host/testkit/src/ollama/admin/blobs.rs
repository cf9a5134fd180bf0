//! `/api/blobs/{digest}`: files that a model is to be made of. They may be as big as models, so they are weighed as they
//! come in, and not kept.

use std::fmt::Write as _;
use std::io;

use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::ollama::server::Server;
use crate::ollama::wire::{Answer, Refusal};

const PATH: &str = "/api/blobs/";

/// Whether the body of this request is a blob.
pub(in crate::ollama) fn is_upload(head: &Parts) -> bool {
    head.method == Method::POST && head.uri.path().starts_with(PATH)
}

/// Answers `HEAD /api/blobs/{digest}`.
pub(in crate::ollama) fn look_for(server: &Server, path: &str) -> Result<Answer, Refusal> {
    let digest = digest_of(path)?;
    if server.shelf.has_blob(&digest) {
        return Ok(Answer::nothing(200));
    }
    Err(Refusal::new(404, format!("blob {digest:?} not found")))
}

/// Answers `POST /api/blobs/{digest}`. A blob that is here is not read again.
pub(in crate::ollama) async fn upload(
    server: &Server,
    path: &str,
    mut body: Incoming,
) -> io::Result<Answer> {
    let digest = match digest_of(path) {
        Ok(digest) if server.shelf.has_blob(&digest) => return Ok(Answer::nothing(200)),
        Ok(digest) => digest,
        Err(refusal) => return Ok(refusal.into_native()),
    };
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.map_err(io::Error::other)?.data_ref() {
            hasher.update(data);
            bytes += data.len() as u64;
        }
    }
    let found = hasher.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    });
    if found != digest {
        let message = format!("digest mismatch, expected {digest:?}, got {found:?}");
        return Ok(Refusal::new(400, message).into_native());
    }
    server.shelf.store_blob(digest, bytes);
    Ok(Answer::nothing(201))
}

/// Digests are written with a colon or, as in the names of files, with a hyphen.
fn digest_of(path: &str) -> Result<String, Refusal> {
    let name = path.strip_prefix(PATH).unwrap_or_default();
    let hex = name.strip_prefix("sha256:").or_else(|| name.strip_prefix("sha256-"));
    match hex.filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        Some(hex) => Ok(format!("sha256:{}", hex.to_ascii_lowercase())),
        None => Err(Refusal::new(400, "invalid digest format")),
    }
}
