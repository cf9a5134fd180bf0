//! Results in inputs: `{"$result": "fetch", "at": "/title", "else": "untitled"}` becomes the title in
//! the result of the needed job `fetch` when an attempt starts.
//!
//! `at` is a JSON Pointer, and `else` stands in where there is no such result; both may be left out. A
//! plugin sees an ordinary input and need not know of flows. A key that is written with an escape, as
//! in `"\u0024result"`, makes no reference: so any input can be sent to any plugin.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Dependency, RESULTS_BYTES_MAX};
use crate::{
    failure::{Failure, code},
    json::DEPTH_MAX,
    pointer,
    state::State,
};

/// The member that makes an object a reference.
const KEY: &str = "$result";

/// Bytes of results that the pointers of one input may read: a tenth of a second.
const BYTES_WALKED_MAX: usize = 64 << 20;

/// Why a reference cannot be used, whatever the results are.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAReference {
    /// Too deep to be looked for.
    #[error("a `$result` stands deeper than {DEPTH_MAX} levels in the input")]
    TooDeep,
    /// A member that no reference has.
    #[error("a `$result` takes `at` and `else`, and no `{0}`")]
    Member(String),
    /// A member of the wrong type.
    #[error("`{0}` must be a text: the name of a needed job, or for `at` a pointer")]
    NotAText(&'static str),
    /// The `at` is no JSON Pointer.
    #[error("`{0}` is no JSON Pointer: it must begin with `/`, as in `/items/0/title`")]
    NotAPointer(String),
}

struct Reference<'a> {
    job: String,
    at: String,
    otherwise: Option<&'a str>,
}

enum Node<'a> {
    /// Text without a reference in it.
    Plain(&'a str),
    Array(Vec<&'a RawValue>),
    Object(Vec<(&'a RawValue, &'a RawValue)>),
    Reference(Reference<'a>),
}

/// The names of the jobs whose results the input refers to.
///
/// # Errors
/// [`NotAReference`].
pub fn names(input: &str) -> Result<BTreeSet<String>, NotAReference> {
    let mut names = BTreeSet::new();
    collect(input, 0, &mut names)?;
    Ok(names)
}

fn collect(text: &str, depth: usize, names: &mut BTreeSet<String>) -> Result<(), NotAReference> {
    match node(text, depth)? {
        Node::Plain(_) => {}
        Node::Array(items) => {
            items.iter().try_for_each(|item| collect(item.get(), depth + 1, names))?;
        }
        Node::Object(members) => {
            members.iter().try_for_each(|(_, member)| collect(member.get(), depth + 1, names))?;
        }
        Node::Reference(reference) => drop(names.insert(reference.job)),
    }
    Ok(())
}

/// The input with results in the place of references. What is no reference keeps its bytes, but for the
/// spaces around it.
///
/// # Errors
/// The failure of the attempt: a result is not there, or they are too large.
pub fn resolve(input: &str, dependencies: &[Dependency]) -> Result<String, Failure> {
    let by_name = dependencies.iter().map(|known| (known.name.as_str(), known)).collect();
    let out = String::with_capacity(input.len());
    let mut resolution = Resolution { by_name, out, bytes_walked: 0 };
    resolution.write(input, 0)?;
    Ok(resolution.out)
}

struct Resolution<'d> {
    by_name: BTreeMap<&'d str, &'d Dependency>,
    out: String,
    /// Bytes of results that pointers were followed through.
    bytes_walked: usize,
}

impl<'d> Resolution<'d> {
    fn write(&mut self, text: &str, depth: usize) -> Result<(), Failure> {
        let node = node(text, depth)
            .map_err(|wrong| Failure::fatal(code::DEPENDENCY_RESULT_MISSING, wrong.to_string()))?;
        match node {
            Node::Plain(text) => self.out.push_str(text),
            Node::Array(items) => {
                self.out.push('[');
                for (n, item) in items.iter().enumerate() {
                    self.out.push_str(if n == 0 { "" } else { "," });
                    self.write(item.get(), depth + 1)?;
                }
                self.out.push(']');
            }
            Node::Object(members) => {
                self.out.push('{');
                for (n, (key, member)) in members.iter().enumerate() {
                    self.out.push_str(if n == 0 { "" } else { "," });
                    self.out.push_str(key.get());
                    self.out.push(':');
                    self.write(member.get(), depth + 1)?;
                }
                self.out.push('}');
            }
            Node::Reference(reference) => {
                let found = self.found(&reference)?;
                self.out.push_str(found);
            }
        }
        if self.out.len() > RESULTS_BYTES_MAX { Err(too_large()) } else { Ok(()) }
    }

    /// What stands in the place of a reference.
    fn found<'a>(&mut self, reference: &Reference<'a>) -> Result<&'a str, Failure>
    where
        'd: 'a,
    {
        let name = &reference.job;
        let why = match self.by_name.get(name.as_str()).copied() {
            Some(Dependency { output: Some(output), .. }) => {
                self.walk(output, reference)?;
                match pointer::at(output, &reference.at) {
                    Some(found) => return Ok(found),
                    None => format!("has nothing at `{}`", reference.at),
                }
            }
            // It has one, which was not read.
            Some(Dependency { state: State::Done, .. }) => return Err(too_large()),
            Some(Dependency { state, .. }) => {
                format!("is not there, because it is {}", state.as_str())
            }
            None => "is not there, because it was deleted".to_owned(),
        };
        reference.otherwise.ok_or_else(|| {
            let message = format!(
                "the result of `{name}`, to which the input refers, {why}; \
                 an `else` beside `$result` would stand in for it"
            );
            Failure::fatal(code::DEPENDENCY_RESULT_MISSING, message)
        })
    }

    /// A pointer reads its result from the beginning; a hundred thousand of them must not keep the
    /// host busy for minutes.
    fn walk(&mut self, output: &str, reference: &Reference<'_>) -> Result<(), Failure> {
        let steps = reference.at.matches('/').count();
        self.bytes_walked = self.bytes_walked.saturating_add(output.len().saturating_mul(steps));
        if self.bytes_walked > BYTES_WALKED_MAX { Err(too_large()) } else { Ok(()) }
    }
}

