//! The size of the database, as the intake sees it.

use std::{fs, sync::Arc, time::Duration};

use roughneck_jobs::{
    job::NewJob,
    mark::{Mark, Marks},
    ports::store::{Store as _, StoreError},
    state::State,
};
use roughneck_store::{Config, SqliteStore};

use crate::{
    database::{Dice, Sqlite, no_marks},
    given::{Rung, at, new_job},
};

const BYTES_MAX: u64 = 32 << 20;

async fn store(database: &Sqlite) -> SqliteStore {
    let config = Config {
        marks: Marks { bytes_max: BYTES_MAX, ..no_marks() },
        log_bytes_max: 1 << 20,
        ..Config::new(database.data_dir())
    };
    let opened = SqliteStore::open(&config, Arc::new(Rung::default()), Arc::new(Dice::default()));
    opened.await.unwrap()
}

#[tokio::test]
async fn jobs_that_are_deleted_make_room_for_new_ones_although_the_file_stays_as_large() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let input = format!("\"{}\"", "a".repeat(500_000));
    let mut accepted = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let filling = async {
        loop {
            match store.submit(NewJob { input: input.clone(), ..new_job() }).await {
                Ok(submitted) => accepted.push(submitted.id()),
                Err(StoreError::Full(passed)) => return passed,
                Err(error) => panic!("{error:?}"),
            }
            // The size is looked at once a second.
            pace.tick().await;
        }
    };
    let passed = tokio::time::timeout(Duration::from_secs(60), filling).await.unwrap();
    assert_eq!((passed.mark, passed.limit), (Mark::Bytes, BYTES_MAX));

    for id in &accepted {
        store.cancel(*id, at(1)).await.unwrap();
    }
    while store.retire(State::Cancelled, at(2), 100).await.unwrap() > 0 {}
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let opening = async {
        while store.passed_mark().is_some() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), opening).await.unwrap();
    store.submit(new_job()).await.unwrap();
    let file = fs::metadata(database.file()).unwrap().len();
    assert!(file > BYTES_MAX / 2, "nothing was made smaller: {file}");
}
