//! What keeps jobs from being claimed although there is room: pauses and rate limits.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{
    clock::Millis,
    ports::store::{Claim, Claimed},
    rate::{Bucket, Rate},
};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    fault::{Fault, one_row},
    row::Held,
    transaction::Transaction,
};

/// The gates that a claim meets.
#[derive(Default)]
pub(super) struct Gates {
    /// Classes and kinds that are paused, by scope and name, and until when.
    paused: BTreeMap<(String, String), Option<Millis>>,
    buckets: BTreeMap<String, Bucket>,
}

impl Gates {
    /// Reads them, unless it is known that there are none.
    pub(super) async fn read(tx: &mut Transaction<'_>, at: Millis) -> Result<Self, Fault> {
        if tx.memory.no_gates_from.is_some_and(|from| from <= at) {
            return Ok(Self::default());
        }
        let rows =
            sqlx::query(sql!("pause/gates")).bind(at.0).fetch_all(tx.connection().await?).await?;
        let mut gates = Self::default();
        for row in &rows {
            gates.add(row)?;
        }
        tx.memory.no_gates_from = rows.is_empty().then_some(at);
        Ok(gates)
    }

    fn add(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        let (scope, name): (String, String) = (row.try_get("scope")?, row.try_get("name")?);
        if scope == "rate" {
            let (count, per_ms): (u32, i64) = (row.try_get("count")?, row.try_get("per_ms")?);
            let rate = Rate { count, per_ms: u64::try_from(per_ms).unwrap_or(0) };
            self.buckets.insert(name, Bucket { rate, full_at_us: row.try_get("full_at_us")? });
        } else {
            let until: Option<i64> = row.try_get("until_ms")?;
            self.paused.insert((scope, name), until.map(Millis));
        }
        Ok(())
    }

    /// Until when the class of the claim is paused; none if it is not.
    pub(super) fn class_paused(&self, claim: &Claim) -> Option<Option<Millis>> {
        self.paused.get(&("class".to_owned(), claim.class.0.clone())).copied()
    }

    /// The kinds of which nothing may begin.
    pub(super) fn closed(&self, at: Millis) -> BTreeSet<&str> {
        let used_up = self.buckets.iter().filter(|(_, bucket)| bucket.allows(at) == 0);
        let used_up = used_up.map(|(kind, _)| kind.as_str());
        used_up.chain(self.paused_kinds().map(|(kind, _)| kind)).collect()
    }

    /// Leaves out what is more than the rate of its kind allows, the last of them first.
    pub(super) fn admit(&self, mut held: Vec<Held>, at: Millis) -> Vec<Held> {
        let mut left: BTreeMap<&str, u32> =
            self.buckets.iter().map(|(kind, bucket)| (&**kind, bucket.allows(at))).collect();
        let is_allowed = |one: &Held| match left.get_mut(&*one.job.kind) {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        };
        held.retain(is_allowed);
        held
    }

    /// When the first of the closed gates opens.
    pub(super) fn next_at(&self, at: Millis) -> Option<Millis> {
        let pauses = self.paused_kinds().filter_map(|(_, until)| until);
        pauses.chain(self.buckets.values().filter_map(|bucket| bucket.next_at(at))).min()
    }

    fn paused_kinds(&self) -> impl Iterator<Item = (&str, Option<Millis>)> {
        let kinds = self.paused.iter().filter(|((scope, _), _)| scope == "kind");
        kinds.map(|((_, name), until)| (name.as_str(), *until))
    }

    /// Takes what has begun from the buckets.
    pub(super) async fn take(
        &mut self,
        tx: &mut Transaction<'_>,
        claimed: &[Claimed],
        at: Millis,
    ) -> Result<(), Fault> {
        for (kind, bucket) in &mut self.buckets {
            let jobs = claimed.iter().filter(|one| one.job.kind == *kind).count();
            if jobs == 0 {
                continue;
            }
            *bucket = bucket.after(u32::try_from(jobs).unwrap_or(u32::MAX), at);
            let taken = sqlx::query(sql!("rate/take"))
                .bind(kind)
                .bind(bucket.full_at_us)
                .execute(tx.connection().await?)
                .await?;
            one_row("rate", taken.rows_affected())?;
        }
        Ok(())
    }
}
