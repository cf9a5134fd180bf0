//! What of a kind must wait or is not accepted twice, checked.

use super::{
    ManifestError,
    read::{duration, value},
    written,
};
use crate::{
    input_key::{Concurrency, During, Unique},
    rate::Rate,
};

/// More jobs of one key at once than any class has slots.
const LIMIT_MAX: u32 = 1_000;

/// A rate is counted over a day at most, in milliseconds.
const PER_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Jobs in that time.
const COUNT_MAX: u32 = 1_000_000;

pub(super) fn unique(
    key: &str,
    written: Option<&written::Unique>,
) -> Result<Option<Unique>, ManifestError> {
    let Some(written) = written else { return Ok(None) };
    let during = match written.during.as_deref() {
        None | Some("active") => During::Active,
        Some("forever") => During::Forever,
        Some(text) => During::For(duration(key, text).map_err(|_| {
            value(key, "`during` is `active`, `forever`, or a duration such as `24h`")
        })?),
    };
    Ok(Some(Unique { pointer: pointer(key, &written.key)?, during }))
}

pub(super) fn concurrency(
    key: &str,
    written: Option<&written::Concurrency>,
) -> Result<Option<Concurrency>, ManifestError> {
    let Some(written) = written else { return Ok(None) };
    if !(1..=LIMIT_MAX).contains(&written.limit) {
        return Err(value(key, &format!("`limit` is from 1 to {LIMIT_MAX}")));
    }
    let pointer = written.key.as_deref().map(|text| pointer(key, text)).transpose()?;
    Ok(Some(Concurrency { pointer, limit: written.limit }))
}

pub(super) fn rate(
    key: &str,
    written: Option<&written::Rate>,
) -> Result<Option<Rate>, ManifestError> {
    let Some(written) = written else { return Ok(None) };
    let per_ms = duration(key, &written.per)?;
    if !(1..=COUNT_MAX).contains(&written.count) || !(1..=PER_MS_MAX).contains(&per_ms) {
        let why = format!(
            "`count` is from 1 to {COUNT_MAX} and `per` at most 24h, as in {{ count = 30, per = \"1m\" }}"
        );
        return Err(value(key, &why));
    }
    Ok(Some(Rate { count: written.count, per_ms }))
}

/// A JSON pointer, RFC 6901: empty for the whole input.
fn pointer(key: &str, text: &str) -> Result<String, ManifestError> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(value(
        key,
        &format!("`key` is a JSON pointer into the input such as `/issue`, not `{text}`"),
    ))
}
