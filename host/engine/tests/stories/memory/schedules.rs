//! The memory of schedules.

use super::*;

#[async_trait]
impl Schedules for Memory {
    async fn schedules(&self) -> Result<Vec<Kept>, StoreError> {
        let mut kept: Vec<Kept> = self.lock().schedules.values().cloned().collect();
        for made in kept.iter_mut().filter_map(|kept| kept.made.as_mut()) {
            made.spec.input = String::new();
        }
        Ok(kept)
    }

    async fn schedule(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        Ok(self.lock().schedules.get(id).cloned())
    }

    async fn remember_schedule(
        &self,
        id: &str,
        timing: &str,
        now: Millis,
    ) -> Result<Kept, StoreError> {
        let mut tables = self.lock();
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
        pause: Option<schedule::Pause>,
        at: Millis,
        _max: u32,
    ) -> Result<Created, StoreError> {
        let mut tables = self.lock();
        if tables.schedules.contains_key(&spec.id) {
            return Ok(Created::Exists);
        }
        let (id, timing, revision) = (spec.id.clone(), spec.timing(), tables.next_revision());
        let made = Some(Made { spec, created_at: at, changed_at: at });
        let kept = Kept { timing: Some(timing), paused: pause, made, ..new(&id, revision, at) };
        tables.schedules.insert(id, kept);
        drop(tables);
        self.bell.ring(Change::Schedule);
        Ok(Created::New)
    }

    async fn change_schedule(&self, spec: Spec, at: Millis) -> Result<bool, StoreError> {
        let id = spec.id.clone();
        Ok(self.change(&id, |kept| {
            let timing = Some(spec.timing());
            if kept.timing != timing {
                (kept.timing, kept.handled_up_to) = (timing, at);
            }
            let created_at = kept.made.as_ref().map_or(at, |made| made.created_at);
            kept.made = Some(Made { spec, created_at, changed_at: at });
        }))
    }

    async fn delete_schedule(&self, id: &str) -> Result<bool, StoreError> {
        let is_gone = self.lock().schedules.remove(id).is_some();
        self.bell.ring(Change::Schedule);
        Ok(is_gone)
    }

    async fn pause_schedule(&self, id: &str, pause: schedule::Pause) -> Result<bool, StoreError> {
        Ok(self.change(id, |kept| kept.paused = Some(kept.paused.take().unwrap_or(pause))))
    }

    async fn resume_schedule(&self, id: &str, at: Millis) -> Result<bool, StoreError> {
        Ok(self.change(id, |kept| {
            if kept.paused.take().is_some() {
                kept.handled_up_to = at;
            }
        }))
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        if !settlement.jobs.is_empty() {
            self.check_marks()?;
        }
        let submitted = {
            let mut tables = self.lock();
            if tables.broken_schedule.as_ref() == Some(&settlement.schedule) {
                return Err(StoreError::Broken { doing: "settle", source: "no".into() });
            }
            tables.settle(settlement)
        };
        let Some(submitted) = submitted else { return Ok(Settled::Stale) };
        for job in &submitted {
            self.bell.ring(Change::Class(job.class.clone()));
        }
        Ok(Settled::Submitted(submitted.into_iter().map(|job| job.id).collect()))
    }

    async fn forget_fires(&self, until: Millis, limit: u32) -> Result<u32, StoreError> {
        let mut tables = self.lock();
        let old = tables.fires.iter().filter(|(_, at)| *at <= until);
        let old: Vec<_> = old.take(limit as usize).cloned().collect();
        tables.fires.retain(|fire| !old.contains(fire));
        Ok(u32::try_from(old.len()).unwrap())
    }
}

impl Memory {
    /// Changes what is kept of a schedule, as a new revision. False if nothing is.
    fn change(&self, id: &str, change: impl FnOnce(&mut Kept)) -> bool {
        let mut tables = self.lock();
        let revision = tables.next_revision();
        let Some(kept) = tables.schedules.get_mut(id) else { return false };
        kept.revision = revision;
        change(kept);
        drop(tables);
        self.bell.ring(Change::Schedule);
        true
    }
}

impl Tables {
    fn next_revision(&mut self) -> i64 {
        self.last_revision += 1;
        self.last_revision
    }

    /// The jobs that were submitted, or none if the settlement is stale.
    fn settle(&mut self, settlement: Settlement) -> Option<Vec<NewJob>> {
        let kept = self.schedules.get_mut(&settlement.schedule)?;
        if kept.revision != settlement.revision {
            return None;
        }
        kept.handled_up_to = kept.handled_up_to.max(settlement.up_to);
        kept.fires_missed += u64::from(settlement.missed);
        let mut submitted = Vec::new();
        for new in settlement.jobs {
            let at = new.fire.as_ref().unwrap().at.unwrap();
            if !self.fires.insert((settlement.schedule.clone(), at)) {
                continue;
            }
            let is_open = |row: &Row| {
                !row.job.state.is_terminal()
                    && row
                        .job
                        .fire
                        .as_ref()
                        .is_some_and(|fire| fire.schedule == settlement.schedule)
            };
            let overlaps = self.jobs.values().any(is_open);
            let kept = self.schedules.get_mut(&settlement.schedule)?;
            if overlaps && settlement.overlap == Overlap::Skip {
                kept.fires_skipped += 1;
                continue;
            }
            kept.last_fire = Some(LastFire { at, job: Some(new.id) });
            self.jobs.insert(new.id, row(&new));
            submitted.push(new);
        }
        Some(submitted)
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
