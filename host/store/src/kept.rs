//! Rows of schedules read back into the domain.

use roughneck_jobs::schedule::{Kept, LastFire, Made, Pause, Spec};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::row::{Read, millis, millis_or_none, priority_or_none, text, text_or_none};

/// Reads a row of `schedule` with what it has of `schedule_spec`.
pub(crate) fn kept(row: &SqliteRow) -> Read<Kept> {
    let is_made: bool = row.try_get("is_made")?;
    Ok(Kept {
        id: row.try_get("id")?,
        revision: row.try_get("revision")?,
        handled_up_to: millis(row, "handled_up_to_ms")?,
        timing: row.try_get("timing")?,
        paused: pause(row)?,
        last_fire: last_fire(row)?,
        fires_missed: count(row, "fires_missed")?,
        fires_skipped: count(row, "fires_skipped")?,
        made: is_made.then(|| made(row)).transpose()?,
    })
}

fn pause(row: &SqliteRow) -> Read<Option<Pause>> {
    let Some(since) = millis_or_none(row, "paused_at_ms")? else { return Ok(None) };
    Ok(Some(Pause { since, reason: row.try_get("pause_reason")? }))
}

fn last_fire(row: &SqliteRow) -> Read<Option<LastFire>> {
    let Some(at) = millis_or_none(row, "last_fire_ms")? else { return Ok(None) };
    Ok(Some(LastFire { at, job: text_or_none(row, "last_job")? }))
}

fn made(row: &SqliteRow) -> Read<Made> {
    Ok(Made {
        spec: Spec {
            id: row.try_get("id")?,
            kind: row.try_get("kind")?,
            expr: row.try_get("expr")?,
            zone: row.try_get("zone")?,
            input: row.try_get("input")?,
            priority: priority_or_none(row)?,
            caller: text_or_none(row, "caller")?,
            missed: text(row, "missed")?,
            missed_max: row.try_get("missed_max")?,
            overlap: text(row, "overlap")?,
        },
        created_at: millis(row, "created_at_ms")?,
        changed_at: millis(row, "changed_at_ms")?,
    })
}

fn count(row: &SqliteRow, column: &'static str) -> Read<u64> {
    let count: i64 = row.try_get(column)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
