//! The transaction of a batch, as the intentions in it see it.

use std::{collections::BTreeSet, mem};

use roughneck_jobs::{
    class::Class,
    clock::Entropy,
    id::JobId,
    ports::bell::{Bell, Change},
};
use sqlx::SqliteConnection;

use crate::memory::Memory;

/// An open transaction. It lives inside one batch of the writer and is never given to callers.
pub(crate) struct Transaction<'c> {
    /// The write connection.
    pub(crate) connection: &'c mut SqliteConnection,
    /// The dice, for the ids of deliveries.
    pub(crate) entropy: &'c dyn Entropy,
    /// What the writer remembers.
    pub(crate) memory: &'c mut Memory,
    /// What to ring after the commit.
    pub(crate) bells: Bells,
    /// Jobs that were added to those that have not ended.
    pub(crate) open_jobs: i64,
}

impl Transaction<'_> {
    /// Begins a part that can fail alone.
    pub(crate) async fn save(&mut self) -> Result<Savepoint, sqlx::Error> {
        sqlx::query("SAVEPOINT part").execute(&mut *self.connection).await?;
        Ok(self.part(false))
    }

    /// Begins a part that is all there is to the transaction, which costs nothing.
    pub(crate) fn begin_whole(&mut self) -> Savepoint {
        self.part(true)
    }

    fn part(&mut self, is_whole: bool) -> Savepoint {
        Savepoint { before: mem::take(&mut self.bells), open_jobs: self.open_jobs, is_whole }
    }

    /// Ends the part: keeps what it wrote, or undoes it together with its bells and its count. An
    /// error here means that the database has given the whole transaction up.
    pub(crate) async fn end(&mut self, part: Savepoint, keep: bool) -> Result<(), sqlx::Error> {
        let of_part = mem::replace(&mut self.bells, part.before);
        if keep {
            self.bells.add(of_part);
        } else {
            self.open_jobs = part.open_jobs;
        }
        let end = match (part.is_whole, keep) {
            (true, true) => return Ok(()),
            (true, false) => "ROLLBACK; BEGIN IMMEDIATE",
            (false, true) => "RELEASE part",
            (false, false) => "ROLLBACK TO part; RELEASE part",
        };
        sqlx::query(end).execute(&mut *self.connection).await?;
        Ok(())
    }
}

/// Where a part began.
#[must_use = "a part must be ended"]
pub(crate) struct Savepoint {
    before: Bells,
    open_jobs: i64,
    /// Whether nothing else is in the transaction.
    is_whole: bool,
}

/// The changes of a batch, each kind rung once.
#[derive(Default)]
pub(crate) struct Bells {
    jobs: BTreeSet<JobId>,
    classes: BTreeSet<Class>,
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
            self.classes.insert(class.clone());
        }
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
        let Self { jobs, classes, due, delivery, schedule, runs } = self;
        let outside = Self { jobs, delivery, ..Self::default() };
        (Self { classes, due, schedule, runs, ..Self::default() }, outside)
    }

    /// A schedule was made, changed, paused, resumed or deleted.
    pub(crate) fn schedule(&mut self) {
        self.schedule = true;
    }

    pub(crate) fn add(&mut self, other: Self) {
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
