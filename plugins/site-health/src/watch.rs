//! What to expect of a page, and what a change is.

use std::fmt;

use roughneck_sdk::Failure;
use serde::{Deserialize, Serialize};

const STATUS_DEFAULT: u16 = 200;
const TARGET_DEFAULT: &str = "alerts";

/// Longest key of the host's store, in bytes: a page is remembered by its URL.
const URL_BYTES_MAX: usize = 512;

/// What a submission holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    url: String,
    expect_status: Option<u16>,
    contains: Option<String>,
    target: Option<String>,
}

/// A checked input.
#[derive(Debug)]
pub(crate) struct Expectation {
    pub(crate) url: String,
    pub(crate) target: String,
    status: u16,
    contains: Option<String>,
}

/// What was seen of a page.
#[derive(Debug, PartialEq)]
pub(crate) struct Sighting {
    state: State,
    /// Why the page counts as down.
    reason: Option<String>,
}

/// What is kept of a page between two jobs, and between two attempts of one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The job that saw it last.
    job_id: String,
    /// What that job compared with.
    before: Option<State>,
    now: State,
}

/// How a page was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    up: bool,
    /// None if there was no answer.
    status: Option<u16>,
}

/// The result of a job, and the event that is sent on a change.
#[derive(Debug, Serialize, PartialEq)]
pub struct Output {
    url: String,
    up: bool,
    status: Option<u16>,
    /// True if it differs from the last time, or the page is down the first time it is seen.
    pub(crate) changed: bool,
    previous: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Expectation {
    pub(crate) fn new(input: Input) -> Result<Self, Failure> {
        let scheme = ["http://", "https://"].iter().any(|scheme| input.url.starts_with(scheme));
        if !scheme || input.url.len() > URL_BYTES_MAX {
            return Err(Failure::invalid_input(format!(
                "The field `url` must be an address that starts with http:// or https:// and has at \
                 most {URL_BYTES_MAX} bytes."
            )));
        }
        let status = input.expect_status.unwrap_or(STATUS_DEFAULT);
        if !(100..=599).contains(&status) {
            return Err(Failure::invalid_input(format!(
                "The field `expect_status` is {status}; use an HTTP status from 100 to 599."
            )));
        }
        if input.contains.as_deref() == Some("") {
            return Err(Failure::invalid_input(
                "The field `contains` is empty: give a text that the page must hold, or leave the \
                 field out.",
            ));
        }
        Ok(Self {
            url: input.url,
            target: input.target.unwrap_or_else(|| TARGET_DEFAULT.to_owned()),
            status,
            contains: input.contains,
        })
    }

    pub(crate) fn judge(&self, status: u16, body: &[u8]) -> Sighting {
        let reason = if status != self.status {
            Some(format!("The page answered {status} instead of {}.", self.status))
        } else {
            self.contains
                .as_ref()
                .filter(|text| !String::from_utf8_lossy(body).contains(text.as_str()))
                .map(|text| format!("The page does not contain `{text}`."))
        };
        Sighting { state: State { up: reason.is_none(), status: Some(status) }, reason }
    }
}

impl Memory {
    pub(crate) fn new(job_id: String, before: Option<State>, now: State) -> Self {
        Self { job_id, before, now }
    }

    /// What the job `job_id` compares with: what other jobs saw, never what an attempt of its own did.
    pub(crate) fn before(self, job_id: &str) -> Option<State> {
        if self.job_id == job_id { self.before } else { Some(self.now) }
    }
}

impl Sighting {
    /// Nobody answered; `reason` says why.
    pub(crate) fn unreachable(reason: String) -> Self {
        Self { state: State { up: false, status: None }, reason: Some(reason) }
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => f.write_str("up"),
            Some(reason) => write!(f, "down: {reason}"),
        }
    }
}

