//! Simulated lives on both stores: the real one, and the one in memory that the engine's tests trust.

#![expect(clippy::panic, reason = "clippy excuses tests, and not the functions they share")]

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{mark::Marks, ports::bell::Bell};
use roughneck_memory::{Disk, Memory};
use roughneck_simulation::{Database, Ports, Time, again, seeds, tell};
use roughneck_store::{Config, SqliteStore};
use tempfile::TempDir;

/// What cargo is told, to test what is in this file.
const THIS: &str = "--package roughneck-simulation --test simulation";

/// SQLite in a folder of its own.
struct Sqlite(TempDir);

#[async_trait]
impl Database for Sqlite {
    async fn open(
        &self,
        bell: Arc<dyn Bell>,
        time: Arc<Time>,
    ) -> Result<Arc<dyn Ports>, Box<dyn std::error::Error + Send + Sync>> {
        // The tester's disk may be nearly full.
        let marks = Marks { disk_free_min: 0, ..Marks::default() };
        let config = Config { marks, ..Config::new(self.0.path().join("data")) };
        Ok(Arc::new(SqliteStore::open(&config, bell, time).await?))
    }

    fn has_threads(&self) -> bool {
        true
    }
}

/// The store in memory.
struct InMemory(Disk);

#[async_trait]
impl Database for InMemory {
    async fn open(
        &self,
        bell: Arc<dyn Bell>,
        _: Arc<Time>,
    ) -> Result<Arc<dyn Ports>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Arc::new(Memory::open(&self.0, bell)))
    }

    fn has_threads(&self) -> bool {
        false
    }
}

/// Tells the stories of all seeds, each on a database of its own.
fn tell_all<D: Database>(test: &str, database: impl Fn() -> D) {
    let (mut lives, mut runs) = (0, 0);
    let (mut flows, mut fires, mut overdue) = (0, 0, 0);
    let usual = 0..12;
    let played = seeds(usual.clone()).unwrap_or_else(|wrong| panic!("{wrong}"));
    for seed in played.clone() {
        let again = again(seed, &format!("{THIS} {test}"));
        let history = tell(seed, &database())
            .unwrap_or_else(|failed| panic!("seed {seed}: {failed}\n{again}"));
        (lives, runs) = (lives + history.lives(), runs + history.runs());
        flows += history.flows();
        (fires, overdue) = (fires + history.fires(), overdue + history.overdue());
    }
    println!(
        "{test}: {lives} hosts made {runs} runs of {flows} flows, {fires} fires and others; {overdue} jobs were overdue"
    );
    // One seed alone need not have some of each.
    let some_of_each = [lives, runs, flows, fires, overdue].iter().all(|count| *count > 0);
    assert!(some_of_each || played != usual, "something was never tried");
}

#[test]
fn hosts_that_die_at_any_call_of_the_real_store_break_no_promise() {
    tell_all("real_store", || Sqlite(TempDir::new().unwrap()));
}

#[test]
fn hosts_that_die_at_any_call_of_the_store_in_memory_break_no_promise() {
    tell_all("in_memory", || InMemory(Disk::default()));
}
