//! What a test may do to a store that no caller can, and see of it that no port shows.

use std::collections::BTreeSet;

use roughneck_jobs::{
    class::Class,
    clock::Millis,
    id::JobId,
    job::{Job, NewJob},
    lifecycle::Event,
    mark::Passed,
    ports::store::{Claim, Claimed, StoreError},
    state::State,
    step::Step,
};

use crate::{Memory, row::Row, tables::Tables};

/// The harm that was done.
#[derive(Default)]
pub(crate) struct Tampered {
    /// The mark because of which no new job is taken.
    pub(crate) passed: Option<Passed>,
    /// How many jobs each command deleted because they ended long ago.
    pub(crate) retired: Vec<u32>,
    /// How often somebody has asked for jobs.
    pub(crate) claims: u32,
    /// A class that gets a copy of each job that is claimed, so that it never runs dry.
    endless: Option<Class>,
    /// Ends of runs to refuse before one is kept.
    broken_finishes: u32,
    /// Renewals of leases to refuse before one succeeds.
    broken_renewals: u32,
    /// Begins of attended jobs to refuse before one succeeds.
    broken_begins: u32,
    /// Submissions to refuse before one succeeds.
    broken_submissions: u32,
    /// Reads of results to refuse before one succeeds.
    broken_reads: u32,
    /// Ends of deliveries that are answered as by a dead store before one is kept.
    dead_records: u32,
    /// A job at whose submission the store panics.
    feared: Option<JobId>,
    /// A schedule whose fires cannot be settled.
    broken_schedule: Option<String>,
}

impl Memory {
    /// The job of this id, or none.
    #[must_use]
    pub fn look(&self, id: JobId) -> Option<Job> {
        self.tables().jobs.get(&id).map(|row| row.job.clone())
    }

    /// All jobs that are kept.
    #[must_use]
    pub fn ids(&self) -> Vec<JobId> {
        self.tables().jobs.keys().copied().collect()
    }

    /// The fires that were answered with a job, the oldest first, as often as they were.
    #[must_use]
    pub fn fired(&self, schedule: &str) -> Vec<Millis> {
        let tables = self.tables();
        let fires = tables.jobs.values().filter_map(|row| row.job.fire.as_ref());
        let of_schedule = fires.filter(|fire| fire.schedule == schedule);
        let mut fired: Vec<Millis> = of_schedule.filter_map(|fire| fire.at).collect();
        fired.sort_unstable();
        fired
    }

    /// The fires that are remembered.
    #[must_use]
    pub fn fires(&self) -> Vec<Millis> {
        self.tables().fires.iter().map(|(_, at)| *at).collect()
    }

    /// How many jobs each command deleted that deleted some because they ended long ago.
    #[must_use]
    pub fn retired(&self) -> Vec<u32> {
        self.tables().tampered.retired.iter().copied().filter(|jobs| *jobs > 0).collect()
    }

    /// Refuses to keep the next ends of runs, so many.
    pub fn break_finishes(&self, count: u32) {
        self.tables().tampered.broken_finishes = count;
    }

    /// Refuses to renew leases the next times, so many.
    pub fn break_renewals(&self, count: u32) {
        self.tables().tampered.broken_renewals = count;
    }

    /// Refuses the next begins of attended jobs, so many.
    pub fn break_begins(&self, count: u32) {
        self.tables().tampered.broken_begins = count;
    }

    /// Refuses the next submissions, so many.
    pub fn break_submissions(&self, count: u32) {
        self.tables().tampered.broken_submissions = count;
    }

    /// Panics at the submission of this job.
    pub fn fear(&self, id: JobId) {
        self.tables().tampered.feared = Some(id);
    }

    /// While true, no submission is made.
    pub fn hold_submissions(&self, hold: bool) {
        self.submissions_held.send_replace(hold);
    }

    /// While true, no lease is renewed.
    pub fn hold_renewals(&self, hold: bool) {
        self.renewals_held.send_replace(hold);
    }

    /// While true, no attended job begins.
    pub fn hold_begins(&self, hold: bool) {
        self.begins_held.send_replace(hold);
    }

    /// Answers the next ends of deliveries, so many, as a dead store does.
    pub fn bury_records(&self, count: u32) {
        self.tables().tampered.dead_records = count;
    }

    /// Refuses the next reads of results, so many.
    pub fn break_reads(&self, count: u32) {
        self.tables().tampered.broken_reads = count;
    }

    /// Refuses to settle the fires of a schedule.
    pub fn break_schedule(&self, id: &str) {
        self.tables().tampered.broken_schedule = Some(id.to_owned());
    }

    /// Says that a high-water mark is passed, or that all are kept.
    pub fn set_passed(&self, passed: Option<Passed>) {
        self.tables().tampered.passed = passed;
    }

