//! `plugin.toml` as its author writes it. Reading it into [`super::Manifest`] checks and fills in.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Capabilities;
use crate::{
    priority::Priority,
    schedule::{Missed, Overlap},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Written {
    #[expect(dead_code, reason = "read first and alone by `super::version`")]
    pub(super) manifest: i64,
    pub(super) plugin: Plugin,
    pub(super) component: Component,
    #[serde(default)]
    pub(super) kind: Vec<Kind>,
    #[serde(default)]
    pub(super) capabilities: Capabilities,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) cron: Vec<Cron>,
    #[serde(default)]
    #[expect(dead_code, reason = "free space of other tools, accepted and ignored")]
    pub(super) ext: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Plugin {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) world: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for people who read the manifest")]
    pub(super) authors: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Component {
    pub(super) source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) class: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) priority: Priority,
    pub(super) timeout: Option<String>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) retry: Option<Retry>,
    pub(super) model: Option<Model>,
    pub(super) unique: Option<Unique>,
    pub(super) concurrency: Option<Concurrency>,
    pub(super) rate: Option<Rate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Unique {
    #[serde(default)]
    pub(super) key: String,
    pub(super) during: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "there is one way, and a manifest may say so")]
    pub(super) on_conflict: OnConflict,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnConflict {
    #[default]
    ReturnExisting,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Concurrency {
    pub(super) key: Option<String>,
    pub(super) limit: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Rate {
    pub(super) count: u32,
    pub(super) per: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Retry {
    pub(super) max: Option<u32>,
    #[serde(default)]
    pub(super) backoff: Backoff,
    pub(super) base: Option<String>,
    pub(super) cap: Option<String>,
    #[serde(default)]
    pub(super) delays: Vec<String>,
    pub(super) jitter: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Backoff {
    #[default]
    Exponential,
    Fixed,
    Polynomial,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Model {
    pub(super) tag: String,
    pub(super) num_ctx: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    pub(super) memory: Option<String>,
    pub(super) cpu: Option<String>,
    pub(super) host_calls: Option<u32>,
    pub(super) output: Option<String>,
    pub(super) log: Option<String>,
    pub(super) tokens_per_job: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Cron {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) expr: String,
    pub(super) timezone: Option<String>,
    pub(super) priority: Option<Priority>,
    #[serde(default)]
    pub(super) missed: Missed,
    pub(super) missed_max: Option<u32>,
    #[serde(default)]
    pub(super) overlap: Overlap,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    pub(super) input: Option<toml::Value>,
}

fn yes() -> bool {
    true
}
