//! Copies of a database, and the way back from them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use roughneck_jobs::{
    ports::store::{Claim, Store as _, Verdict},
    run::Run,
    state::State,
};
use roughneck_store::{
    DataDir, FolderSync, OpenError, SqliteStore,
    snapshot::{self, SnapshotError, TOKENS},
};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::{
    database::{Dice, Sqlite},
    given::{Rung, assert_fenced, at, done, ending, failure, io, new_job, retry, slots},
};

async fn store(database: &Sqlite) -> SqliteStore {
    let store = database.store(Arc::new(Rung::default())).await;
    store.set_slots(&slots(2)).await.unwrap();
    store
}

async fn claimed(store: &SqliteStore) -> (Run, u32) {
    let claim = Claim { class: io(), limit: 1, at: at(1), lease_until: at(60_000), prefer: None };
    let claimed = store.claim(claim).await.unwrap().claimed.remove(0);
    (claimed.run, claimed.postponements)
}

fn copy_of(database: &Sqlite) -> PathBuf {
    database.data_dir().with_file_name("copy.db")
}

/// Restores a copy into a folder of its own.
async fn restored(copy: &Path) -> Sqlite {
    let database = Sqlite::new();
    let dir = DataDir::take(&database.data_dir()).unwrap();
    let prepared = snapshot::prepare(copy, &dir, &Dice::default(), at(100)).await.unwrap();
    assert_eq!(prepared.install().unwrap(), FolderSync::Done);
    database
}

