//! The state of plugins.

use roughneck_jobs::{
    ports::{
        kv::{Key, Written},
        store::StoreError,
    },
    run::Run,
};

use crate::{
    command::Entry,
    fault::{Fault, one_row},
    transaction::Transaction,
};

/// Sets a value, unless the plugin's keys and values would pass the limit.
pub(crate) async fn set(
    tx: &mut Transaction<'_>,
    run: Run,
    entry: &Entry,
) -> Result<Written, Fault> {
    check(tx, run).await?;
    let Entry { key, value, bytes_max } = entry;
    let before = size(tx, key).await?;
    let after = length(key.key.len()).saturating_add(length(value.len()));
    let total = total(tx, key).await?.saturating_sub(before).saturating_add(after);
    let bytes = u64::try_from(total).unwrap_or(0);
    // A write that makes the state smaller is welcome, also above a limit that was lowered.
    if bytes > *bytes_max && after >= before {
        return Ok(Written::Full { bytes });
    }
    sqlx::query(sql!("kv/set"))
        .bind(&key.plugin)
        .bind(&key.namespace)
        .bind(&key.key)
        .bind(value)
        .execute(tx.connection().await?)
        .await?;
    set_total(tx, key, total).await?;
    Ok(Written::Stored)
}

/// Deletes a key. False if it was not there.
pub(crate) async fn delete(tx: &mut Transaction<'_>, run: Run, key: &Key) -> Result<bool, Fault> {
    check(tx, run).await?;
    let before = size(tx, key).await?;
    let deleted = sqlx::query(sql!("kv/delete"))
        .bind(&key.plugin)
        .bind(&key.namespace)
        .bind(&key.key)
        .execute(tx.connection().await?)
        .await?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    one_row("kv", deleted.rows_affected())?;
    let total = total(tx, key).await?.saturating_sub(before);
    set_total(tx, key, total).await?;
    Ok(true)
}

/// The fence: a stale run changes nothing.
async fn check(tx: &mut Transaction<'_>, run: Run) -> Result<(), Fault> {
    let holds: i64 = sqlx::query_scalar(sql!("job/holds"))
        .bind(run.job.to_string())
        .bind(run.token)
        .fetch_one(tx.connection().await?)
        .await?;
    if holds == 1 { Ok(()) } else { Err(StoreError::Fenced.into()) }
}

/// Bytes of a key and its value; 0 if it is not there.
async fn size(tx: &mut Transaction<'_>, key: &Key) -> Result<i64, Fault> {
    let size: Option<i64> = sqlx::query_scalar(sql!("kv/size"))
        .bind(&key.plugin)
        .bind(&key.namespace)
        .bind(&key.key)
        .fetch_optional(tx.connection().await?)
        .await?;
    Ok(size.unwrap_or(0))
}

async fn total(tx: &mut Transaction<'_>, key: &Key) -> Result<i64, Fault> {
    let total: Option<i64> = sqlx::query_scalar(sql!("kv_size/read"))
        .bind(&key.plugin)
        .fetch_optional(tx.connection().await?)
        .await?;
    Ok(total.unwrap_or(0))
}

async fn set_total(tx: &mut Transaction<'_>, key: &Key, bytes: i64) -> Result<(), Fault> {
    let written = sqlx::query(sql!("kv_size/set"))
        .bind(&key.plugin)
        .bind(bytes)
        .execute(tx.connection().await?)
        .await?;
    one_row("kv_size", written.rows_affected())
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
