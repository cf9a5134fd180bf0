//! How long a model stays loaded: Ollama's `keep_alive`, with Go's idea of a duration.

use std::time::Duration;

use serde_json::Value;

/// How long a model stays loaded after its last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeepAlive {
    /// This long; zero unloads it as soon as nobody uses it.
    For(Duration),
    /// Until somebody says otherwise.
    Forever,
}

impl KeepAlive {
    pub(super) const UNLOAD: Self = Self::For(Duration::ZERO);

    /// Reads the field of a request: a number is seconds, a string a Go duration, anything negative is forever, and
    /// null is not given. The error is the text that Ollama answers with a 400.
    pub(super) fn parse(field: &Value) -> Result<Option<Self>, String> {
        match field {
            Value::Null => Ok(None),
            Value::Number(seconds) => {
                let seconds = seconds.as_f64().unwrap_or(-1.0);
                Ok(Some(Self::from_signed(seconds < 0.0, seconds.abs())))
            }
            Value::String(text) => {
                let (negative, seconds) = go_duration(text)?;
                Ok(Some(Self::from_signed(negative, seconds)))
            }
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(format!("Unsupported type: '{}'", go_type(field)))
            }
        }
    }

    fn from_signed(negative: bool, seconds: f64) -> Self {
        if negative && seconds > 0.0 {
            return Self::Forever;
        }
        // More than Go's 292 years can only mean forever.
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|length| length.as_nanos() <= i64::MAX as u128)
            .map_or(Self::Forever, Self::For)
    }
}

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

/// Go's `time.ParseDuration`: whether it is negative, and the seconds. Errors are Go's texts.
fn go_duration(text: &str) -> Result<(bool, f64), String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok((false, 0.0));
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (_, after) = split_at_first(rest, |c| !c.is_ascii_digit());
        let after = after.strip_prefix('.').map_or(after, |part| {
            let (_, after) = split_at_first(part, |c| !c.is_ascii_digit());
            after
        });
        let (number, after) = rest.split_at(rest.len() - after.len());
        let amount: f64 = number.parse().map_err(|_not_a_number| invalid())?;
        let (unit, after) = split_at_first(after, |c| c.is_ascii_digit() || c == '.');
        seconds += amount
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "" => return Err(format!("time: missing unit in duration {text:?}")),
                _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
            };
        rest = after;
    }
    Ok((negative, seconds))
}

fn split_at_first(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_keep_alive_is_understood() {
        let seconds = |s| Ok(Some(KeepAlive::For(Duration::from_secs(s))));
        let table = [
            (json!(null), Ok(None)),
            (json!(0), seconds(0)),
            (json!("0"), seconds(0)),
            (json!("0s"), seconds(0)),
            (json!(30), seconds(30)),
            (json!("10m"), seconds(600)),
            (json!("1h30m"), seconds(5400)),
            (json!("1.5h"), seconds(5400)),
            (json!("+5s"), seconds(5)),
            (json!(1.5), Ok(Some(KeepAlive::For(Duration::from_millis(1500))))),
            (json!("250ms"), Ok(Some(KeepAlive::For(Duration::from_millis(250))))),
            (json!(-1), Ok(Some(KeepAlive::Forever))),
            (json!(-0.5), Ok(Some(KeepAlive::Forever))),
            (json!("-1m"), Ok(Some(KeepAlive::Forever))),
            (json!(1e300), Ok(Some(KeepAlive::Forever))),
        ];
        for (field, expected) in table {
            assert_eq!(KeepAlive::parse(&field), expected, "{field}");
        }
    }

    #[test]
    fn nonsense_is_refused_in_the_words_of_go() {
        let table = [
            (json!("5"), r#"time: missing unit in duration "5""#),
            (json!("-1"), r#"time: missing unit in duration "-1""#),
            (json!("5d"), r#"time: unknown unit "d" in duration "5d""#),
            (json!(""), r#"time: invalid duration """#),
            (json!("soon"), r#"time: invalid duration "soon""#),
            (json!(".s"), r#"time: invalid duration ".s""#),
            (json!("1.2.3s"), r#"time: missing unit in duration "1.2.3s""#),
            (json!(true), "Unsupported type: 'bool'"),
        ];
        for (field, expected) in table {
            assert_eq!(KeepAlive::parse(&field), Err(expected.to_owned()), "{field}");
        }
    }
}
