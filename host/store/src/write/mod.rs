//! The intentions, one file each. They run inside the transaction of a batch, each in a part of its
//! own: an error undoes what that intention wrote, and nothing else.

pub(crate) mod bury;
pub(crate) mod cancel;
pub(crate) mod claim;
pub(crate) mod finish;
pub(crate) mod kv;
pub(crate) mod leave;
pub(crate) mod loading;
pub(crate) mod lost;
pub(crate) mod promote;
pub(crate) mod purge;
pub(crate) mod record;
pub(crate) mod release;
pub(crate) mod renew;
pub(crate) mod retire;
pub(crate) mod retry;
mod set_aside;
pub(crate) mod settle;
pub(crate) mod slots;
pub(crate) mod submit;
mod sweep;

use roughneck_jobs::{id::JobId, run::Run};

use crate::{fault::Fault, row::Held, transaction::Transaction};

/// The job of a run that still holds it, without its input; none if the run is stale.
async fn held_by(tx: &mut Transaction<'_>, run: Run) -> Result<Option<Held>, Fault> {
    let row = sqlx::query(sql!("job/read_run"))
        .bind(run.job.to_string())
        .bind(run.token)
        .fetch_optional(&mut *tx.connection)
        .await?;
    Ok(row.as_ref().map(Held::read).transpose()?)
}

/// A job in any state, without its input.
async fn job(tx: &mut Transaction<'_>, id: JobId) -> Result<Option<Held>, Fault> {
    let row = sqlx::query(sql!("job/read_to_move"))
        .bind(id.to_string())
        .fetch_optional(&mut *tx.connection)
        .await?;
    Ok(row.as_ref().map(Held::read).transpose()?)
}
