//! Schedules and pauses, as the client wants them.

use roughneck_jobs::{
    clock::Clock as _,
    pause::{self, Scope},
    ports::{
        schedules::Schedules as _,
        store::{Store as _, StoreError},
    },
    schedule::{CATCH_UP_MAX, Pause, Spec, UTC},
};

use super::Host;
use crate::{
    history::Moment,
    script::{ScheduleWish, Turn},
};

/// More schedules than a story has.
const SCHEDULES_MAX: u32 = 100;

/// Each schedule has had its turn after this time, in milliseconds: nothing waits so long for its next look.
const CATCH_UP_MS: u64 = 40_000;

impl Host {
    /// What was not answered may have been done or not, and is not repeated; but for a new schedule, of
    /// which the client must know.
    pub(super) async fn schedule(&self, n: usize, wish: &ScheduleWish, turn: Turn) {
        let (store, now) = (&self.store, self.time.now());
        let spec = spec(n, wish);
        let id = spec.id.clone();
        let pause = Pause { since: now, reason: "for a while".to_owned() };
        match turn {
            Turn::Make => {
                let at = || self.time.now();
                while store.create_schedule(spec.clone(), None, at(), SCHEDULES_MAX).await.is_err()
                {
                    self.time.pass(1_000).await;
                }
            }
            Turn::Change(expr) => {
                let changed = Spec { expr: expr.to_owned(), ..spec };
                let _ = store.change_schedule(changed, now).await;
            }
            Turn::Pause => drop(store.pause_schedule(&id, pause).await),
            Turn::Resume => drop(store.resume_schedule(&id, now).await),
            Turn::Delete => drop(store.delete_schedule(&id).await),
        }
    }

    /// Lets every schedule catch up, and deletes them all.
    pub(crate) async fn end_schedules(&self) -> Result<(), StoreError> {
        self.time.pass(CATCH_UP_MS).await;
        self.log.note(Moment::Caught(self.time.now().minus_ms(CATCH_UP_MS)));
        for kept in self.store.schedules().await? {
            self.store.delete_schedule(&kept.id).await?;
        }
        Ok(())
    }

    pub(super) async fn pause(&self, scope: Scope, ms: u64) {
        let since = self.time.now();
        let (until, reason) = (Some(since.plus_ms(ms)), "for a while".to_owned());
        let _ = self.store.pause(pause::Pause { scope, since, until, reason }).await;
    }
}

fn spec(n: usize, wish: &ScheduleWish) -> Spec {
    Spec {
        id: format!("schedule-{n}"),
        kind: wish.kind.to_owned(),
        expr: wish.expr.to_owned(),
        zone: UTC.to_owned(),
        input: format!("{{\"n\":{}}}", 100_000 + n),
        priority: None,
        caller: None,
        missed: wish.missed,
        missed_max: CATCH_UP_MAX,
        overlap: wish.overlap,
    }
}
