//! What a schedule is, on the command line and in the body of a request.

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use roughneck_jobs::{caller::Caller, priority::Priority};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::commands::input::Input;

#[derive(Debug, clap::Args)]
pub(super) struct Definition {
    /// What to run; `roughneck plugin list` shows the kinds
    kind: String,
    /// When: five cron fields such as '0 6 * * MON', or '@every 5m'
    expr: String,
    /// IANA zone that the fields are meant in, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    #[command(flatten)]
    input: Input,
    /// urgent, high, normal, low or bulk, or a number from 0 to 100 [default: the kind's]
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<Priority>,
    /// On whose token budget its jobs go: a name of your own for a tenant or a user
    #[arg(long, value_name = "NAME")]
    caller: Option<Caller>,
    /// What to do about fires that passed while the host was down [default: once]
    #[arg(long, value_parser = PossibleValuesParser::new(["skip", "once", "all"]))]
    missed: Option<String>,
    /// How many of them may run, with --missed all [default: 100]
    #[arg(long, value_name = "N", requires = "missed")]
    missed_max: Option<u32>,
    /// What to do when the job of the last fire has not ended [default: skip]
    #[arg(long, value_parser = PossibleValuesParser::new(["skip", "queue"]))]
    overlap: Option<String>,
}

/// The body of `POST /schedules` and `PUT /schedules/{id}`. What is left out is the host's to decide.
#[derive(Serialize)]
pub(super) struct Body {
    id: String,
    kind: String,
    expr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<bool>,
}

impl Definition {
    /// The body for the schedule of this id.
    ///
    /// # Errors
    /// If the input cannot be read.
    pub(super) fn body(self, id: &str) -> Result<Body> {
        Ok(Body {
            id: id.to_owned(),
            kind: self.kind,
            expr: self.expr,
            timezone: self.timezone,
            input: self.input.read()?,
            priority: self.priority,
            caller: self.caller,
            missed: self.missed,
            missed_max: self.missed_max,
            overlap: self.overlap,
            paused: None,
        })
    }
}
