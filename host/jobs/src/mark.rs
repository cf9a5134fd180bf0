//! High-water marks: when the host takes no new jobs, and when it takes them again.
//!
//! A mark that was passed counts as passed until there is some room below it, so that intake does not
//! open and close with every job.

use std::fmt;

use bytesize::ByteSize;

/// Room that a mark must have before it counts as kept again: a twentieth of it.
const ROOM: u64 = 20;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Jobs that have not ended.
    Jobs,
    /// Bytes of the database with its write-ahead log.
    Bytes,
    /// Free bytes on the disk of the data folder: the one mark that is passed from above.
    Disk,
    /// Files of the store that are no longer where they were opened. Nobody sets it: one is too many.
    Files,
}

impl Mark {
    /// All of them, in the order in which a refusal names the first.
    pub const ALL: [Self; 4] = [Self::Files, Self::Disk, Self::Bytes, Self::Jobs];

    /// The name for programs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Bytes => "bytes",
            Self::Disk => "disk",
            Self::Files => "files",
        }
    }
}

/// Where the marks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Jobs that have not ended, at most.
    pub jobs_max: u64,
    /// Bytes of the database with its log, at most.
    pub bytes_max: u64,
    /// Free bytes on the disk, at least.
    pub disk_free_min: u64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { jobs_max: 1_000_000, bytes_max: 8 << 30, disk_free_min: 1 << 30 }
    }
}

/// How full the host is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Jobs that have not ended.
    pub jobs: u64,
    /// Bytes of the database with its log.
    pub bytes: u64,
    /// Free bytes on the disk; none where the system does not tell.
    pub disk_free: Option<u64>,
    /// Files of the store that are no longer where they were opened.
    pub lost_files: u64,
}

/// A mark that is passed, which is why no new job is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Which one.
    pub mark: Mark,
    /// How full the host is.
    pub level: u64,
    /// Where the mark is.
    pub limit: u64,
}

impl fmt::Display for Passed {
    /// What is full, and what to do: the end of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mark, level, limit } = *self;
        let (level_size, limit_size) = (ByteSize::b(level), ByteSize::b(limit));
        match mark {
            Mark::Jobs => write!(
                f,
                "{level} jobs have not ended, and `jobs-max` under [intake] is {limit}; \
                 try again when some have, or raise it"
            ),
            Mark::Bytes => write!(
                f,
                "the database has {level_size}, and `bytes-max` under [intake] is {limit_size}; \
                 keep ended jobs for a shorter time under [retention], or raise it"
            ),
            Mark::Disk => write!(
                f,
                "the disk of the data folder has {level_size} free, and `disk-free-min` under \
                 [intake] is {limit_size}; make room on the disk, or lower it"
            ),
            Mark::Files => f.write_str(
                "files of the store were moved or deleted in the data folder, so that nothing that is \
                 written lasts; stop the host, put them back, and start it again",
            ),
        }
    }
}

impl Marks {
    /// The marks that are passed at these levels, when `before` were passed until now.
    #[must_use]
    pub fn passed(&self, levels: &Levels, before: &[Passed]) -> Vec<Passed> {
        let was_passed = |mark| before.iter().any(|passed| passed.mark == mark);
        let judge = |mark| {
            let (level, limit) = self.level_and_limit(mark, levels)?;
            let room = if was_passed(mark) { limit / ROOM } else { 0 };
            let is_passed = match mark {
                Mark::Jobs | Mark::Bytes | Mark::Files => level >= limit.saturating_sub(room),
                Mark::Disk => level < limit.saturating_add(room),
            };
            is_passed.then_some(Passed { mark, level, limit })
        };
        Mark::ALL.into_iter().filter_map(judge).collect()
    }

    /// How much of a mark is used: from 1 on it is passed. None where the level is not known.
    #[must_use]
    pub fn used(&self, mark: Mark, levels: &Levels) -> Option<f64> {
        let (level, limit) = self.level_and_limit(mark, levels)?;
        let (part, whole) = match mark {
            Mark::Jobs | Mark::Bytes | Mark::Files => (level, limit),
            Mark::Disk => (limit, level),
        };
        #[expect(clippy::cast_precision_loss, reason = "a share for people to look at")]
        let used = part as f64 / whole.max(1) as f64;
        Some(used)
    }