    /// While true, a claim is made but not yet answered.
    pub fn hold_claims(&self, hold: bool) {
        self.claims_held.send_replace(hold);
    }

    /// While true, nobody is told how many jobs there are.
    pub fn hold_counts(&self, hold: bool) {
        self.counts_held.send_replace(hold);
    }

    /// While true, the end of a run is kept but not yet answered.
    pub fn hold_ends(&self, hold: bool) {
        self.ends_held.send_replace(hold);
    }

    /// While true, nobody is shown a job.
    pub fn hold_looks(&self, hold: bool) {
        self.looks_held.send_replace(hold);
    }

    /// How often somebody has asked for jobs.
    #[must_use]
    pub fn claims(&self) -> u32 {
        self.tables().tampered.claims
    }

    /// Gives a class a copy of each job that is claimed.
    pub fn endless(&self, class: &str) {
        self.tables().tampered.endless = Some(Class(class.to_owned()));
    }

    /// Accepts a job as a host would whose notification was lost.
    pub fn submit_silently(&self, new: &NewJob) {
        let mut tables = self.tables();
        tables.insert(new);
        tables.changes.clear();
    }

    /// Takes a job away from its run, as another host would.
    ///
    /// # Errors
    /// [`StoreError`] if it does not run.
    pub fn steal(&self, id: JobId, at: Millis) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.make(id, Step::new(Event::Lost, at))?;
        tables.changes.clear();
        let row = tables.row(id)?;
        row.token += 1;
        row.job.state = State::Scheduled;
        Ok(())
    }

    /// Lets a blocked job wait for one more than it needs.
    pub fn miscount(&self, id: JobId) {
        let mut tables = self.tables();
        let member = tables.jobs.get_mut(&id).and_then(|row| row.job.member.as_mut());
        if let Some(member) = member {
            member.waits += 1;
        }
    }
}

impl Tables {
    pub(crate) fn check_marks(&self) -> Result<(), StoreError> {
        self.tampered.passed.map_or(Ok(()), |passed| Err(StoreError::Full(passed)))
    }

    pub(crate) fn break_finish(&mut self) -> Result<(), StoreError> {
        refuse(&mut self.tampered.broken_finishes, "end a run")
    }

    pub(crate) fn break_renewal(&mut self) -> Result<(), StoreError> {
        refuse(&mut self.tampered.broken_renewals, "renew leases")
    }

    pub(crate) fn break_begin(&mut self) -> Result<(), StoreError> {
        refuse(&mut self.tampered.broken_begins, "begin a job")
    }

    pub(crate) fn break_submission(&mut self, id: JobId) -> Result<(), StoreError> {
        // Nothing is changed yet, so that what the lock holds is whole.
        assert!(self.tampered.feared != Some(id), "the store panics over job {id}");
        refuse(&mut self.tampered.broken_submissions, "accept a job")
    }

    pub(crate) fn break_read(&mut self) -> Result<(), StoreError> {
        refuse(&mut self.tampered.broken_reads, "read the results that a job needs")
    }

    pub(crate) fn bury_record(&mut self) -> Result<(), StoreError> {
        let left = &mut self.tampered.dead_records;
        let is_dead = *left > 0;
        *left = left.saturating_sub(1);
        if is_dead { Err(StoreError::Dead) } else { Ok(()) }
    }

    pub(crate) fn break_settlement(&self, schedule: &str) -> Result<(), StoreError> {
        match self.tampered.broken_schedule.as_deref() {
            Some(broken) if broken == schedule => Err(broken_store("settle the fires")),
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn copy_endless(&mut self, claim: &Claim, claimed: &[Claimed]) {
        if self.tampered.endless.as_ref() != Some(&claim.class) {
            return;
        }
        for one in claimed {
            let id = JobId::at(claim.at, &self.dice());
            let copied = self.jobs.get(&one.job.id).map(|row| Row {
                model: row.model.clone(),
                job: Job {
                    id,
                    rank: claim.at,
                    state: State::Queued,
                    attempt: 0,
                    ..row.job.clone()
                },
                token: 0,
                retry_token: 0,
                lease_until: claim.at,
                is_parked: false,
                concurrency: None,
                unique: None,
                idempotency_key: None,
                needs: Vec::new(),
                birth: None,
                depth: 0,
                awaited: BTreeSet::new(),
                place: 0,
                events: Vec::new(),
                attempts: Vec::new(),
            });
            self.jobs.extend(copied.map(|row| (id, row)));
        }
    }
}

fn refuse(left: &mut u32, doing: &'static str) -> Result<(), StoreError> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err(broken_store(doing))
}

fn broken_store(doing: &'static str) -> StoreError {
    StoreError::Broken { doing, source: "the disk is away".into() }
}
