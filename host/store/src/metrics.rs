//! What operators see of the store.

use std::{
    fmt::{self, Write as _},
    sync::atomic::AtomicU64,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use roughneck_jobs::mark::Mark;

use crate::command::Kind;

/// The label of the counter of commands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    command: Kind,
}

/// The label of what belongs to a high-water mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMark {
    mark: MarkValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct MarkValue(Mark);

impl EncodeLabelValue for MarkValue {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(self.0.as_str())
    }
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(self.as_str())
    }
}

/// The metrics of a store. Clones share their values; reading them touches no database.
#[derive(Clone, Debug)]
pub struct Metrics {
    commits: Counter,
    syncs: Counter,
    failed_commits: Counter,
    commands: Family<Label, Counter>,
    batch_commands: Histogram,
    commit_seconds: Histogram,
    database_bytes: Gauge,
    log_bytes: Gauge,
    blocked_checkpoints: Counter,
    mark_use: Family<OfMark, Gauge<f64, AtomicU64>>,
    refused_jobs: Family<OfMark, Counter>,
}

impl Metrics {
    /// Metrics at zero, for every command.
    pub(crate) fn new() -> Self {
        let commands = Family::default();
        for &command in Kind::ALL {
            drop(commands.get_or_create(&Label { command }));
        }
        let (mark_use, refused_jobs) = (Family::default(), Family::default());
        for label in Mark::ALL.map(of_mark) {
            drop(refused_jobs.get_or_create(&label));
            drop(mark_use.get_or_create(&label));
        }
        Self {
            commits: Counter::default(),
            syncs: Counter::default(),
            failed_commits: Counter::default(),
            commands,
            // 1 to 64, the largest batch.
            batch_commands: Histogram::new(exponential_buckets(1.0, 2.0, 7)),
            // 0.1 ms to 1.6 s.
            commit_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 15)),
            database_bytes: Gauge::default(),
            log_bytes: Gauge::default(),
            blocked_checkpoints: Counter::default(),
            mark_use,
            refused_jobs,
        }
    }

    /// Shows the metrics, all named `roughneck_store_…`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "roughneck_store_commits",
            "Transactions that wrote rows and were committed",
            self.commits.clone(),
        );
        registry.register(
            "roughneck_store_syncs",
            "Times that the write-ahead log was brought to the disk",
            self.syncs.clone(),
        );
        registry.register(
            "roughneck_store_failed_commits",
            "Transactions that were given up because the disk or the database failed",
            self.failed_commits.clone(),
        );
        registry.register(
            "roughneck_store_commands",
            "Intentions that reached the writer, by name",
            self.commands.clone(),
        );
        registry.register(
            "roughneck_store_batch_commands",
            "Intentions that shared a transaction that wrote rows",
            self.batch_commands.clone(),
        );
        registry.register(
            "roughneck_store_commit_seconds",
            "Time of a transaction that wrote rows, from its beginning until its commit has returned",
            self.commit_seconds.clone(),
        );
        registry.register(
            "roughneck_store_database_bytes",
            "Size of the database with its write-ahead log, at most two seconds after the last commit",
            self.database_bytes.clone(),
        );
        registry.register(
            "roughneck_store_log_bytes",
            "Size of the write-ahead log, at most two seconds after the last commit",
            self.log_bytes.clone(),
        );
        registry.register(
            "roughneck_store_blocked_checkpoints",
            "Times that a long log could not be emptied because somebody still reads from it",
            self.blocked_checkpoints.clone(),
        );
        registry.register(
            "roughneck_store_mark_use_ratio",
            "How much of each high-water mark is used, at most two seconds ago; from 1 on no new jobs are taken",
            self.mark_use.clone(),
        );
        registry.register(
            "roughneck_store_refused_jobs",
            "Jobs that were not taken because a high-water mark was passed or the disk was full",
            self.refused_jobs.clone(),
        );
    }

    pub(crate) fn received(&self, command: Kind) {
        self.commands.get_or_create(&Label { command }).inc();
    }

    /// A transaction that wrote rows was committed.
    pub(crate) fn committed(&self, commands: usize, seconds: f64) {
        self.commits.inc();
        let commands = u32::try_from(commands).unwrap_or(u32::MAX);
        self.batch_commands.observe(f64::from(commands));
        self.commit_seconds.observe(seconds);
    }

    /// The database with its log, and the log alone, have so many bytes on the disk.
    pub(crate) fn measured(&self, database: u64, log: u64) {
        self.database_bytes.set(i64::try_from(database).unwrap_or(i64::MAX));
        self.log_bytes.set(i64::try_from(log).unwrap_or(i64::MAX));
    }

    /// A long log could not be emptied.
    pub(crate) fn blocked(&self) {
        self.blocked_checkpoints.inc();
    }

    /// Everything committed is on the disk.
    pub(crate) fn synced(&self) {
        self.syncs.inc();
    }

    pub(crate) fn failed(&self) {
        self.failed_commits.inc();
    }

    pub(crate) fn used(&self, mark: Mark, share: f64) {
        self.mark_use.get_or_create(&of_mark(mark)).set(share);
    }

    pub(crate) fn refused(&self, mark: Mark) {
        self.refused_jobs.get_or_create(&of_mark(mark)).inc();
    }
}

fn of_mark(mark: Mark) -> OfMark {
    OfMark { mark: MarkValue(mark) }
}