fn too_large() -> Failure {
    let message = format!(
        "the results to which the input refers have more than {RESULTS_BYTES_MAX} bytes, or are \
         pointed into too often; store large results elsewhere and return their addresses"
    );
    Failure::fatal(code::DEPENDENCY_RESULTS_TOO_LARGE, message)
}

fn node(text: &str, depth: usize) -> Result<Node<'_>, NotAReference> {
    let text = text.trim_ascii();
    if !text.contains(KEY) {
        return Ok(Node::Plain(text));
    }
    if depth > DEPTH_MAX {
        return Err(NotAReference::TooDeep);
    }
    if text.starts_with('[') {
        return Ok(serde_json::from_str(text).map_or(Node::Plain(text), Node::Array));
    }
    match serde_json::from_str::<Members<'_>>(text) {
        Ok(Members(members)) if members.iter().any(|(key, _)| is_mark(key)) => {
            reference(&members).map(Node::Reference)
        }
        Ok(Members(members)) => Ok(Node::Object(members)),
        // A text that has the word in it.
        Err(_) => Ok(Node::Plain(text)),
    }
}

/// Whether a key makes a reference: not with an escape in it.
fn is_mark(key: &RawValue) -> bool {
    key.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(KEY)
}

fn reference<'a>(members: &[(&'a RawValue, &'a RawValue)]) -> Result<Reference<'a>, NotAReference> {
    let mut reference = Reference { job: String::new(), at: String::new(), otherwise: None };
    for (key, value) in members {
        // Half of a surrogate pair is no text in Rust.
        let key = serde_json::from_str(key.get()).unwrap_or_else(|_| key.get().to_owned());
        match key.as_str() {
            KEY => reference.job = words(KEY, value)?,
            "at" => reference.at = words("at", value)?,
            "else" => reference.otherwise = Some(value.get()),
            other => return Err(NotAReference::Member(other.chars().take(64).collect())),
        }
    }
    if pointer::is_pointer(&reference.at) {
        Ok(reference)
    } else {
        Err(NotAReference::NotAPointer(reference.at.chars().take(64).collect()))
    }
}

fn words(member: &'static str, value: &RawValue) -> Result<String, NotAReference> {
    serde_json::from_str(value.get()).map_err(|_| NotAReference::NotAText(member))
}

