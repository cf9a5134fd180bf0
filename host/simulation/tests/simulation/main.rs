//! Simulated lives on the real store.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{mark::Marks, ports::bell::Bell};
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

#[test]
fn hosts_that_die_at_any_call_of_the_real_store_break_no_promise() {
    let (mut lives, mut runs) = (0, 0);
    for seed in seeds(0..12) {
        let database = Sqlite(TempDir::new().unwrap());
        let history = tell(seed, &database)
            .unwrap_or_else(|failed| panic!("seed {seed}: {failed}\n{}", again(seed, THIS)));
        (lives, runs) = (lives + history.lives(), runs + history.runs());
    }
    println!("{lives} hosts made {runs} runs");
    assert!(lives > 0 && runs > 0);
}
