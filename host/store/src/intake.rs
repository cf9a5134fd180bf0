//! The intake: whether new jobs are taken, decided from memory.
//!
//! The writer says how many jobs have not ended and how large the database is, and looks at the disk each second
//! while it writes, each other second while it does not. Who submits does not look: a disk that hangs would hold
//! the whole host up. Submissions that are under way when a mark is passed still go in: a mark is where intake
//! closes, not where the store breaks.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use roughneck_jobs::{
    mark::{Levels, Mark, Marks, Passed},
    ports::store::StoreError,
};

use crate::{Metrics, disk, files::Files};

/// Whether new jobs are taken.
pub(crate) struct Intake {
    marks: Marks,
    open_jobs: AtomicI64,
    bytes: AtomicU64,
    look_at: LookAt,
    seen: Mutex<Seen>,
    metrics: Metrics,
}

/// Looks at the disk, which may take its time.
type LookAt = Box<dyn Fn() -> Disk + Send + Sync>;

/// What the disk is like.
#[derive(Clone, Copy, Default)]
struct Disk {
    free: Option<u64>,
    lost_files: u64,
}

/// What was seen last.
#[derive(Default)]
struct Seen {
    disk: Disk,
    passed: Vec<Passed>,
}

impl Intake {
    /// An intake over the disk of `data_dir`, where the files of the store are open.
    pub(crate) fn new(marks: Marks, open_jobs: u64, data_dir: PathBuf, metrics: Metrics) -> Self {
        let files = Files::of(&data_dir);
        let look_at = move || Disk { free: disk::free_bytes(&data_dir), lost_files: files.lost() };
        Self::over(marks, open_jobs, Box::new(look_at), metrics)
    }

    fn over(marks: Marks, open_jobs: u64, look_at: LookAt, metrics: Metrics) -> Self {
        let open_jobs = AtomicI64::new(i64::try_from(open_jobs).unwrap_or(i64::MAX));
        let (bytes, seen) = (AtomicU64::new(0), Mutex::default());
        Self { marks, open_jobs, bytes, look_at, seen, metrics }
    }

    /// So many jobs were added to those that have not ended, in a transaction that was committed.
    pub(crate) fn moved(&self, open_jobs: i64) {
        self.open_jobs.fetch_add(open_jobs, Ordering::Relaxed);
    }

    /// The database with its log has so many bytes.
    pub(crate) fn measured(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Looks at the disk, which may take its time, and says so if a mark is passed by now.
    pub(crate) fn look(&self) {
        let disk = (self.look_at)();
        self.seen().disk = disk;
        let levels = self.levels(disk);
        let used = |mark| self.marks.used(mark, &levels).unwrap_or(0.0);
        Mark::ALL.into_iter().for_each(|mark| self.metrics.used(mark, used(mark)));
        self.passed();
    }

    /// The first mark that is passed. Reads memory only.
    pub(crate) fn passed(&self) -> Option<Passed> {
        let mut seen = self.seen();
        let passed = self.marks.passed(&self.levels(seen.disk), &seen.passed);
        report(&seen.passed, &passed);
        seen.passed = passed;
        seen.passed.first().copied()
    }

    fn levels(&self, disk: Disk) -> Levels {
        Levels {
            jobs: u64::try_from(self.open_jobs.load(Ordering::Relaxed)).unwrap_or(0),
            bytes: self.bytes.load(Ordering::Relaxed),
            disk_free: disk.free,
            lost_files: disk.lost_files,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a new job is taken. One that is not is counted.
    ///
    /// # Errors
    /// [`StoreError::Full`] if a mark is passed.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let Some(passed) = self.passed() else { return Ok(()) };
        self.metrics.refused(passed.mark);
        Err(StoreError::Full(passed))
    }

    /// Whether what was taken before is looked for, because nothing new is taken.
    ///
    /// # Errors
    /// [`StoreError::Full`] if files of the store are lost: what it has is no promise then.
    pub(crate) fn is_full(&self) -> Result<bool, StoreError> {
        match self.passed().map(|passed| passed.mark) {
            None => Ok(false),
            Some(Mark::Jobs | Mark::Bytes | Mark::Disk) => Ok(true),
            Some(Mark::Files) => self.check().map(|()| true),
        }
    }

    /// A job was not taken because the disk had no room for it, whatever the marks say.
    pub(crate) fn overflowed(&self) {
        self.metrics.refused(Mark::Disk);
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("marks", &self.marks).finish_non_exhaustive()
    }
}

/// Says once that a mark was passed, and once that it is kept again.
fn report(before: &[Passed], now: &[Passed]) {
    let has = |all: &[Passed], mark| all.iter().any(|passed| passed.mark == mark);
    for passed in now.iter().filter(|passed| !has(before, passed.mark)) {
        let mark = passed.mark.as_str();
        match passed.mark {
            Mark::Files => tracing::error!(mark, "no new jobs are taken: {passed}"),
            Mark::Jobs | Mark::Bytes | Mark::Disk => {
                tracing::warn!(mark, "no new jobs are taken: {passed}");
            }
        }
    }
    for mark in before.iter().map(|passed| passed.mark).filter(|mark| !has(now, *mark)) {
        let mark = mark.as_str();
        tracing::info!(mark, "the mark for {mark} is kept again");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MARKS: Marks = Marks { jobs_max: 100, bytes_max: 1000, disk_free_min: 40 };

    fn intake(free: &Arc<AtomicU64>) -> Intake {
        let free = Arc::clone(free);
        let read =
            Box::new(move || Disk { free: Some(free.load(Ordering::Relaxed)), lost_files: 0 });
        Intake::over(MARKS, 90, read, Metrics::new())
    }

    fn mark(intake: &Intake) -> Option<Mark> {
        intake.passed().map(|passed| passed.mark)
    }

    #[test]
    fn jobs_that_come_and_end_close_and_open_the_intake() {
        let intake = intake(&Arc::new(AtomicU64::new(500)));
        assert_eq!(mark(&intake), None);
        intake.moved(10);
        assert_eq!(mark(&intake), Some(Mark::Jobs));
        intake.moved(-5);
        assert_eq!(mark(&intake), Some(Mark::Jobs), "there is no room yet");
        intake.moved(-1);
        assert_eq!(mark(&intake), None);
    }

    #[test]
    fn the_size_of_the_database_closes_and_opens_it() {
        let intake = intake(&Arc::new(AtomicU64::new(500)));
        for (bytes, expected) in [(1000, Some(Mark::Bytes)), (950, Some(Mark::Bytes)), (949, None)]
        {
            intake.measured(bytes);
            assert_eq!(mark(&intake), expected, "{bytes}");
        }
    }

    #[test]
    fn the_disk_is_not_looked_at_by_who_submits() {
        let free = Arc::new(AtomicU64::new(500));
        let intake = intake(&free);
        assert_eq!(mark(&intake), None);
        free.store(39, Ordering::Relaxed);
        assert_eq!(mark(&intake), None);
        intake.look();
        assert_eq!(mark(&intake), Some(Mark::Disk));
        free.store(42, Ordering::Relaxed);
        assert_eq!(mark(&intake), Some(Mark::Disk));
        intake.look();
        assert_eq!(mark(&intake), None);
    }
}