#[tokio::test]
async fn a_copy_that_is_made_while_a_host_writes_has_all_that_was_accepted_before() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let mut before = Vec::new();
    for _ in 0..50 {
        before.push(store.submit(new_job()).await.unwrap().id());
    }
    let copy = copy_of(&database);
    let meanwhile = async {
        for _ in 0..50 {
            store.submit(new_job()).await.unwrap();
        }
    };
    let data_dir = database.data_dir();
    let (copied, ()) = tokio::join!(snapshot::copy(&data_dir, &copy), meanwhile);
    let copied = copied.unwrap();
    assert!((50..=100).contains(&copied.jobs), "{copied:?}");
    assert_eq!(copied.open_jobs, copied.jobs);
    assert_eq!(snapshot::check(&copy).await.unwrap(), copied);
    let database = restored(&copy).await;
    let restored = self::store(&database).await;
    for id in before {
        assert!(restored.job(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_host_that_is_stopped_can_be_copied_and_nothing_is_overwritten() {
    let database = Sqlite::new();
    let missing = snapshot::copy(&database.data_dir(), &copy_of(&database)).await;
    assert!(matches!(missing, Err(SnapshotError::NoDatabase { .. })), "{missing:?}");
    let store = store(&database).await;
    store.submit(new_job()).await.unwrap();
    store.close().await;
    let copied = snapshot::copy(&database.data_dir(), &copy_of(&database)).await.unwrap();
    assert_eq!(copied.jobs, 1);
    let again = snapshot::copy(&database.data_dir(), &copy_of(&database)).await;
    assert!(matches!(again, Err(SnapshotError::InTheWay { .. })), "{again:?}");
}

#[tokio::test]
async fn no_run_of_the_former_host_matches_after_a_restore_and_its_jobs_run_again() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let job = store.submit(new_job()).await.unwrap().id();
    let (first, _) = claimed(&store).await;
    store.release(first, at(2)).await.unwrap();
    let (run, postponements) = claimed(&store).await;
    assert_eq!((run.token, postponements), (2, 1));
    let copy = copy_of(&database);
    snapshot::copy(&database.data_dir(), &copy).await.unwrap();
    // The former host goes on, and its zombie runs once more.
    assert_eq!(store.finish(run, ending(retry(0), at(3))).await.unwrap(), State::Scheduled);
    store.promote(at(4), 9).await.unwrap();
    let (zombie, _) = claimed(&store).await;

    let database = restored(&copy).await;
    let new = self::store(&database).await;
    let found = new.job(job).await.unwrap().unwrap();
    assert_eq!((found.state, found.losses, found.attempt), (State::Queued, 1, 0));
    assert!(found.reason.unwrap().contains("host died"));
    let (again, postponements) = claimed(&new).await;
    assert_eq!((again.token, postponements), (TOKENS + 3, 2));
    for run in [first, run, zombie] {
        assert_fenced(&new.finish(run, ending(done(), at(5))).await);
    }
    assert_eq!(new.finish(again, ending(done(), at(6))).await.unwrap(), State::Done);
}

#[tokio::test]
async fn the_latest_hundred_runs_are_kept_across_a_restore_although_their_numbers_have_a_gap() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let job = store.submit(new_job()).await.unwrap().id();
    let put_off = |now| ending(Verdict::Postpone { delay_ms: 0, failure: failure() }, at(now));
    for now in 2..=122 {
        let (run, _) = claimed(&store).await;
        store.finish(run, put_off(now)).await.unwrap();
        store.promote(at(now), 1).await.unwrap();
    }
    let copy = copy_of(&database);
    snapshot::copy(&database.data_dir(), &copy).await.unwrap();
    let database = restored(&copy).await;
    let new = self::store(&database).await;
    for now in [200, 201] {
        let (run, _) = claimed(&new).await;
        new.finish(run, put_off(now)).await.unwrap();
        new.promote(at(now), 1).await.unwrap();
    }
    let runs: Vec<_> = new.attempts(job).await.unwrap().iter().map(|one| one.run).collect();
    let expected: Vec<_> = (24..=121).chain([TOKENS + 122, TOKENS + 123]).collect();
    assert_eq!(runs, expected);
}

#[tokio::test]
async fn nobody_but_its_owner_can_read_a_database_or_a_copy() {
    let database = Sqlite::new();
    fs::create_dir_all(database.data_dir()).unwrap();
    let store = store(&database).await;
    store.submit(new_job()).await.unwrap();
    let (file, copy) = (database.file(), copy_of(&database));
    snapshot::copy(&database.data_dir(), &copy).await.unwrap();
    let beside = ["db-wal", "db-shm"].map(|extension| file.with_extension(extension));
    // As one that an older host made.
    let given = copy.with_file_name("given.db");
    fs::copy(&copy, &given).unwrap();
    fs::set_permissions(&given, Permissions::from_mode(0o644)).unwrap();
    let restored = restored(&given).await;
    for path in [file, copy, restored.file()].into_iter().chain(beside) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_folder_that_a_host_has_cannot_be_restored_into() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let error = DataDir::take(&database.data_dir()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    let copy = copy_of(&database);
    snapshot::copy(&database.data_dir(), &copy).await.unwrap();
    store.close().await;
    let dir = DataDir::take(&database.data_dir()).unwrap();
    let prepared = snapshot::prepare(&copy, &dir, &Dice::default(), at(1)).await.unwrap();
    let error = prepared.install().unwrap_err();
    assert!(matches!(error, SnapshotError::InTheWay { .. }), "{error:?}");
    assert!(!database.data_dir().join("roughneck.db.part").exists());
}

#[tokio::test]
async fn a_damaged_copy_is_refused_and_leaves_nothing() {
    let database = Sqlite::new();
    let store = store(&database).await;
    for _ in 0..50 {
        store.submit(new_job()).await.unwrap();
    }
    let copy = copy_of(&database);
    snapshot::copy(&database.data_dir(), &copy).await.unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes.iter_mut().skip(middle).take(20_000).for_each(|byte| *byte = 0xa5);
    fs::write(&copy, bytes).unwrap();
    let error = snapshot::check(&copy).await.unwrap_err();
    assert!(
        matches!(error, SnapshotError::Damaged { .. } | SnapshotError::Broken { .. }),
        "{error:?}"
    );
    let target = Sqlite::new();
    let dir = DataDir::take(&target.data_dir()).unwrap();
    assert!(snapshot::prepare(&copy, &dir, &Dice::default(), at(1)).await.is_err());
    assert_eq!(fs::read_dir(target.data_dir()).unwrap().count(), 1, "the lock alone");
}

#[tokio::test]
async fn a_copy_of_a_later_release_is_refused() {
    let database = Sqlite::new();
    store(&database).await.close().await;
    let copy = copy_of(&database);
    snapshot::copy(&database.data_dir(), &copy).await.unwrap();
    let mut hands = SqliteConnectOptions::new().filename(&copy).connect().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, x'00', 0)",
    )
    .execute(&mut hands)
    .await
    .unwrap();
    hands.close().await.unwrap();
    let target = Sqlite::new();
    let dir = DataDir::take(&target.data_dir()).unwrap();
    let error = snapshot::prepare(&copy, &dir, &Dice::default(), at(1)).await.unwrap_err();
    assert!(matches!(error, SnapshotError::OtherVersion { migration: 9999, .. }), "{error:?}");
}