impl Output {
    pub(crate) fn compare(
        expectation: &Expectation,
        previous: Option<State>,
        now: Sighting,
    ) -> Self {
        let changed = match previous {
            Some(previous) => previous != now.state,
            // A page that is up the first time is no news.
            None => !now.state.up,
        };
        Self {
            url: expectation.url.clone(),
            up: now.state.up,
            status: now.state.status,
            changed,
            previous,
            reason: now.reason,
        }
    }

    pub(crate) fn state(&self) -> State {
        State { up: self.up, status: self.status }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expectation, Input, Memory, Output, Sighting, State};

    fn expectation(json: serde_json::Value) -> Result<Expectation, roughneck_sdk::Failure> {
        Expectation::new(serde_json::from_value::<Input>(json).unwrap())
    }

    fn plain() -> Expectation {
        expectation(serde_json::json!({ "url": "https://example.com/" })).unwrap()
    }

    const UP: State = State { up: true, status: Some(200) };

    #[test]
    fn a_url_alone_expects_200_and_alerts_the_usual_target() {
        let expectation = plain();
        assert_eq!(expectation.target, "alerts");
        assert_eq!(expectation.judge(200, b"").state, UP);
    }

    #[test]
    fn another_status_is_down_and_says_so() {
        let sighting = plain().judge(503, b"");
        assert_eq!(sighting.to_string(), "down: The page answered 503 instead of 200.");
    }

    #[test]
    fn a_missing_text_is_down_even_with_the_right_status() {
        let watched = serde_json::json!({
            "url": "https://example.com/", "contains": "Welcome", "expect_status": 201,
        });
        let expectation = expectation(watched).unwrap();
        assert_eq!(expectation.judge(201, b"<h1>Welcome</h1>").to_string(), "up");
        let sighting = expectation.judge(201, b"<h1>\xff</h1>");
        assert_eq!(sighting.state, State { up: false, status: Some(201) });
        assert_eq!(sighting.to_string(), "down: The page does not contain `Welcome`.");
    }

    #[test]
    fn only_a_change_or_a_first_sighting_of_down_is_news() {
        let down = State { up: false, status: None };
        for (previous, now, changed) in [
            (None, plain().judge(200, b""), false),
            (None, Sighting::unreachable("gone".to_owned()), true),
            (Some(UP), plain().judge(200, b""), false),
            (Some(UP), plain().judge(500, b""), true),
            (Some(down), plain().judge(200, b""), true),
            (Some(down), Sighting::unreachable("still gone".to_owned()), false),
        ] {
            let output = Output::compare(&plain(), previous, now);
            assert_eq!(output.changed, changed, "{previous:?} -> {output:?}");
            assert_eq!(output.previous, previous);
        }
    }

    #[test]
    fn what_is_kept_is_what_was_seen() {
        let output = Output::compare(&plain(), None, plain().judge(404, b""));
        assert_eq!(output.state(), State { up: false, status: Some(404) });
    }

    #[test]
    fn an_attempt_after_a_crash_sees_the_same_change_and_the_next_job_does_not() {
        let down = State { up: false, status: None };
        let kept = || Memory::new("job-1".to_owned(), Some(UP), down);
        assert_eq!(kept().before("job-1"), Some(UP));
        assert_eq!(kept().before("job-2"), Some(down));
        assert_eq!(Memory::new("job-1".to_owned(), None, down).before("job-1"), None);
    }

    #[test]
    fn each_bad_field_is_named_with_what_to_do() {
        for (input, part) in [
            (serde_json::json!({ "url": "ftp://example.com" }), "`url` must be an address"),
            (
                serde_json::json!({ "url": format!("https://{}", "ä".repeat(300)) }),
                "at most 512 bytes",
            ),
            (
                serde_json::json!({ "url": "https://a", "expect_status": 99 }),
                "`expect_status` is 99",
            ),
            (serde_json::json!({ "url": "https://a", "contains": "" }), "`contains` is empty"),
        ] {
            let failure = expectation(input).unwrap_err();
            assert_eq!(failure.code, "invalid-input");
            assert!(failure.message.contains(part), "{}", failure.message);
        }
    }
}
