//! Schedules.

use std::time::Duration;

use crate::world::World;

const TWO: &str = r#"
[[cron]]
id = "broken"
kind = "act"
expr = "@every 1m"
[[cron]]
id = "hourly"
kind = "act"
expr = "@every 1h"
overlap = "queue"
"#;

#[tokio::test(start_paused = true)]
async fn a_schedule_fires_on_time_although_another_one_is_broken() {
    let world = World::with_schedules([], TWO, |store| store.break_schedule("actor/broken")).await;
    world.pass(Duration::from_secs(3 * 3_600 + 30)).await;
    assert_eq!(world.store.ids().len(), 3);
}
