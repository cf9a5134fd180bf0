//! Children whose rows a hand has been in.

use std::sync::Arc;

use roughneck_jobs::{
    guard::Runaway,
    id::JobId,
    pause::Scope,
    ports::{
        children::Children as _,
        store::{Claim, Store as _},
    },
    run::LEASE_MS,
    state::State,
};
use roughneck_store::{Config, SqliteStore};
use sqlx::{AssertSqlSafe, ConnectOptions as _, sqlite::SqliteConnectOptions};

use crate::{
    children::spoken::{child, waiting_for},
    database::{Dice, Sqlite, no_marks},
    given::{Rung, World, at, done, io, new_job, slots},
};

/// Changes the row of a job behind the back of the store.
async fn tamper(database: &Sqlite, id: JobId, change: &str) {
    let options = SqliteConnectOptions::new().filename(database.file());
    let mut hands = options.connect().await.unwrap();
    let change = AssertSqlSafe(format!("UPDATE job SET {change} WHERE id = ?1"));
    let changed = sqlx::query(change).bind(id.to_string()).execute(&mut hands).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

async fn world() -> (Sqlite, World) {
    let database = Sqlite::new();
    let world = World::of(&database).await;
    world.set_slots(&slots(9)).await.unwrap();
    (database, world)
}

#[tokio::test]
async fn a_child_that_cannot_be_read_wakes_its_parent() {
    let (database, world) = world().await;
    let parent = world.running(new_job()).await;
    let [page] = world.bear(parent, ["page"]).await;
    world.end(parent, waiting_for(&[page]), at(1)).await;
    tamper(&database, page, "callback = 'no target!'").await;
    let claimed = world.claim_at(9, at(2)).await;
    assert_eq!(claimed.iter().map(|one| one.job.id).collect::<Vec<_>>(), [parent.job]);
}

#[tokio::test]
async fn a_job_that_submits_too_many_children_gets_their_kind_paused() {
    let database = Sqlite::new();
    let runaway = Some(Runaway { per_minute: 3, pause_ms: 60_000 });
    let config = Config { runaway, marks: no_marks(), ..Config::new(database.data_dir()) };
    let bell = Arc::new(Rung::default());
    let store = SqliteStore::open(&config, bell, Arc::new(Dice::default())).await.unwrap();
    store.set_slots(&slots(1)).await.unwrap();
    store.submit(new_job()).await.unwrap();
    let claim = Claim { class: io(), limit: 1, at: at(0), lease_until: at(LEASE_MS), prefer: None };
    let parent = store.claim(claim).await.unwrap().claimed[0].run;
    for name in ["a", "a", "b", "c"] {
        assert_eq!(store.pauses().await.unwrap().len(), 0, "{name}");
        store.submit_child(parent, child(name)).await.unwrap();
    }
    let pauses = store.pauses().await.unwrap();
    assert_eq!(pauses[0].scope, Scope::Kind("test.echo".to_owned()));
}

#[tokio::test]
async fn a_wrong_count_of_children_is_mended_whichever_way_it_is_wrong() {
    let (database, world) = world().await;
    for (awaits, ends) in [(7, false), (1, false), (2, true)] {
        let parent = world.running(new_job()).await;
        let children = world.bear(parent, ["a", "b"]).await;
        world.end(parent, waiting_for(&children), at(1)).await;
        tamper(&database, parent.job, &format!("awaits = {awaits}")).await;
        if ends {
            for child in children {
                let over = "state = 'done', finished_at_ms = 1, output = '1'";
                tamper(&database, child, over).await;
            }
        }
        assert_eq!(world.mend_waits(at(2), 9).await.unwrap(), [parent.job]);
        assert_eq!(world.mend_waits(at(2), 9).await.unwrap(), []);
        if !ends {
            assert_eq!(world.get_family(parent.job).await.awaits, 2);
            for child in children {
                world.run_to(child, done(), at(3)).await;
            }
        }
        assert_eq!(world.state(parent.job).await, State::Queued);
        world.run_to(parent.job, done(), at(4)).await;
    }
}
