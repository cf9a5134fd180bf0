//! The database under test. To test another one, implement [`Database`] and choose it in [`new`].

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use roughneck_jobs::{
    clock::Entropy,
    mark::Marks,
    ports::{
        backlog::Backlog, bell::Bell, children::Children, flows::Flows, kv::KeyValue,
        outbox::Outbox, schedules::Schedules, spending::Spending, store::Store,
    },
};
use roughneck_store::{Config, SqliteStore};
use tempfile::TempDir;

/// All ports of one store.
pub(crate) trait Ports:
    Store + Flows + Children + Outbox + Schedules + KeyValue + Spending + Backlog
{
}
impl<T: Store + Flows + Children + Outbox + Schedules + KeyValue + Spending + Backlog> Ports for T {}

/// An empty database that can be opened again after its store is gone.
#[async_trait]
pub(crate) trait Database: Send + Sync {
    async fn open(&self, bell: Arc<dyn Bell>, marks: Marks) -> Arc<dyn Ports>;
}

/// Marks that no test passes by chance: the tester's disk may be nearly full.
pub(crate) fn no_marks() -> Marks {
    Marks { disk_free_min: 0, ..Marks::default() }
}

/// A new, empty database.
pub(crate) fn new() -> Box<dyn Database> {
    Box::new(Sqlite::new())
}

/// Dice that never repeat, and show the same numbers in each run.
#[derive(Default)]
pub(crate) struct Dice(AtomicU64);

impl Entropy for Dice {
    fn roll(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// SQLite in a folder of its own.
pub(crate) struct Sqlite {
    dir: TempDir,
    dice: Arc<Dice>,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), dice: Arc::new(Dice::default()) }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.data_dir().join("roughneck.db")
    }

    pub(crate) async fn store(&self, bell: Arc<dyn Bell>) -> SqliteStore {
        self.store_with(bell, no_marks()).await
    }

    pub(crate) async fn store_with(&self, bell: Arc<dyn Bell>, marks: Marks) -> SqliteStore {
        let config = Config { marks, ..Config::new(self.data_dir()) };
        SqliteStore::open(&config, bell, self.dice.clone()).await.unwrap()
    }
}

#[async_trait]
impl Database for Sqlite {
    async fn open(&self, bell: Arc<dyn Bell>, marks: Marks) -> Arc<dyn Ports> {
        Arc::new(self.store_with(bell, marks).await)
    }
}
