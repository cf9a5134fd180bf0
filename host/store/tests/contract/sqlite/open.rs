//! Opening and closing.

use std::{error::Error as _, fs, path::Path, sync::Arc};

use futures_util::FutureExt as _;
use prometheus_client::{encoding::text::encode, registry::Registry};
use roughneck_jobs::{
    job::Filter,
    ports::{
        bell::{Bell, Change},
        outbox::{Busy, Outbox as _},
        store::{Store as _, StoreError},
    },
};
use roughneck_store::{Config, OpenError, SqliteStore};
use sqlx::{
    ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::SqliteConnectOptions,
};

use crate::{
    database::{Dice, Sqlite},
    given::{Rung, at, job_id, new_job},
};

async fn error(data_dir: &Path) -> OpenError {
    let config = Config::new(data_dir);
    let opened = SqliteStore::open(&config, Arc::new(Rung::default()), Arc::new(Dice::default()));
    opened.await.map(drop).unwrap_err()
}

async fn store(database: &Sqlite) -> SqliteStore {
    database.store(Arc::new(Rung::default())).await
}

async fn connection(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

#[tokio::test]
async fn a_second_store_on_one_folder_is_refused_with_the_process_that_has_it() {
    let database = Sqlite::new();
    let first = store(&database).await;
    let error = error(&database.data_dir()).await;
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains(&format!("process {}", std::process::id())), "{sentence}");
    assert!(sentence.contains("stop that one first"), "{sentence}");
    first.submit(new_job()).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_frees_its_folder_and_leaves_one_whole_file() {
    let database = Sqlite::new();
    let first = store(&database).await;
    let id = first.submit(new_job()).await.unwrap().id();
    first.close().await;
    let log = database.file().with_extension("db-wal");
    assert!(!log.exists(), "the log is emptied and gone");
    let second = store(&database).await;
    assert!(second.job(id).await.unwrap().is_some());
    second.close().await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let database = Sqlite::new();
    let closed = store(&database).await;
    closed.close().await;
    closed.close().await;
    assert!(matches!(closed.submit(new_job()).await, Err(StoreError::Closed)));
    assert!(matches!(closed.job(job_id()).await, Err(StoreError::Closed)));
    assert!(matches!(
        closed.due_deliveries(at(0), 1, &Busy::default()).await,
        Err(StoreError::Closed)
    ));
}

#[tokio::test]
async fn a_store_whose_writer_has_died_says_that_and_not_that_the_host_stops() {
    struct Broken;
    impl Bell for Broken {
        fn ring(&self, change: Change) {
            assert!(!matches!(change, Change::Class(_)), "as it should");
        }
    }
    let database = Sqlite::new();
    let dead = database.store(Arc::new(Broken)).await;
    assert!(dead.ended().now_or_never().is_none());
    // The first one is under way when it dies, the others come later.
    for _ in 0..2 {
        assert!(matches!(dead.submit(new_job()).await, Err(StoreError::Dead)));
        assert!(matches!(dead.synced().await, Err(StoreError::Dead)));
    }
    dead.ended().await;
    dead.close().await;
    assert!(matches!(dead.submit(new_job()).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn closing_answers_what_already_waits() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let jobs: Vec<_> = (0..100).map(|_| new_job()).collect();
    let submitting = async {
        let mut accepted = Vec::new();
        for job in &jobs {
            if store.submit(job.clone()).await.is_ok() {
                accepted.push(job.id);
            }
        }
        accepted
    };
    let (accepted, ()) = tokio::join!(submitting, store.close());
    drop(store);
    let again = self::store(&database).await;
    for id in accepted {
        assert!(again.job(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_data_folder_under_a_file_cannot_be_created() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = error(&file.join("data")).await;
    assert!(matches!(error, OpenError::NotCreatable { .. }), "{error:?}");
    assert!(error.to_string().contains("cannot be created; create it"), "{error}");
    assert!(error.source().is_some());
}

/// A folder in the place of the lock file stands for a folder without write permission, which root
/// would not notice.
#[tokio::test]
async fn a_data_folder_that_is_not_writable_is_refused() {
    let database = Sqlite::new();
    fs::create_dir_all(database.data_dir().join("lock")).unwrap();
    let error = error(&database.data_dir()).await;
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains("not writable; give it to the user"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let database = Sqlite::new();
    fs::create_dir_all(database.data_dir()).unwrap();
    let garbage = "this is no database, ".repeat(1000);
    fs::write(database.file(), &garbage).unwrap();
    let error = error(&database.data_dir()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("not a database or is damaged; move it away"), "{error}");
    let cause = error.source().unwrap();
    assert!(cause.to_string().contains("file is not a database"), "{cause}");
    assert!(cause.source().is_none(), "it is told once");
    assert_eq!(fs::read_to_string(database.file()).unwrap(), garbage);
}

#[tokio::test]
async fn a_refused_database_does_not_stay_locked() {
    let database = Sqlite::new();
    fs::create_dir_all(database.data_dir()).unwrap();
    fs::write(database.file(), "garbage ".repeat(1000)).unwrap();
    error(&database.data_dir()).await;
    fs::remove_file(database.file()).unwrap();
    store(&database).await.close().await;
}

#[tokio::test]
async fn a_database_of_a_later_release_is_refused() {
    let database = Sqlite::new();
    store(&database).await.close().await;
    let mut connection = connection(&database.file()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let error = error(&database.data_dir()).await;
    assert!(matches!(error, OpenError::OtherVersion { migration: 9999, .. }), "{error:?}");
    assert!(error.to_string().contains("install that version or a later one"), "{error}");
}

#[tokio::test]
async fn metrics_are_born_at_zero_and_count_commits() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    let text = |registry: &Registry| {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    };
    let born = text(&registry);
    assert!(born.contains("roughneck_store_commits_total 0\n"), "{born}");
    assert!(born.contains("roughneck_store_commands_total{command=\"submit\"} 0\n"), "{born}");
    assert!(born.contains("roughneck_store_commands_total{command=\"reap\"} 0\n"), "{born}");
    store.submit(new_job()).await.unwrap();
    let counted = text(&registry);
    assert!(counted.contains("roughneck_store_commits_total 1\n"), "{counted}");
    assert!(counted.contains("roughneck_store_commands_total{command=\"submit\"} 1\n"));
    assert!(counted.contains("roughneck_store_batch_commands_sum 1.0\n"), "{counted}");
    assert!(!counted.contains("roughneck_store_database_bytes 0\n"), "{counted}");
}

#[tokio::test]
async fn a_database_of_the_first_release_is_migrated_with_its_jobs() {
    let database = Sqlite::new();
    fs::create_dir_all(database.data_dir()).unwrap();
    let mut hands = SqliteConnectOptions::new()
        .filename(database.file())
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    let first = include_str!("../../../migrations/0001_jobs.sql");
    let migration =
        Migration::new(1, "jobs".into(), MigrationType::Simple, first.into_sql_str(), false);
    Migrator::with_migrations(vec![migration]).run(&mut hands).await.unwrap();
    for (n, priority) in ["bulk", "low", "normal", "high", "urgent"].into_iter().enumerate() {
        let insert = "INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, attempts_max)
            VALUES (?1, 'k', 'io', ?2, 'queued', 0, 0, 0, 3)";
        let id = format!("01K9Z4T8N6Q0V5W3X2Y1R7S9A{n}");
        sqlx::query(insert).bind(&id).bind(priority).execute(&mut hands).await.unwrap();
        let input = "INSERT INTO job_input (job, input) VALUES (?1, '{}')";
        sqlx::query(input).bind(&id).execute(&mut hands).await.unwrap();
    }
    hands.close().await.unwrap();
    let store = store(&database).await;
    let jobs = store.jobs(Filter { limit: 10, ..Filter::default() }).await.unwrap();
    let priorities: Vec<String> = jobs.iter().map(|job| job.priority.to_string()).collect();
    assert_eq!(priorities, ["urgent", "high", "normal", "low", "bulk"]);
    store.close().await;
}
