//! `[classes]`: slots by class, laid over the defaults.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use roughneck_jobs::class::{Class, Slots, default_slots};
use serde::Deserialize;

const SLOTS_MAX: u32 = 1000;

/// Slots by class.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Classes(BTreeMap<String, u32>);

impl Classes {
    /// The classes of this host: the defaults, changed and added to.
    ///
    /// # Errors
    /// A sentence, if a class has no slot or absurdly many.
    pub(crate) fn slots(&self) -> Result<Vec<Slots>> {
        let mut slots = default_slots();
        for (name, &count) in &self.0 {
            let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !is_name {
                bail!("the class `{name}` is not a name: use lower-case letters, digits and `-`");
            }
            if count == 0 || count > SLOTS_MAX {
                bail!("the class `{name}` must have 1 to {SLOTS_MAX} slots");
            }
            match slots.iter_mut().find(|slots| slots.class.0 == *name) {
                Some(known) => known.count = count,
                None => slots.push(Slots { class: Class(name.clone()), count }),
            }
        }
        Ok(slots)
    }
    /// The classes that jobs can be of which are submitted.
    ///
    /// # Errors
    /// As [`Self::slots`].
    pub(crate) fn durable(&self) -> Result<BTreeSet<Class>> {
        let classes = self.slots()?.into_iter().map(|slots| slots.class);
        Ok(classes.filter(|class| !class.is_attended()).collect())
    }
}
