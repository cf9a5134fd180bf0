//! The write-ahead log: a long reader lets it grow, and nothing else.

use std::{fs, sync::Arc, time::Duration};

use prometheus_client::{encoding::text::encode, registry::Registry};
use roughneck_jobs::{
    job::{Filter, NewJob},
    ports::store::{Claim, Store as _},
};
use roughneck_store::{Config, SqliteStore};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::{
    database::{Dice, Sqlite, no_marks},
    given::{Rung, at, done, ending, io, new_job, slots},
};

const LOG_BYTES_MAX: u64 = 1 << 20;

/// Jobs of each of the tasks.
const JOBS: usize = 500;

async fn store(database: &Sqlite) -> Arc<SqliteStore> {
    let config = Config {
        marks: no_marks(),
        log_bytes_max: LOG_BYTES_MAX,
        ..Config::new(database.data_dir())
    };
    let opened = SqliteStore::open(&config, Arc::new(Rung::default()), Arc::new(Dice::default()));
    let store = opened.await.unwrap();
    store.set_slots(&slots(10)).await.unwrap();
    Arc::new(store)
}

fn log_bytes(database: &Sqlite) -> u64 {
    fs::metadata(database.file().with_extension("db-wal")).unwrap().len()
}

/// How often the log could not be emptied.
fn blocked(store: &SqliteStore) -> u64 {
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let name = "roughneck_store_blocked_checkpoints_total ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let waiting = async {
        while !condition() {
            looks.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "not within 30 s: {what}");
}

/// Submits, claims, ends and lists jobs. Whoever meets a busy database panics.
async fn work(store: Arc<SqliteStore>) {
    for n in 0..JOBS {
        let input = format!("\"{}\"", "a".repeat(2_000));
        store.submit(NewJob { input, ..new_job() }).await.unwrap();
        let claim =
            Claim { class: io(), limit: 2, at: at(1), lease_until: at(60_000), prefer: None };
        for claimed in store.claim(claim).await.unwrap().claimed {
            store.finish(claimed.run, ending(done(), at(2))).await.unwrap();
        }
        if n % 10 == 0 {
            let page = Filter { limit: 100, ..Filter::default() };
            assert!(!store.jobs(page).await.unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_reader_disturbs_nobody_and_the_log_is_short_again_after_it() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let options = SqliteConnectOptions::new().filename(database.file()).read_only(true);
    let mut reader = options.connect().await.unwrap();
    let mut snapshot = reader.begin().await.unwrap();
    let count = "SELECT count(*) FROM job";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut *snapshot).await.unwrap();

    let workers: Vec<_> = (0..4).map(|_| tokio::spawn(work(Arc::clone(&store)))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    until("the reader keeps the log from being emptied", || blocked(&store) > 0).await;
    let grown = log_bytes(&database);
    assert!(grown > LOG_BYTES_MAX, "{grown}");
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut *snapshot).await.unwrap();
    assert_eq!((before, after), (0, 0), "it reads what was there when it began");
    snapshot.commit().await.unwrap();

    until("the log is short", || log_bytes(&database) <= LOG_BYTES_MAX).await;
    reader.close().await.unwrap();
    store.submit(new_job()).await.unwrap();
}
