//! The memory of schedules.

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    job::NewJob,
    ports::{
        bell::Change,
        schedules::{Created, Schedules, Settled, Settlement},
        store::{StoreError, Submitted},
    },
    schedule::{Fire, Kept, LastFire, Made, Overlap, Pause, Spec},
};

use crate::{Memory, tables::Tables};

#[async_trait]
impl Schedules for Memory {
    async fn schedules(&self) -> Result<Vec<Kept>, StoreError> {
        let mut kept: Vec<Kept> = self.tables().schedules.values().cloned().collect();
        for made in kept.iter_mut().filter_map(|kept| kept.made.as_mut()) {
            made.spec.input = String::new();
        }
        Ok(kept)
    }

    async fn schedule(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        Ok(self.tables().schedules.get(id).cloned())
    }

    async fn remember_schedule(
        &self,
        id: &str,
        timing: &str,
        now: Millis,
    ) -> Result<Kept, StoreError> {
        let mut tables = self.tables();
        let revision = tables.next_revision();
        let kept = tables.schedules.entry(id.to_owned()).or_insert(new(id, revision, now));
        if kept.timing.as_deref().is_some_and(|known| known != timing) {
            (kept.revision, kept.handled_up_to) = (revision, now);
        }
        kept.timing = Some(timing.to_owned());
        Ok(kept.clone())
    }

    async fn create_schedule(
        &self,
        spec: Spec,
        pause: Option<Pause>,
        at: Millis,
        max: u32,
    ) -> Result<Created, StoreError> {
        self.write(|tables| {
            if tables.schedules.contains_key(&spec.id) {
                return Ok(Created::Exists);
            }
            let made = tables.schedules.values().filter(|kept| kept.made.is_some()).count();
            if made >= max as usize {
                return Ok(Created::Full);
            }
            let (id, timing, revision) = (spec.id.clone(), spec.timing(), tables.next_revision());
            let made = Some(Made { spec, created_at: at, changed_at: at });
            let kept = Kept { timing: Some(timing), paused: pause, made, ..new(&id, revision, at) };
            tables.schedules.insert(id, kept);
            tables.changes.push(Change::Schedule);
            Ok(Created::New)
        })
    }

    async fn change_schedule(&self, spec: Spec, at: Millis) -> Result<bool, StoreError> {
        let id = spec.id.clone();
        self.change(&id, |kept| {
            let timing = Some(spec.timing());
            if kept.timing != timing {
                (kept.timing, kept.handled_up_to) = (timing, at);
            }
            let created_at = kept.made.as_ref().map_or(at, |made| made.created_at);
            kept.made = Some(Made { spec, created_at, changed_at: at });
        })
    }

    async fn delete_schedule(&self, id: &str) -> Result<bool, StoreError> {
        self.write(|tables| {
            tables.changes.push(Change::Schedule);
            Ok(tables.schedules.remove(id).is_some())
        })
    }

    async fn pause_schedule(&self, id: &str, pause: Pause) -> Result<bool, StoreError> {
        self.change(id, |kept| kept.paused = Some(kept.paused.take().unwrap_or(pause)))
    }

    async fn resume_schedule(&self, id: &str, at: Millis) -> Result<bool, StoreError> {
        self.change(id, |kept| {
            if kept.paused.take().is_some() {
                kept.handled_up_to = at;
            }
        })
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        self.write(|tables| {
            tables.break_settlement(&settlement.schedule)?;
            if !settlement.jobs.is_empty() {
                tables.check_marks()?;
            }
            tables.settle(&settlement)
        })
    }

    async fn forget_fires(&self, until: Millis, limit: u32) -> Result<u32, StoreError> {
        let mut tables = self.tables();
        let mut old: Vec<_> = tables.fires.iter().filter(|(_, at)| *at <= until).cloned().collect();
        old.sort_by_key(|(_, at)| *at);
        old.truncate(limit as usize);
        tables.fires.retain(|fire| !old.contains(fire));
        Ok(u32::try_from(old.len()).unwrap_or(u32::MAX))
    }
}

impl Memory {
    /// Changes what is kept of a schedule, as a new revision. False if nothing is.
    fn change(&self, id: &str, change: impl FnOnce(&mut Kept)) -> Result<bool, StoreError> {
        self.write(|tables| {
            let revision = tables.next_revision();
            let Some(kept) = tables.schedules.get_mut(id) else { return Ok(false) };
            kept.revision = revision;
            change(kept);
            tables.changes.push(Change::Schedule);
            Ok(true)
        })
    }
}

impl Tables {
    fn next_revision(&mut self) -> i64 {
        self.last_revision += 1;
        self.last_revision
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<Settled, StoreError> {
        let kept = self.schedules.get_mut(&settlement.schedule);
        let current = kept.filter(|kept| kept.revision == settlement.revision);
        let Some(kept) = current else { return Ok(Settled::Stale) };
        kept.handled_up_to = kept.handled_up_to.max(settlement.up_to);
        kept.fires_missed += u64::from(settlement.missed);
        let mut submitted = Vec::new();
        for new in &settlement.jobs {
            submitted.extend(self.fire(settlement, new)?);
        }
        Ok(Settled::Submitted(submitted))
    }

    /// Submits the job of a fire, unless that was handled before or overlaps.
    fn fire(&mut self, settlement: &Settlement, new: &NewJob) -> Result<Option<JobId>, StoreError> {
        let at = new.fire.as_ref().and_then(|fire| fire.at);
        let is_new = at.is_none_or(|at| self.fires.insert((settlement.schedule.clone(), at)));
        if !is_new {
            return Ok(None);
        }
        let is_skipped = settlement.overlap == Overlap::Skip && self.is_open(&settlement.schedule);
        let submitted = if is_skipped { None } else { Some(self.submit(new)?) };
        let Some(kept) = self.schedules.get_mut(&settlement.schedule) else { return Ok(None) };
        match submitted {
            None | Some(Submitted::Existing(_)) => kept.fires_skipped += 1,
            Some(Submitted::Created(id)) => {
                kept.last_fire = at.map(|at| LastFire { at, job: Some(id) }).or(kept.last_fire);
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Whether a job of the schedule has not ended.
    fn is_open(&self, schedule: &str) -> bool {
        let open = self.jobs.values().filter(|row| !row.job.state.is_terminal());
        let mut fires = open.filter_map(|row| row.job.fire.as_ref());
        fires.any(|fire: &Fire| fire.schedule == schedule)
    }
}

fn new(id: &str, revision: i64, now: Millis) -> Kept {
    Kept {
        id: id.to_owned(),
        revision,
        handled_up_to: now,
        timing: None,
        paused: None,
        last_fire: None,
        fires_missed: 0,
        fires_skipped: 0,
        made: None,
    }
}
