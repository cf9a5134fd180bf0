//! The database, and the clock it was written by.

use std::path::Path;

use bytesize::ByteSize;
use roughneck_jobs::{
    clock::Millis,
    mark::{Levels, Mark},
};
use roughneck_store::inspect::{self, Holder, Inspection};

use super::finding::Finding;
use crate::{config::Config, span::span};

/// A log that is so many times as long as the host lets it become has a reader that does not end.
const LOG_BYTES_MAX: u64 = 256 << 20;

/// The mark for bytes is worth a word from here on.
const USE_MAX: f64 = 0.8;

/// A clock that differs by less is no matter.
const AHEAD_MS_MAX: u64 = 60_000;

pub(super) async fn look(
    data_dir: &Path,
    config: &Config,
    holder: Option<Holder>,
    now: Millis,
) -> Vec<Finding> {
    match inspect::inspect(data_dir).await {
        Ok(None) => vec![Finding::ok("database", "it is made by the first start")],
        Ok(Some(found)) => {
            let mut findings = vec![whole(&found), size(&found, config, holder)];
            findings.extend(found.latest.map(|latest| clock(latest, now)));
            findings
        }
        Err(error) => vec![Finding::fail(
            "database",
            format!("{:#}", anyhow::Error::new(error)),
            "restore a backup, or move it away to start empty",
        )],
    }
}

fn whole(found: &Inspection) -> Finding {
    let Inspection { damage, migration, migration_known, open_jobs, .. } = found;
    if let Some(damage) = damage {
        return Finding::fail("database", format!("it is damaged: {damage}"), "restore a backup");
    }
    if migration > migration_known {
        return Finding::fail(
            "database",
            format!(
                "its migration {migration} is of a later version; this one knows {migration_known}"
            ),
            "install that version or a later one",
        );
    }
    let schema = if migration < migration_known {
        format!("the next start brings it from migration {migration} to {migration_known}")
    } else {
        format!("migration {migration}")
    };
    Finding::ok("database", format!("it is whole, {schema}; {open_jobs} jobs have not ended"))
}

fn size(found: &Inspection, config: &Config, holder: Option<Holder>) -> Finding {
    let Inspection { bytes, log_bytes, .. } = *found;
    let shown =
        format!("the database has {}, its log {}", ByteSize::b(bytes), ByteSize::b(log_bytes));
    let levels = Levels { bytes: bytes.saturating_add(log_bytes), ..Levels::default() };
    let used = config.intake.marks().ok().and_then(|marks| marks.used(Mark::Bytes, &levels));
    if used.is_some_and(|used| used > USE_MAX) {
        return Finding::warn(
            "size",
            format!("{shown}, which is near `bytes-max` under [intake]"),
            "keep ended jobs for a shorter time under [retention], or raise it",
        );
    }
    if log_bytes > LOG_BYTES_MAX && holder != Some(Holder::Nobody) {
        return Finding::warn(
            "size",
            format!("{shown}: somebody has been reading for a long time"),
            "end the program that reads the database",
        );
    }
    Finding::ok("size", shown)
}

fn clock(latest: Millis, now: Millis) -> Finding {
    let ahead_ms = latest.since_ms(now);
    if ahead_ms > AHEAD_MS_MAX {
        return Finding::fail(
            "clock",
            format!("the latest event is {} in the future", span(ahead_ms)),
            "set the clock of the machine; jobs that are due later wait for it",
        );
    }
    Finding::ok("clock", format!("the latest event was {} ago", span(now.since_ms(latest))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Status;

    fn found() -> Inspection {
        Inspection {
            damage: None,
            migration: 4,
            migration_known: 4,
            open_jobs: 7,
            bytes: 1 << 20,
            log_bytes: 0,
            latest: None,
        }
    }

    #[test]
    fn a_database_is_judged_by_its_damage_and_its_migration() {
        assert_eq!(whole(&found()).status, Status::Ok);
        let older = Inspection { migration: 1, ..found() };
        assert_eq!(whole(&older).status, Status::Ok);
        let later = Inspection { migration: 5, ..found() };
        assert_eq!(whole(&later).status, Status::Fail);
        let damaged = Inspection { damage: Some("page 3".to_owned()), ..found() };
        assert_eq!(whole(&damaged).status, Status::Fail);
    }

    #[test]
    fn a_size_is_judged_by_its_mark_and_a_log_by_who_reads() {
        let config = Config::default();
        let status = |bytes, log_bytes, holder| {
            size(&Inspection { bytes, log_bytes, ..found() }, &config, holder).status
        };
        let running = Some(Holder::Process(None));
        assert_eq!(status(7 << 30, 0, running), Status::Warn);
        assert_eq!(status(1 << 30, 1 << 30, running), Status::Warn);
        assert_eq!(status(1 << 30, 1 << 30, Some(Holder::Nobody)), Status::Ok);
        assert_eq!(status(1 << 30, 1 << 20, running), Status::Ok);
    }

    #[test]
    fn an_event_in_the_future_is_the_clock_s_fault() {
        let now = Millis(1_800_000_000_000);
        assert_eq!(clock(now.plus_ms(60_000), now).status, Status::Ok);
        assert_eq!(clock(now.plus_ms(60_001), now).status, Status::Fail);
        assert_eq!(clock(Millis(0), now).status, Status::Ok);
    }
}
