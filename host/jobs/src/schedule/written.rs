//! From the body of a request to a schedule.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CATCH_UP_MAX, Missed, Overlap, Schedule, ScheduleError, Spec, UTC};
use crate::{
    caller::Caller,
    intake::INPUT_BYTES_MAX,
    json::{self, DEPTH_MAX},
    name::is_name,
    priority::Priority,
};

/// What a caller sends to `POST /schedules` and `PUT /schedules/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Its identity, for ever.
    pub id: Option<String>,
    /// The kind it submits.
    pub kind: String,
    /// Cron expression or `@every <duration>`.
    pub expr: String,
    /// IANA zone; `UTC` by default.
    pub timezone: Option<String>,
    /// JSON for the plugin; `{}` by default.
    #[serde(default, deserialize_with = "json::sent")]
    pub input: Option<Box<RawValue>>,
    /// The kind's own priority by default.
    pub priority: Option<Priority>,
    /// On whose token budget its jobs go.
    pub caller: Option<Caller>,
    /// What to do about missed fires.
    #[serde(default)]
    pub missed: Missed,
    /// Fires that may run at once, with `missed` `all`.
    pub missed_max: Option<u32>,
    /// What to do about overlap.
    #[serde(default)]
    pub overlap: Overlap,
    /// Whether a new schedule waits to be resumed.
    pub paused: Option<bool>,
}

/// Why the body describes no schedule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotWritten {
    /// A schedule without an identity would be a second one after each repetition.
    #[error("`id` is missing: a schedule is known by its id, such as `nightly-report`")]
    NoId,
    /// Not a name.
    #[error(
        "`{0}` is not an id of a schedule: use a lower-case letter followed by 1 to 62 lower-case letters, digits or `-`"
    )]
    Id(String),
    /// Too large.
    #[error(
        "the input has {bytes} bytes and the limit is {INPUT_BYTES_MAX}; store the data elsewhere and submit its address"
    )]
    InputTooLarge {
        /// As counted.
        bytes: usize,
    },
    /// Few could read it.
    #[error(
        "the input is nested deeper than {DEPTH_MAX} levels; make it flatter, or send the inner part as text"
    )]
    InputTooDeep,
    /// A limit for what does not happen.
    #[error("`missed_max` belongs to `missed` `all`; with `{}` at most one fire is made up for", .0.as_str())]
    MissedMax(Missed),
    /// What decides the instants.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl Written {
    /// Reads and checks it. `kind` is the present name of [`Written::kind`].
    ///
    /// # Errors
    /// [`NotWritten`] says what to change.
    pub fn read(self, kind: &str) -> Result<Schedule, NotWritten> {
        let id = self.id.ok_or(NotWritten::NoId)?;
        if !is_name(&id) {
            return Err(NotWritten::Id(id.chars().take(64).collect()));
        }
        let input = self.input.as_deref().map_or("{}", RawValue::get);
        if input.len() > INPUT_BYTES_MAX {
            return Err(NotWritten::InputTooLarge { bytes: input.len() });
        }
        if json::is_too_deep(input) {
            return Err(NotWritten::InputTooDeep);
        }
        let missed_max = match (self.missed, self.missed_max) {
            (Missed::All, max) => max.unwrap_or(CATCH_UP_MAX),
            (Missed::Skip | Missed::Once, None) => CATCH_UP_MAX,
            (missed @ (Missed::Skip | Missed::Once), Some(_)) => {
                return Err(NotWritten::MissedMax(missed));
            }
        };
        Ok(Schedule::new(Spec {
            id,
            kind: kind.to_owned(),
            expr: self.expr,
            zone: self.timezone.unwrap_or_else(|| UTC.to_owned()),
            input: input.to_owned(),
            priority: self.priority,
            caller: self.caller,
            missed: self.missed,
            missed_max,
            overlap: self.overlap,
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Spec, String> {
        let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let kind = written.kind.clone();
        written.read(&kind).map(|read| read.spec).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let spec = read(r#"{"id":"nightly","kind":"k1","expr":"0 3 * * *"}"#).unwrap();
        assert_eq!((spec.zone.as_str(), spec.input.as_str(), spec.priority), ("UTC", "{}", None));
        assert_eq!(spec.caller, None);
        assert_eq!((spec.missed, spec.overlap), (Missed::Once, Overlap::Skip));
    }

    #[test]
    fn what_is_said_is_kept_to_the_byte() {
        let spec = read(
            r#"{"id":"a1","kind":"k1","expr":"@every 5m","timezone":"Europe/Berlin","input":{"z": 1.0},
                "priority":"low","missed":"all","missed_max":7,"overlap":"queue","paused":true,"caller":"alice"}"#,
        )
        .unwrap();
        assert_eq!((spec.input.as_str(), spec.priority), (r#"{"z": 1.0}"#, Some(Priority::LOW)));
        assert_eq!(spec.caller, Some("alice".parse().unwrap()));
        assert_eq!((spec.missed, spec.missed_max, spec.overlap), (Missed::All, 7, Overlap::Queue));
    }

    #[test]
    fn each_mistake_gets_its_own_sentence() {
        let table = [
            (r#"{"kind":"k1","expr":"0 3 * * *"}"#, "`id` is missing"),
            (r#"{"id":"Night","kind":"k1","expr":"0 3 * * *"}"#, "`Night` is not an id"),
            (r#"{"id":"a/b","kind":"k1","expr":"0 3 * * *"}"#, "`a/b` is not an id"),
            (r#"{"id":"a1","kind":"k1","expr":"every day"}"#, "five cron fields"),
            (r#"{"id":"a1","kind":"k1","expr":"0 0 31 2 *"}"#, "names no day that ever comes"),
            (r#"{"id":"a1","kind":"k1","expr":"@every 1ms"}"#, "at least one second"),
            (
                r#"{"id":"a1","kind":"k1","expr":"@every 1h","timezone":"CEST"}"#,
                "`CEST` is not a time zone",
            ),
            (
                r#"{"id":"a1","kind":"k1","expr":"@every 1h","missed_max":5}"#,
                "`missed_max` belongs to",
            ),
            (
                r#"{"id":"a1","kind":"k1","expr":"@every 1h","missed":"all","missed_max":101}"#,
                "1 to 100 missed fires, not on 101",
            ),
            (
                r#"{"id":"a1","kind":"k1","expr":"@every 1h","missed":"none"}"#,
                "unknown variant `none`",
            ),
            (
                r#"{"id":"a1","kind":"k1","expr":"@every 1h","caller":""}"#,
                "`caller` names whom a job is for in 1 to 128 bytes",
            ),
            (r#"{"id":"a1","kind":"k1","expr":"@every 1h","cron":"x"}"#, "unknown field `cron`"),
        ];
        for (json, sentence) in table {
            let error = read(json).unwrap_err();
            assert!(error.contains(sentence), "{json}: {error}");
        }
        let large = "a".repeat(INPUT_BYTES_MAX);
        let json = format!(r#"{{"id":"a1","kind":"k1","expr":"@every 1h","input":"{large}"}}"#);
        assert!(read(&json).unwrap_err().contains("the limit is 4194304"));
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        let json = format!(r#"{{"id":"a1","kind":"k1","expr":"@every 1h","input":{deep}}}"#);
        assert!(read(&json).unwrap_err().contains("deeper than 100 levels"));
    }
}
