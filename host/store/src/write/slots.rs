//! How many jobs of each class may run at once.

use std::collections::BTreeMap;

use roughneck_jobs::class::{Class, Slots};
use sqlx::Row as _;

use crate::{
    fault::{Fault, one_row, rows},
    transaction::Transaction,
    transition::to_json,
};

/// The slots of one class: the number of each, and whether a job holds it.
type Rows = BTreeMap<i64, bool>;

/// Makes the classes have these slots, and the classes that are not named none.
pub(crate) async fn set(tx: &mut Transaction<'_>, slots: &[Slots]) -> Result<(), Fault> {
    let known: Vec<String> =
        sqlx::query_scalar(sql!("class/list")).fetch_all(tx.connection().await?).await?;
    let mut wanted: BTreeMap<Class, u32> =
        known.into_iter().map(|class| (Class(class), 0)).collect();
    wanted.extend(slots.iter().map(|slots| (slots.class.clone(), slots.count)));
    let mut surplus = 0;
    for (class, count) in &wanted {
        surplus += resize(tx, class, *count).await?;
        tx.bells.class(class);
    }
    tx.memory.no_slots_surplus = surplus == 0;
    Ok(())
}

/// Returns how many slots it has too many, because they are busy.
async fn resize(tx: &mut Transaction<'_>, class: &Class, count: u32) -> Result<u32, Fault> {
    let resized = sqlx::query(sql!("class/resize"))
        .bind(&class.0)
        .bind(count)
        .execute(tx.connection().await?)
        .await?;
    one_row("class", resized.rows_affected())?;
    let present = present(tx, class).await?;
    let plan = plan(&present, count);
    for n in plan.delete {
        let deleted = sqlx::query(sql!("slot/delete"))
            .bind(&class.0)
            .bind(n)
            .execute(tx.connection().await?)
            .await?;
        one_row("slot", deleted.rows_affected())?;
    }
    if plan.add.is_empty() {
        return Ok(busy(&present).saturating_sub(count));
    }
    let added = sqlx::query(sql!("slot/add"))
        .bind(&class.0)
        .bind(to_json(&plan.add)?)
        .execute(tx.connection().await?)
        .await?;
    rows("slot", added.rows_affected(), u64::try_from(plan.add.len()).unwrap_or(u64::MAX))?;
    // Where one is missing, none is too many.
    Ok(0)
}

fn busy(rows: &Rows) -> u32 {
    let busy = rows.values().filter(|is_busy| **is_busy).count();
    u32::try_from(busy).unwrap_or(u32::MAX)
}

async fn present(tx: &mut Transaction<'_>, class: &Class) -> Result<Rows, Fault> {
    let rows =
        sqlx::query(sql!("slot/list")).bind(&class.0).fetch_all(tx.connection().await?).await?;
    let rows = rows.iter().map(|row| Ok((row.try_get("n")?, row.try_get("busy")?)));
    Ok(rows.collect::<Result<_, sqlx::Error>>()?)
}

/// What leads from the present slots of a class to the wanted ones.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Free slots that go now. Busy ones go with their jobs.
    delete: Vec<i64>,
    /// New ones.
    add: Vec<i64>,
}

/// Busy slots count first: a class that shrinks must not hand out a free slot while its busy ones
/// already fill it.
fn plan(rows: &Rows, count: u32) -> Plan {
    let free: Vec<i64> = rows.iter().filter(|row| !row.1).map(|row| *row.0).collect();
    let wanted = usize::try_from(count.saturating_sub(busy(rows))).unwrap_or(usize::MAX);
    let missing = wanted.saturating_sub(free.len());
    Plan {
        delete: free.into_iter().skip(wanted).collect(),
        add: (1..).filter(|n| !rows.contains_key(n)).take(missing).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (&'a [(i64, bool)], u32, &'a [i64], &'a [i64]);

    #[test]
    fn a_plan_keeps_busy_slots_and_never_leaves_more_free_than_fit() {
        let busy = true;
        let free = false;
        let table: &[Case<'_>] = &[
            (&[], 2, &[], &[1, 2]),
            (&[(1, free), (2, free)], 1, &[2], &[]),
            (&[(1, free), (2, free)], 0, &[1, 2], &[]),
            (&[(1, free), (4, busy)], 1, &[1], &[]),
            (&[(1, busy), (2, busy)], 1, &[], &[]),
            (&[(2, busy)], 3, &[], &[1, 3]),
            (&[(1, busy), (2, free)], 2, &[], &[]),
        ];
        for (rows, count, delete, add) in table {
            let rows: Rows = rows.iter().copied().collect();
            let expected = Plan { delete: delete.to_vec(), add: add.to_vec() };
            assert_eq!(plan(&rows, *count), expected, "{rows:?} to {count}");
        }
    }
}
