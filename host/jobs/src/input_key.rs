//! Keys that are made of a job's input: what a kind wants unique, or not at once.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};

use crate::{clock::Millis, pointer};

/// A longer value is told by its digest.
const VALUE_BYTES_MAX: usize = 200;

/// How long no second job of a unique key is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// Until the job ends, however it ends.
    Active,
    /// So many milliseconds from its submission, whether it has ended or not.
    For(u64),
    /// For as long as the job is kept.
    Forever,
}

/// What a kind wants of its jobs: no second one of the same key. A second submission is the first job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// JSON pointer to the part of the input that is the key; the whole input if it is empty.
    pub pointer: String,
    /// For how long.
    pub during: During,
}

/// What a kind wants of its jobs: only so many of the same key at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// JSON pointer to the part of the input that is the key; all jobs of the kind share one if there
    /// is none.
    pub pointer: Option<String>,
    /// How many may run at once; at least 1.
    pub limit: u32,
}

/// The unique key of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// The kind and the value.
    pub key: String,
    /// Until when; none while the job is active.
    pub until: Option<Millis>,
}

/// The concurrency key of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyKey {
    /// The kind and the value.
    pub key: String,
    /// How many jobs of the key may run at once.
    pub limit: u32,
}

impl Unique {
    /// The key of a job of `kind` with this input, submitted at `at`.
    #[must_use]
    pub fn key(&self, kind: &str, input: &str, at: Millis) -> UniqueKey {
        let until = match self.during {
            During::Active => None,
            During::For(ms) => Some(at.plus_ms(ms)),
            During::Forever => Some(Millis(i64::MAX)),
        };
        UniqueKey { key: key(kind, Some(&self.pointer), input), until }
    }
}

impl Concurrency {
    /// The key of a job of `kind` with this input.
    #[must_use]
    pub fn key(&self, kind: &str, input: &str) -> ConcurrencyKey {
        ConcurrencyKey { key: key(kind, self.pointer.as_deref(), input), limit: self.limit }
    }
}

/// `kind value`; the value is `null` where the pointer leads nowhere, so that jobs which forgot their key
/// share one and do not run all at once.
fn key(kind: &str, pointer: Option<&str>, input: &str) -> String {
    let Some(pointer) = pointer else { return kind.to_owned() };
    let mut value = String::new();
    canonical(pointer::at(input, pointer).unwrap_or("null"), &mut value);
    if value.len() <= VALUE_BYTES_MAX {
        return format!("{kind} {value}");
    }
    let digest = Sha256::digest(value.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{kind} sha256:{hex}")
}

/// Writes a value so that the order of its members, the spaces in it and the escapes in its texts do not matter.
///
/// Two values must never become one, or a job would be taken for another and not run. So a number keeps every digit,
/// and what cannot be a text in Rust (half of a surrogate pair) stays as it was written, with the object that it names a
/// member of.
fn canonical(json: &str, out: &mut String) {
    let kept = match json.as_bytes().first() {
        Some(b'{') => serde_json::from_str(json).map(|members| object(members, out)),
        Some(b'[') => serde_json::from_str(json).map(|items| array(items, out)),
        Some(b'"') => serde_json::from_str(json).map(|text| out.push_str(&quoted(text))),
        Some(_) | None => return out.push_str(json),
    };
    if kept.is_err() {
        out.push_str(json);
    }
}

fn object(members: BTreeMap<String, &RawValue>, out: &mut String) {
    out.push('{');
    for (n, (name, member)) in members.into_iter().enumerate() {
        out.push_str(if n == 0 { "" } else { "," });
        out.push_str(&quoted(name));
        out.push(':');
        canonical(member.get(), out);
    }
    out.push('}');
}

fn array(items: Vec<&RawValue>, out: &mut String) {
    out.push('[');
    for (n, item) in items.into_iter().enumerate() {
        out.push_str(if n == 0 { "" } else { "," });
        canonical(item.get(), out);
    }
    out.push(']');
}

fn quoted(text: String) -> String {
    Value::String(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_kind_and_the_value_at_the_pointer() {
        let concurrency = |pointer: Option<&str>, input: &str| {
            let pointer = pointer.map(str::to_owned);
            Concurrency { pointer, limit: 2 }.key("draft", input).key
        };
        assert_eq!(concurrency(None, "{}"), "draft");
        assert_eq!(concurrency(Some("/issue"), r#"{"issue":7}"#), "draft 7");
        assert_eq!(concurrency(Some("/a/0"), r#"{"a":["x"]}"#), "draft \"x\"");
        assert_eq!(concurrency(Some("/issue"), "{}"), "draft null");
        assert_eq!(concurrency(Some(""), r#"{"b":1,"a":2}"#), r#"draft {"a":2,"b":1}"#);
        let long = concurrency(Some(""), &format!("\"{}\"", "x".repeat(300)));
        assert_eq!((long.len(), &long[..13]), (77, "draft sha256:"));
    }

    #[test]
    fn two_inputs_have_one_key_only_if_they_are_the_same_value() {
        let key = |input: &str| key("k", Some(""), input);
        let same = [r#"{"b":[1,{}],"a":"é/"}"#, "{ \"a\": \"\\u00e9\\/\", \"b\": [ 1, { } ] }"];
        assert_eq!(key(same[0]), "k {\"a\":\"é/\",\"b\":[1,{}]}");
        assert_eq!(key(same[0]), key(same[1]));
        let issue = |n: u8| format!(r#"{{"\ud800":0,"issue":{n}}}"#);
        assert_ne!(
            super::key("k", Some("/issue"), &issue(1)),
            super::key("k", Some("/issue"), &issue(2))
        );
        let deep = |innermost: &str| format!("{}{innermost}{}", "[".repeat(200), "]".repeat(200));
        let (deep_1, deep_2) = (deep("1"), deep("2"));
        for (one, other) in [
            ("18446744073709551617", "18446744073709551618"),
            ("1e400", "1e401"),
            (r#"["\ud800"]"#, r#"["\ud801"]"#),
            (r#"{"\ud800":1}"#, r#"{"\ud800":2}"#),
            (r#"{"\ud800":1,"\ud801":2}"#, r#"{"\ud801":1,"\ud800":2}"#),
            (&deep_1, &deep_2),
        ] {
            assert_ne!(key(one), key(other), "{one}");
        }
    }

    #[test]
    fn a_unique_key_says_until_when_it_holds() {
        let until =
            |during| Unique { pointer: String::new(), during }.key("k", "{}", Millis(5)).until;
        assert_eq!(until(During::Active), None);
        assert_eq!(until(During::For(10)), Some(Millis(15)));
        assert_eq!(until(During::For(u64::MAX)), Some(Millis(i64::MAX)));
        assert_eq!(until(During::Forever), Some(Millis(i64::MAX)));
    }
}
