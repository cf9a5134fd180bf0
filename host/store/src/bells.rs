//! What is to be rung after a commit.

use std::collections::BTreeSet;

use roughneck_jobs::{
    class::Class,
    id::JobId,
    ports::bell::{Bell, Change},
};

/// The changes of a batch, each kind rung once.
#[derive(Default)]
pub(crate) struct Bells {
    jobs: BTreeSet<JobId>,
    classes: BTreeSet<Class>,
    /// Classes of which all was handed out that could be, after whatever rang for them.
    served: BTreeSet<Class>,
    due: bool,
    delivery: bool,
    schedule: bool,
    runs: bool,
}

impl Bells {
    /// A job moved.
    pub(crate) fn job(&mut self, id: JobId) {
        self.jobs.insert(id);
    }

    /// A job of the class is ready, or a slot free.
    pub(crate) fn class(&mut self, class: &Class) {
        if !self.classes.contains(class) {
            self.served.remove(class);
            self.classes.insert(class.clone());
        }
    }

    /// What is ready of the class was handed out: nobody need look for it.
    pub(crate) fn served(&mut self, class: &Class) {
        self.classes.remove(class);
        self.served.insert(class.clone());
    }

    /// A job became due later than now.
    pub(crate) fn due(&mut self) {
        self.due = true;
    }

    /// A delivery waits, or its turn has come.
    pub(crate) fn delivery(&mut self) {
        self.delivery = true;
    }

    /// Runs have lost their jobs because others were cancelled.
    pub(crate) fn runs(&mut self) {
        self.runs = true;
    }

    /// The bells of the engine, which wait for nothing, and those of the outside, which wait for the disk.
    pub(crate) fn split(self) -> (Self, Self) {
        let Self { jobs, classes, served: _, due, delivery, schedule, runs } = self;
        let outside = Self { jobs, delivery, ..Self::default() };
        (Self { classes, due, schedule, runs, ..Self::default() }, outside)
    }

    /// A schedule was made, changed, paused, resumed or deleted.
    pub(crate) fn schedule(&mut self) {
        self.schedule = true;
    }

    /// Adds those of a later part.
    pub(crate) fn add(&mut self, other: Self) {
        self.classes.retain(|class| !other.served.contains(class));
        self.served.retain(|class| !other.classes.contains(class));
        self.served.extend(other.served);
        self.jobs.extend(other.jobs);
        self.classes.extend(other.classes);
        self.due |= other.due;
        self.delivery |= other.delivery;
        self.schedule |= other.schedule;
        self.runs |= other.runs;
    }

    /// Rings them all.
    pub(crate) fn ring(self, bell: &dyn Bell) {
        let jobs = self.jobs.into_iter().map(Change::Job);
        let classes = self.classes.into_iter().map(Change::Class);
        let due = self.due.then_some(Change::Due);
        let delivery = self.delivery.then_some(Change::Delivery);
        let schedule = self.schedule.then_some(Change::Schedule);
        let runs = self.runs.then_some(Change::Runs);
        let rest = due.into_iter().chain(delivery).chain(schedule).chain(runs);
        jobs.chain(classes).chain(rest).for_each(|change| bell.ring(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str) -> Class {
        Class(name.to_owned())
    }

    #[test]
    fn a_class_is_rung_for_unless_a_later_claim_has_served_it() {
        let (io, cpu) = (class("io"), class("cpu"));
        let mut bells = Bells::default();
        bells.class(&io);
        bells.class(&cpu);
        let mut claim = Bells::default();
        claim.served(&io);
        bells.add(claim);
        assert_eq!(bells.classes, BTreeSet::from([cpu.clone()]));
        let mut end = Bells::default();
        end.class(&io);
        bells.add(end);
        assert_eq!(bells.classes, BTreeSet::from([cpu, io]));
    }
}