/// The members of an object, in their order, with their keys as they are written.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Millis, id::JobId};

    fn dependency(name: &str, output: Option<&str>) -> Dependency {
        struct Dice;
        impl crate::clock::Entropy for Dice {
            fn roll(&self) -> u128 {
                1
            }
        }
        Dependency {
            name: name.to_owned(),
            job: JobId::at(Millis(1), &Dice),
            state: if output.is_some() { State::Done } else { State::Failed },
            output: output.map(str::to_owned),
            output_bytes: output.map_or(0, str::len),
            failure: None,
        }
    }

    fn resolved(input: &str) -> Result<String, String> {
        let dependencies = [
            dependency("fetch", Some(r#" {"title": "Ä\u00e4", "parts": [1.0, 2.50]} "#)),
            dependency("broken", None),
        ];
        resolve(input, &dependencies).map_err(|failure| failure.code)
    }

    #[test]
    fn a_reference_becomes_the_result_or_a_part_of_it_to_the_byte() {
        for (input, expected) in [
            (r#"{"$result":"fetch"}"#, r#"{"title": "Ä\u00e4", "parts": [1.0, 2.50]}"#),
            (r#" {"a":[ {"$result":"fetch","at":"/parts/1"} , 1.0]}"#, r#"{"a":[2.50,1.0]}"#),
            (r#"{"z":{"$result":"fetch","at":"/title"},"a":1}"#, r#"{"z":"Ä\u00e4","a":1}"#),
            (r#"{"k\"":{"$result":"fetch","at":"/parts/0"}}"#, r#"{"k\"":1.0}"#),
        ] {
            assert_eq!(resolved(input).as_deref(), Ok(expected), "{input}");
        }
    }

    #[test]
    fn what_is_no_reference_keeps_its_bytes() {
        for input in [
            r#"{"a": [1.00, "x"]}"#,
            r#""$result""#,
            r#"{"\u0024result": "fetch"}"#,
            "7",
            r#"["a $result", null]"#,
        ] {
            let expected = input.replace(", ", ",");
            assert_eq!(resolved(input).unwrap().replace(", ", ","), expected);
        }
        // Also beside one.
        let both = r#"[{"\u0024result":1},{"$result":"fetch","at":"/parts/0"}]"#;
        assert_eq!(resolved(both).as_deref(), Ok(r#"[{"\u0024result":1},1.0]"#));
    }

    #[test]
    fn half_of_a_surrogate_pair_in_a_key_hides_no_reference() {
        let input = r#"{"\ud800":1,"\u00e4":{"$result":"fetch","at":"/parts/0"}}"#;
        assert_eq!(names(input).unwrap().into_iter().collect::<Vec<_>>(), ["fetch"]);
        assert_eq!(resolved(input).as_deref(), Ok(r#"{"\ud800":1,"\u00e4":1.0}"#));
        let odd = r#"{"$result":"fetch","\ud800":1}"#;
        assert_eq!(names(odd), Err(NotAReference::Member(r#""\ud800""#.to_owned())));
    }

    #[test]
    fn a_result_that_is_not_there_fails_the_attempt_unless_something_stands_in() {
        for input in [
            r#"{"$result":"broken"}"#,
            r#"{"$result":"fetch","at":"/none"}"#,
            r#"{"$result":"deleted"}"#,
        ] {
            assert_eq!(resolved(input).unwrap_err(), "dependency-result-missing", "{input}");
        }
        let stands_in =
            r#"[{"$result":"broken","else":{"a": null}},{"$result":"fetch","at":"/x","else":0}]"#;
        assert_eq!(resolved(stands_in).as_deref(), Ok(r#"[{"a": null},0]"#));
    }

    #[test]
    fn the_sentence_says_which_result_is_missing_and_what_would_help() {
        let failure = resolve(r#"{"$result":"broken"}"#, &[dependency("broken", None)]);
        assert_eq!(
            failure.unwrap_err().message,
            "the result of `broken`, to which the input refers, is not there, because it is failed; \
             an `else` beside `$result` would stand in for it"
        );
    }

    #[test]
    fn results_that_are_too_large_are_refused_read_or_not() {
        let unread = Dependency { output: None, ..dependency("big", Some("1")) };
        let failure = resolve(r#"{"$result":"big"}"#, &[unread]).unwrap_err();
        assert_eq!(failure.code, "dependency-results-too-large");
        let text = format!("\"{}\"", "x".repeat(RESULTS_BYTES_MAX / 3));
        let input = format!("[{}]", [r#"{"$result":"big"}"#; 4].join(","));
        let failure = resolve(&input, &[dependency("big", Some(&text))]).unwrap_err();
        assert_eq!(failure.code, "dependency-results-too-large");
        let input = format!("[{}]", vec![r#"{"$result":"big","at":"/x","else":0}"#; 20].join(","));
        let failure = resolve(&input, &[dependency("big", Some(&text))]).unwrap_err();
        assert_eq!(failure.code, "dependency-results-too-large", "read again and again");
    }

    #[test]
    fn the_names_are_all_that_are_referred_to() {
        let input =
            r#"{"a":{"$result":"one"},"b":[[{"$result":"two","at":"/x"}],{"$result":"one"}]}"#;
        assert_eq!(names(input).unwrap().into_iter().collect::<Vec<_>>(), ["one", "two"]);
        assert!(names(r#"{"a":"$result"}"#).unwrap().is_empty());
    }

    #[test]
    fn a_reference_that_cannot_be_used_is_told() {
        use NotAReference as No;
        let deep = format!("{}{{\"$result\":\"a\"}}{}", "[".repeat(200), "]".repeat(200));
        for (input, expected) in [
            (r#"{"$result":"a","form":1}"#, No::Member("form".into())),
            (r#"{"$result":7}"#, No::NotAText("$result")),
            (r#"{"$result":"a","at":7}"#, No::NotAText("at")),
            (r#"{"$result":"a","at":"x"}"#, No::NotAPointer("x".into())),
            (deep.as_str(), No::TooDeep),
        ] {
            assert_eq!(names(input), Err(expected), "{input}");
        }
    }

    #[test]
    fn an_input_that_nests_without_end_is_read_without_harm() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(names(&deep).unwrap().is_empty());
    }
}
