//! Mends jobs that are blocked for no reason. There are none: the transaction that ends a job releases
//! those that need it. This is for the day when that was wrong.

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{causes::Causes, ports::store::StoreError};
use tracing::{error, warn};

use crate::{pause::AFTER_ERROR, shared::Shared};

/// How often somebody looks, besides at the start.
const LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// Jobs mended by one command, so that it does not hold up the writer.
const BATCH: u32 = 100;

pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        let pause = match mend(&shared).await {
            Ok(()) => LOOK,
            Err(error) => {
                error!(error = %Causes(&error), "nobody could look for jobs that are blocked for no reason; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn mend(shared: &Shared) -> Result<(), StoreError> {
    let parts = &shared.parts;
    // One that cannot be mended is found again, so an answer without any is the end.
    while !shared.stopping.is_cancelled() {
        let mended = parts.flows.mend_waits(parts.clock.now(), BATCH).await?;
        if mended.is_empty() {
            break;
        }
        for job in mended {
            parts.metrics.mended.inc();
            warn!(%job, "job {job} was blocked for no reason, and is mended");
        }
    }
    Ok(())
}
