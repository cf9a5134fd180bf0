//! A disk that is full, or nearly so: a small one in memory, where the tester may mount one.

use std::{fs, process::Command, sync::Arc, time::Duration};

use roughneck_jobs::{
    id::JobId,
    job::NewJob,
    mark::{Mark, Marks},
    ports::store::{Claim, Store as _, StoreError, Submitted},
    state::State,
};
use roughneck_store::{Config, SqliteStore};
use tempfile::TempDir;

use crate::{
    database::{Dice, no_marks},
    given::{Rung, at, done, ending, io, new_job, slots},
};

const DISK_BYTES: usize = 24 << 20;

/// A disk of 24 MiB, most of which a file takes up.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None, with a word about it, where disks cannot be mounted.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_BYTES}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output();
        let mounted = mount.is_ok_and(|mount| mount.status.success());
        if !mounted {
            println!("skipped: only root on Linux can mount the small disk that this test fills");
            return None;
        }
        fs::write(dir.path().join("ballast"), vec![1; DISK_BYTES / 2]).unwrap();
        Some(Self(dir))
    }

    fn make_room(&self) {
        fs::remove_file(self.0.path().join("ballast")).unwrap();
    }

    async fn store(&self, marks: Marks) -> SqliteStore {
        let config = Config { marks, ..Config::new(self.0.path().join("data")) };
        let store =
            SqliteStore::open(&config, Arc::new(Rung::default()), Arc::new(Dice::default()));
        let store = store.await.unwrap();
        store.set_slots(&slots(2)).await.unwrap();
        store
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the store may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn large_job() -> NewJob {
    NewJob { input: format!("\"{}\"", "a".repeat(100_000)), ..new_job() }
}

/// Submits until there is an error, and returns what was accepted.
async fn fill(store: &SqliteStore) -> (Vec<JobId>, StoreError) {
    let mut accepted = Vec::new();
    loop {
        match store.submit(large_job()).await {
            Ok(submitted) => accepted.push(submitted.id()),
            Err(error) => return (accepted, error),
        }
        assert!(accepted.len() < 1000, "the disk is larger than that");
    }
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let waiting = async {
        while !condition().await {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap_or_else(|_| panic!("not within 30 s: {what}"));
}

async fn assert_kept(store: &SqliteStore, accepted: &[JobId]) {
    for id in accepted {
        assert!(store.job(*id).await.unwrap().is_some(), "{id} was accepted and is gone");
    }
}

async fn run_one(store: &SqliteStore) {
    let claim = Claim { class: io(), limit: 1, at: at(1), lease_until: at(9), prefer: None };
    for claimed in store.claim(claim).await.unwrap().claimed {
        let state = store.finish(claimed.run, ending(done(), at(2))).await.unwrap();
        assert_eq!(state, State::Done);
    }
}

#[tokio::test]
async fn a_disk_that_runs_low_closes_the_intake_while_jobs_still_end_and_opens_it_by_itself() {
    let Some(disk) = SmallDisk::new() else { return };
    let store = disk.store(Marks { disk_free_min: 6 << 20, ..no_marks() }).await;
    // Slow enough for the looks at the disk, of which there is one each second.
    let accepted = tokio::sync::Mutex::new(Vec::new());
    eventually("the intake closes", async || {
        let submitted = store.submit(large_job()).await;
        match submitted {
            Ok(submitted) => accepted.lock().await.push(submitted.id()),
            Err(StoreError::Full(passed)) => {
                assert_eq!(passed.mark, Mark::Disk);
                return true;
            }
            Err(error) => panic!("{error:?}"),
        }
        false
    })
    .await;
    let accepted = accepted.into_inner();
    assert_kept(&store, &accepted).await;
    let again = NewJob { id: accepted[0], ..new_job() };
    assert_eq!(store.submit(again).await.unwrap(), Submitted::Existing(accepted[0]));
    run_one(&store).await;
    store.cancel(accepted[1], at(3)).await.unwrap();
    disk.make_room();
    eventually("the intake opens", async || store.submit(new_job()).await.is_ok()).await;
    store.close().await;
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_cleanly_and_loses_nothing_that_was_accepted() {
    let Some(disk) = SmallDisk::new() else { return };
    let store = disk.store(no_marks()).await;
    let (accepted, error) = fill(&store).await;
    assert!(matches!(error, StoreError::DiskFull { doing: "accept a job", .. }), "{error:?}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert!(!accepted.is_empty());
    assert!(matches!(store.failing(), Some(StoreError::DiskFull { .. })));
    assert_kept(&store, &accepted).await;
    disk.make_room();
    store.submit(large_job()).await.unwrap();
    assert!(store.failing().is_none());
    run_one(&store).await;
    store.close().await;
    let store = disk.store(no_marks()).await;
    assert_kept(&store, &accepted).await;
    store.close().await;
}
