//! JSON Pointer, RFC 6901, on a text: what it finds keeps its bytes.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

/// The name of a member, unescaped. As bytes: half of a surrogate pair is no text in Rust, and with it in one name none of
/// the members would be found.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, [u8]>);

/// Whether the text is a pointer.
pub(crate) fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

/// What the pointer finds in a JSON text, if there is something.
pub(crate) fn at<'a>(json: &'a str, pointer: &str) -> Option<&'a str> {
    let mut found = json.trim();
    for token in pointer.split('/').skip(1) {
        found = step(found, &token.replace("~1", "/").replace("~0", "~"))?;
    }
    Some(found)
}

fn step<'a>(json: &'a str, token: &str) -> Option<&'a str> {
    if json.starts_with('{') {
        let members: BTreeMap<Name<'a>, &'a RawValue> = serde_json::from_str(json).ok()?;
        return members.get(&Name(token.as_bytes().into())).map(|found| found.get());
    }
    let is_index = token == "0" || !token.starts_with(['0', '+']);
    let index: usize = token.parse().ok().filter(|_| is_index)?;
    let items: Vec<&'a RawValue> = serde_json::from_str(json).ok()?;
    items.get(index).map(|found| found.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str =
        r#" {"a": {"b/c": [1.0, {"~": 1e400}], "": "x"}, "0": null, "d": 1, "d": 2} "#;

    #[test]
    fn a_pointer_finds_what_it_names_to_the_byte() {
        for (pointer, found) in [
            ("", Some(JSON.trim())),
            ("/a/b~1c", Some(r#"[1.0, {"~": 1e400}]"#)),
            ("/a/b~1c/0", Some("1.0")),
            ("/a/b~1c/1/~0", Some("1e400")),
            ("/a/", Some("\"x\"")),
            ("/0", Some("null")),
            ("/d", Some("2")),
            ("/a/b~1c/00", None),
            ("/a/b~1c/+1", None),
            ("/a/b~1c/-", None),
            ("/a/b~1c/2", None),
            ("/none", None),
            ("/d/e", None),
            ("/a/b~1c/x", None),
        ] {
            assert_eq!(at(JSON, pointer), found, "{pointer}");
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_in_a_name_hides_no_other_member() {
        let json = r#"{"\ud800": 1, "issue": {"\udc00x": 2, "\u00e4": 3}, "\ud83d\ude00": 4}"#;
        for (pointer, found) in
            [("/issue/ä", Some("3")), ("/😀", Some("4")), ("/\u{fffd}", None), ("/issue/x", None)]
        {
            assert_eq!(at(json, pointer), found, "{pointer}");
        }
    }

    #[test]
    fn a_pointer_is_empty_or_begins_with_a_slash() {
        assert!(is_pointer("") && is_pointer("/") && is_pointer("/a"));
        assert!(!is_pointer("a/b"));
    }
}
