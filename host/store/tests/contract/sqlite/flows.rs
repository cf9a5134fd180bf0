//! Flows whose rows a hand has been in.

use std::sync::Arc;

use roughneck_jobs::{flow::FlowState, id::JobId, ports::flows::Flows as _, state::State};
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    database::Sqlite,
    flows::planted::{Planted, fatal},
    given::{Rung, World, at, done},
};

async fn world() -> (Sqlite, World) {
    let database = Sqlite::new();
    let world = World::of(&database).await;
    (database, world)
}

async fn hands(database: &Sqlite) -> SqliteConnection {
    SqliteConnectOptions::new().filename(database.file()).connect().await.unwrap()
}

/// Changes the row of a job so that it cannot be read.
async fn spoil(database: &Sqlite, id: JobId) {
    let spoiled = sqlx::query("UPDATE job SET callback = 'no target!' WHERE id = ?1")
        .bind(id.to_string())
        .execute(&mut hands(database).await)
        .await;
    assert_eq!(spoiled.unwrap().rows_affected(), 1);
}

async fn count(database: &Sqlite, id: JobId, waits: i64) {
    let counted = sqlx::query("UPDATE job SET waits = ?2 WHERE id = ?1")
        .bind(id.to_string())
        .bind(waits)
        .execute(&mut hands(database).await)
        .await;
    assert_eq!(counted.unwrap().rows_affected(), 1);
}

/// What the job says of itself is not to be read; the flow's tallies are.
async fn state(database: &Sqlite, flow: &Planted, name: &str) -> String {
    sqlx::query_scalar("SELECT state FROM job WHERE id = ?1")
        .bind(flow.job(name).to_string())
        .fetch_one(&mut hands(database).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_queued_job_that_cannot_be_read_fails_what_needs_it() {
    let (database, world) = world().await;
    let flow = world.plant(&["a", "b: a", "c: a?"]).await;
    spoil(&database, flow.job("a")).await;
    let claimed = world.claim_all(at(1)).await;
    assert_eq!(state(&database, &flow, "a").await, "failed");
    assert_eq!(world.job_of(&flow, "b").await.state, State::Failed);
    assert_eq!(claimed.len(), 1);
    assert!(
        claimed.contains_key(&flow.job("c")),
        "its slot is for the next one, which it released"
    );
}

#[tokio::test]
async fn a_blocked_job_that_cannot_be_read_keeps_nobody_from_the_end() {
    let (database, world) = world().await;
    for verdict in [done(), fatal()] {
        let flow = world.plant(&["a", "b: a", "c: b", "d: b?", "e: a?"]).await;
        spoil(&database, flow.job("b")).await;
        world.run(&flow, "a", verdict, at(1)).await;
        assert_eq!(state(&database, &flow, "b").await, "failed");
        assert_eq!(world.job_of(&flow, "c").await.state, State::Failed);
        for name in ["d", "e"] {
            assert_eq!(world.job_of(&flow, name).await.state, State::Queued, "{name}");
        }
        world.finish_all(at(2)).await;
        assert_eq!(world.get_flow(&flow).await.state(), FlowState::Failed);
    }
}

#[tokio::test]
async fn a_wrong_count_is_mended_whichever_way_it_is_wrong() {
    let (database, world) = world().await;
    let flow = world.plant(&["a", "b", "few: a b", "many: a", "stuck: a", "then: stuck"]).await;
    world.run(&flow, "a", done(), at(1)).await;
    world.finish_all(at(2)).await;
    let flow2 = world.plant(&["a", "b", "few: a b", "many: a b"]).await;
    count(&database, flow2.job("few"), 1).await;
    count(&database, flow2.job("many"), 7).await;
    let mut mended = world.mend_waits(at(3), 9).await.unwrap();
    mended.sort();
    let mut expected = [flow2.job("few"), flow2.job("many")];
    expected.sort();
    assert_eq!(mended, expected);
    assert_eq!([world.waits(&flow2, "few").await, world.waits(&flow2, "many").await], [2, 2]);
    assert_eq!(world.mend_waits(at(4), 9).await.unwrap(), []);
    world.finish_all(at(5)).await;
    assert_eq!(world.get_flow(&flow2).await.state(), FlowState::Done);
}

/// Ends a job behind the back of its flow.
async fn end_silently(database: &Sqlite, id: JobId, state: &str) {
    let ended = sqlx::query(
        "UPDATE job SET state = ?2, finished_at_ms = 1, output = iif(?2 = 'done', '1', NULL),
                failure = iif(?2 = 'failed', '{\"code\":\"x\",\"message\":\"y\",\"disposition\":\"fail\"}', NULL)
         WHERE id = ?1",
    )
    .bind(id.to_string())
    .bind(state)
    .execute(&mut hands(database).await)
    .await;
    assert_eq!(ended.unwrap().rows_affected(), 1);
}

#[tokio::test]
async fn what_nobody_released_or_failed_is_found_and_its_dependents_too() {
    let (database, world) = world().await;
    let freed = world.plant(&["a", "b: a", "c: b"]).await;
    end_silently(&database, freed.job("a"), "done").await;
    let doomed = world.plant(&["a", "x", "b: a x", "c: b", "d: b? x"]).await;
    end_silently(&database, doomed.job("a"), "failed").await;
    let mut mended = world.mend_waits(at(3), 9).await.unwrap();
    mended.sort();
    let mut expected = [freed.job("b"), doomed.job("b")];
    expected.sort();
    assert_eq!(mended, expected);
    assert_eq!(world.told(&freed).await, "a=done b=queued c=blocked");
    assert_eq!(world.told(&doomed).await, "a=failed b=failed c=failed d=blocked x=queued");
    assert_eq!(world.waits(&doomed, "d").await, 1);
    let failure = world.job_of(&doomed, "b").await.failure.unwrap();
    assert_eq!(failure.message, "it needs `a`, which has failed");
    assert_eq!(world.mend_waits(at(4), 9).await.unwrap(), []);
}

#[tokio::test]
async fn looking_for_wrong_counts_writes_nothing_where_nothing_is_wrong() {
    let database = Sqlite::new();
    let store = database.store(Arc::new(Rung::default())).await;
    let before = std::fs::metadata(database.file().with_extension("db-wal")).unwrap().len();
    assert_eq!(store.mend_waits(at(1), 9).await.unwrap(), []);
    let after = std::fs::metadata(database.file().with_extension("db-wal")).unwrap().len();
    assert_eq!(before, after);
}
