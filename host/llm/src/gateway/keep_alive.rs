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

/// Go counts nanoseconds, of which it has so many: two to the power of 63.
const NANOSECONDS_END: f64 = 9_223_372_036_854_775_808.0;

const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads the field: a number of seconds, or a duration as Go writes it; negative means for ever.
///
/// # Errors
/// Go's own words.
pub(crate) fn read(value: &Value) -> Result<KeepAlive, String> {
    match value {
        Value::Number(seconds) => Ok(of(seconds.as_f64().unwrap_or(1.0) * 1e9)),
        Value::String(text) => nanoseconds(text).map(of),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("Unsupported type: '{}'", go_type(value)))
        }
    }
}

fn of(nanoseconds: f64) -> KeepAlive {
    if (0.0..1.0).contains(&nanoseconds) { KeepAlive::None } else { KeepAlive::Some }
}

/// What Go calls it.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `time.ParseDuration`.
fn nanoseconds(text: &str) -> Result<f64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let is_digit = |letter: char| letter.is_ascii_digit();
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0.0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let whole = rest.trim_start_matches(is_digit);
        let behind =
            whole.strip_prefix('.').map_or(whole, |part| part.trim_start_matches(is_digit));
        let (number, tail) = rest.split_at(rest.len() - behind.len());
        // A dot alone is none, nor is nothing.
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let unit = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, tail) = tail.split_at(unit.unwrap_or(tail.len()));
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let known = UNITS.iter().find(|(known, _)| *known == unit);
        let (_, size) =
            known.ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        nanoseconds += (number * size).trunc();
        rest = tail;
    }
    if nanoseconds >= NANOSECONDS_END {
        return Err(invalid());
    }
    Ok(if text.starts_with('-') { -nanoseconds } else { nanoseconds })
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
            (json!("5.s"), KeepAlive::Some),
            (json!(".5s"), KeepAlive::Some),
            (json!("0.9ns"), KeepAlive::None),
            (json!("-0.9ns"), KeepAlive::None),
            (json!("2562047h"), KeepAlive::Some),
        ] {
            assert_eq!(read(&value), Ok(read_as), "{value}");
        }
        for (value, words) in [
            (json!("5"), "time: missing unit in duration \"5\""),
            (json!("soon"), "time: invalid duration \"soon\""),
            (json!("5 minutes"), "time: unknown unit \" minutes\" in duration \"5 minutes\""),
            (json!(""), "time: invalid duration \"\""),
            (json!("-"), "time: invalid duration \"-\""),
            (json!(" 5m"), "time: invalid duration \" 5m\""),
            (json!(".s"), "time: invalid duration \".s\""),
            (json!("1.2.3s"), "time: missing unit in duration \"1.2.3s\""),
            (json!("2562048h"), "time: invalid duration \"2562048h\""),
            (json!(true), "Unsupported type: 'bool'"),
            (json!([1]), "Unsupported type: '[]interface {}'"),
            (json!({}), "Unsupported type: 'map[string]interface {}'"),
        ] {
            assert_eq!(read(&value), Err(words.to_owned()), "{value}");
        }
    }
}