    fn level_and_limit(&self, mark: Mark, levels: &Levels) -> Option<(u64, u64)> {
        Some(match mark {
            Mark::Jobs => (levels.jobs, self.jobs_max),
            Mark::Bytes => (levels.bytes, self.bytes_max),
            Mark::Disk => (levels.disk_free?, self.disk_free_min),
            Mark::Files => (levels.lost_files, 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks { jobs_max: 1000, bytes_max: 2000, disk_free_min: 400 };

    fn levels(jobs: u64, bytes: u64, disk_free: u64) -> Levels {
        Levels { jobs, bytes, disk_free: Some(disk_free), lost_files: 0 }
    }

    #[test]
    fn a_mark_is_passed_when_it_is_reached_and_kept_again_with_a_twentieth_of_room() {
        use Mark::{Bytes, Disk, Jobs};
        let table: [(Levels, &[Mark], &[Mark]); 12] = [
            (levels(0, 0, 9999), &[], &[]),
            (levels(999, 1999, 400), &[], &[]),
            (levels(1000, 0, 9999), &[], &[Jobs]),
            (levels(0, 2000, 9999), &[], &[Bytes]),
            (levels(0, 0, 399), &[], &[Disk]),
            (levels(u64::MAX, u64::MAX, 0), &[], &[Disk, Bytes, Jobs]),
            (levels(950, 0, 9999), &[Jobs], &[Jobs]),
            (levels(949, 0, 9999), &[Jobs], &[]),
            (levels(0, 1900, 9999), &[Bytes], &[Bytes]),
            (levels(0, 1899, 9999), &[Bytes], &[]),
            (levels(0, 0, 419), &[Disk], &[Disk]),
            // The room of one mark is none of another's.
            (levels(960, 1999, 420), &[Disk], &[]),
        ];
        for (levels, before, expected) in table {
            let before: Vec<Passed> =
                before.iter().map(|&mark| Passed { mark, level: 0, limit: 0 }).collect();
            let passed = MARKS.passed(&levels, &before);
            let marks: Vec<Mark> = passed.iter().map(|passed| passed.mark).collect();
            assert_eq!(marks, expected, "{levels:?} after {before:?}");
        }
    }

    #[test]
    fn a_disk_that_tells_nothing_and_a_minimum_of_nothing_are_never_passed() {
        let unknown = Levels { disk_free: None, ..Levels::default() };
        assert_eq!(MARKS.passed(&unknown, &[]), []);
        let none = Marks { disk_free_min: 0, ..MARKS };
        let before = [Passed { mark: Mark::Disk, level: 0, limit: 0 }];
        assert_eq!(none.passed(&levels(0, 0, 0), &before), []);
    }

    #[test]
    fn one_lost_file_is_too_many_until_it_is_back() {
        let lost = |lost_files| Levels { lost_files, ..levels(0, 0, 9999) };
        let passed = MARKS.passed(&lost(1), &[]);
        assert_eq!(passed, [Passed { mark: Mark::Files, level: 1, limit: 1 }]);
        assert!(passed[0].to_string().contains("moved or deleted"), "{}", passed[0]);
        assert_eq!(MARKS.passed(&lost(0), &passed), []);
    }

    #[test]
    fn limits_at_the_end_of_the_numbers_do_not_overflow() {
        let all = Marks { jobs_max: u64::MAX, bytes_max: u64::MAX, disk_free_min: u64::MAX };
        let full = levels(u64::MAX, u64::MAX, u64::MAX - 1);
        assert_eq!(all.passed(&full, &all.passed(&full, &[])).len(), 3);
    }

    #[test]
    fn a_refusal_names_the_mark_its_level_and_the_setting() {
        let text = |mark, level, limit| Passed { mark, level, limit }.to_string();
        let jobs = text(Mark::Jobs, 1_000_000, 1_000_000);
        assert!(jobs.starts_with("1000000 jobs have not ended, and `jobs-max` under"), "{jobs}");
        let bytes = text(Mark::Bytes, 9 << 30, 8 << 30);
        assert!(
            bytes.contains("has 9.0 GiB, and `bytes-max` under [intake] is 8.0 GiB"),
            "{bytes}"
        );
        let disk = text(Mark::Disk, 512 << 20, 1 << 30);
        assert!(disk.contains("512.0 MiB free, and `disk-free-min` under"), "{disk}");
    }

    #[test]
    fn the_use_of_a_mark_is_one_where_it_is_passed() {
        let full = levels(1000, 1000, 400);
        let used = Mark::ALL.map(|mark| MARKS.used(mark, &full).unwrap());
        assert_eq!(used, [0.0, 1.0, 0.5, 1.0]);
        assert_eq!(MARKS.used(Mark::Disk, &levels(0, 0, 0)), Some(400.0));
        assert_eq!(MARKS.used(Mark::Disk, &Levels::default()), None);
    }
}
