//! A data folder that is deleted or moved under an open store.

use std::{fs, sync::Arc, time::Duration};

use roughneck_jobs::{
    mark::Mark,
    ports::store::{Store as _, StoreError},
};
use roughneck_store::{Config, SqliteStore};

use crate::{
    database::{Dice, no_marks},
    given::{Rung, new_job},
};

async fn until(store: &SqliteStore, expected: Option<Mark>) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let waiting = async {
        while store.passed_mark().map(|passed| passed.mark) != expected {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
}

#[tokio::test]
async fn a_store_whose_files_are_gone_takes_no_jobs_until_they_are_back() {
    let dir = tempfile::tempdir().unwrap();
    let (data, aside) = (dir.path().join("data"), dir.path().join("aside"));
    let config = Config { marks: no_marks(), ..Config::new(data.clone()) };
    let store = SqliteStore::open(&config, Arc::new(Rung::default()), Arc::new(Dice::default()));
    let store = store.await.unwrap();
    let kept = store.submit(new_job()).await.unwrap().id();
    fs::rename(&data, &aside).unwrap();
    until(&store, Some(Mark::Files)).await;
    let refused = store.submit(new_job()).await;
    assert!(
        matches!(&refused, Err(StoreError::Full(passed)) if passed.mark == Mark::Files),
        "{refused:?}"
    );
    fs::rename(&aside, &data).unwrap();
    until(&store, None).await;
    store.submit(new_job()).await.unwrap();
    assert!(store.job(kept).await.unwrap().is_some());
    store.close().await;
}
