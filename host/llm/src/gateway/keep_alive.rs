//! How long a model is to stay loaded after a call, and whose word counts.

use serde_json::Value;

/// What one client asks for. The last request wins in Ollama, so a client that unloads after every call
/// unloads what others are about to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    /// Not at all: unload it after the call.
    None,
    /// Some time, or for ever.
    Some,
}

/// Reads the field: a number of seconds, or a duration as Go writes it; negative means for ever.
///
/// # Errors
/// Go's own words.
pub(crate) fn read(value: &Value) -> Result<KeepAlive, String> {
    match value {
        Value::Number(seconds) => Ok(of(seconds.as_f64().unwrap_or(1.0) == 0.0)),
        Value::String(text) => duration(text.trim()).map(of),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("Unsupported type: \"{value}\""))
        }
    }
}

fn of(is_zero: bool) -> KeepAlive {
    if is_zero { KeepAlive::None } else { KeepAlive::Some }
}

/// Whether a duration of Go is zero.
fn duration(text: &str) -> Result<bool, String> {
    let quoted = format!("{text:?}");
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(true);
    }
    if rest.is_empty() || !rest.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.')
    {
        return Err(format!("time: invalid duration {quoted}"));
    }
    if rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(format!("time: missing unit in duration {quoted}"));
    }
    let mut is_zero = true;
    let mut rest = rest;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let (number, tail) = rest.split_at(number.unwrap_or(rest.len()));
        let unit = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, tail) = tail.split_at(unit.unwrap_or(tail.len()));
        if number.is_empty() || !["ns", "us", "µs", "μs", "ms", "s", "m", "h"].contains(&unit) {
            return Err(format!("time: unknown unit {unit:?} in duration {quoted}"));
        }
        is_zero &= !number.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        rest = tail;
    }
    Ok(is_zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (value, read_as) in [
            (json!(0), KeepAlive::None),
            (json!(0.0), KeepAlive::None),
            (json!("0"), KeepAlive::None),
            (json!("0s"), KeepAlive::None),
            (json!("0h0m0s"), KeepAlive::None),
            (json!(-1), KeepAlive::Some),
            (json!(300), KeepAlive::Some),
            (json!("-1s"), KeepAlive::Some),
            (json!("10m"), KeepAlive::Some),
            (json!("1h0m"), KeepAlive::Some),
            (json!("1.5h"), KeepAlive::Some),
        ] {
            assert_eq!(read(&value), Ok(read_as), "{value}");
        }
        for (value, words) in [
            (json!("5"), "time: missing unit in duration \"5\""),
            (json!("soon"), "time: invalid duration \"soon\""),
            (json!("5 minutes"), "time: unknown unit \" minutes\" in duration \"5 minutes\""),
            (json!(true), "Unsupported type: \"true\""),
        ] {
            assert_eq!(read(&value), Err(words.to_owned()), "{value}");
        }
    }
}
