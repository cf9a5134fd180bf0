//! The relatives of a job as clients see them.

use std::borrow::Cow;

use roughneck_jobs::{
    child::{Family, Relative},
    id::JobId,
    state::State,
};
use serde::Serialize;

use crate::view::Links;

/// Children in one answer: a job may have thousands.
pub(crate) const CHILDREN_SHOWN_MAX: u32 = 200;

/// A job among its relatives.
#[derive(Debug, Serialize)]
pub(crate) struct FamilyView<'a> {
    /// The name of the job among the children of its parent.
    name: Option<&'a str>,
    /// How many jobs are above it.
    depth: u32,
    /// Children that it waits for.
    waits: u32,
    /// Null if there is none, or if it was deleted.
    parent: Option<RelativeView<'a>>,
    /// The first of them.
    children: Vec<RelativeView<'a>>,
    children_count: u64,
}

#[derive(Debug, Serialize)]
struct RelativeView<'a> {
    id: JobId,
    name: Option<&'a str>,
    kind: &'a str,
    state: State,
    links: Links,
}

impl<'a> FamilyView<'a> {
    /// None for a job that has no relatives, and never had a parent.
    pub(crate) fn of(family: &'a Family) -> Option<Self> {
        (family.depth > 0 || family.children_count > 0).then(|| Self {
            name: family.name.as_deref(),
            depth: family.depth,
            waits: family.awaits,
            parent: family.parent.as_ref().map(RelativeView::from),
            children: family.children.iter().map(RelativeView::from).collect(),
            children_count: family.children_count,
        })
    }

    /// Why the job is blocked, if it is because of its children. What the store has written down was true when
    /// the job began to wait.
    pub(crate) fn reason(&self) -> Option<Cow<'static, str>> {
        let (waits, all) = (self.waits, self.children_count);
        (waits > 0).then(|| Cow::Owned(format!("waits for {waits} of its {all} children")))
    }
}

impl<'a> From<&'a Relative> for RelativeView<'a> {
    fn from(relative: &'a Relative) -> Self {
        let Relative { id, name, kind, state } = relative;
        Self { id: *id, name: name.as_deref(), kind, state: *state, links: Links::of(*id) }
    }
}
