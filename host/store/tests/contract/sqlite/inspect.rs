//! Looking at a data folder from outside.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use roughneck_jobs::ports::store::Store as _;
use roughneck_store::inspect::{Holder, holder, inspect};
use tokio::runtime::Builder;

use crate::{
    database::Sqlite,
    given::{Rung, at, new_job},
};

fn files(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    entries.map(|name| name.into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_host_that_runs_is_seen_with_its_jobs() {
    let database = Sqlite::new();
    let store = database.store(Arc::new(Rung::default())).await;
    store.submit(new_job()).await.unwrap();
    let pid = std::process::id();
    assert_eq!(holder(&database.data_dir()).unwrap(), Holder::Process(Some(pid)));
    let found = inspect(&database.data_dir()).await.unwrap().unwrap();
    assert_eq!((found.damage, found.open_jobs, found.latest), (None, 1, Some(at(0))));
    assert_eq!(found.migration, found.migration_known);
    assert!(found.log_bytes > 0);
    store.submit(new_job()).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_nobody_has_is_seen_and_stays_as_it_is() {
    let database = Sqlite::new();
    let store = database.store(Arc::new(Rung::default())).await;
    store.submit(new_job()).await.unwrap();
    store.close().await;
    let before = files(&database.data_dir());
    assert_eq!(holder(&database.data_dir()).unwrap(), Holder::Nobody);
    let found = inspect(&database.data_dir()).await.unwrap().unwrap();
    assert_eq!((found.damage, found.open_jobs, found.log_bytes), (None, 1, 0));
    assert_eq!(files(&database.data_dir()), before);
}

#[test]
fn what_a_dead_host_left_in_its_log_is_seen() {
    let database = Sqlite::new();
    // A runtime that stops where the story does: the store is not closed.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = database.store(Arc::new(Rung::default())).await;
        store.submit(new_job()).await.unwrap();
        std::mem::forget(store);
    });
    drop(runtime);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(inspect(&database.data_dir())).unwrap().unwrap();
    assert_eq!((found.damage, found.open_jobs), (None, 1));
}

#[tokio::test]
async fn a_folder_without_a_database_and_a_file_that_is_none_are_told_apart() {
    let database = Sqlite::new();
    assert_eq!(inspect(&database.data_dir()).await.unwrap(), None);
    assert_eq!(holder(&database.data_dir()).unwrap(), Holder::Nobody);
    fs::create_dir_all(database.data_dir()).unwrap();
    fs::write(database.file(), "garbage ".repeat(1000)).unwrap();
    let error = inspect(&database.data_dir()).await.unwrap_err().to_string();
    assert!(error.contains("roughneck.db cannot be read"), "{error}");
}
