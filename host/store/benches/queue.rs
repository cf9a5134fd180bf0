//! What a job costs in the store alone: `cargo bench --package roughneck-store`.
//!
//! It prints rates, CPU time and syncs for each job. CPU and syncs are what to compare: the rates
//! depend on the disk and on what else the machine does.

#![expect(clippy::expect_used, reason = "a bench that cannot go on ends")]

use std::{path::Path, sync::Arc, time::Instant};

use futures_util::future::join_all;
use roughneck_jobs::{
    class::{CLIENT, Class, Slots},
    clock::{Entropy, Millis},
    id::JobId,
    job::NewJob,
    past::{Fate, Past},
    ports::{
        bell::{Bell, Change},
        store::{Claim, Claimed, Finish, Store as _, Verdict},
    },
    priority::Priority,
    usage::Usage,
};
use roughneck_store::{Config, SqliteStore};
use rustix::time::{ClockId, clock_gettime};

const NOW: Millis = Millis(1_800_000_000_000);

struct Silent;

impl Bell for Silent {
    fn ring(&self, _: Change) {}
}

/// Counts up: ids are new and sorted, as those of a host are.
#[derive(Default)]
struct Counter(std::sync::atomic::AtomicU64);

impl Entropy for Counter {
    fn roll(&self) -> u128 {
        u128::from(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fn main() {
    // Two threads, as on the machine that the targets are for.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    println!("{:<28} {:>10} {:>12} {:>14}", "", "jobs/s", "CPU µs/job", "syncs/job");
    // `cargo bench` itself passes `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let is_wanted =
        |cell: &str| wanted.is_empty() || wanted.iter().any(|one| cell.contains(&**one));
    for producers in [1, 16, 64] {
        let cell = format!("enqueue, {producers} producers");
        if is_wanted(&cell) {
            runtime.block_on(enqueue(&cell, producers));
        }
    }
    for told in [Told::StepByStep, Told::Alone, Told::Together] {
        let cell = told.cell();
        if is_wanted(cell) {
            runtime.block_on(calls(cell, told));
        }
    }
    for slots in [1, 10, 50] {
        let cell = format!("drain, {slots} slots");
        if is_wanted(&cell) {
            runtime.block_on(drain(&cell, slots));
        }
    }
}

struct Bench {
    store: SqliteStore,
    entropy: Arc<Counter>,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new(slots: u32) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let entropy = Arc::new(Counter::default());
        let store = open(dir.path(), &entropy).await;
        let slots = Slots { class: class(), count: slots };
        store.set_slots(&[slots]).await.expect("slots");
        Self { store, entropy, _dir: dir }
    }

    async fn submit(&self, jobs: usize, producers: usize) {
        let each = (0..producers).map(|_| async {
            for _ in 0..jobs / producers {
                self.store.submit(self.job()).await.expect("a submission");
            }
        });
        join_all(each).await;
    }

    fn job(&self) -> NewJob {
        NewJob {
            id: JobId::at(NOW, &*self.entropy),
            idempotency_key: None,
            kind: "noop".to_owned(),
            class: class(),
            priority: Priority::default(),
            rank: NOW,
            enqueued_at: NOW,
            run_at: NOW,
            deadline: None,
            attempts_max: 4,
            model: None,
            input: format!("{{\"text\":\"{}\"}}", "x".repeat(136)),
            callback: None,
            trace_parent: None,
            caller: None,
            fire: None,
            unique: None,
            concurrency: None,
            member: None,
        }
    }

    async fn claim(&self, limit: u32) -> Vec<Claimed> {
        let claim = Claim {
            class: class(),
            limit,
            at: NOW,
            lease_until: NOW.plus_ms(60_000),
            prefer: None,
        };
        self.store.claim(claim).await.expect("a claim").claimed
    }

    /// Ends a run and what follows it in its slot, as the engine does it.
    async fn run(&self, claimed: Claimed, slots: u32) {
        let mut next = vec![claimed];
        while !next.is_empty() {
            let ends = next
                .into_iter()
                .map(|one| async { tokio::join!(biased; self.finish(one), self.claim(slots)).1 });
            next = join_all(ends).await.into_iter().flatten().collect();
        }
    }

    async fn finish(&self, claimed: Claimed) {
        self.store.finish(claimed.run, done()).await.expect("an end");
    }

    fn syncs(&self) -> u64 {
        let mut registry = prometheus_client::registry::Registry::default();
        self.store.metrics().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("metrics");
        let line = text.lines().find_map(|line| line.strip_prefix("roughneck_store_syncs_total "));
        line.and_then(|syncs| syncs.parse().ok()).expect("a counter")
    }
}

async fn open(dir: &Path, entropy: &Arc<Counter>) -> SqliteStore {
    SqliteStore::open(&Config::new(dir), Arc::new(Silent), Arc::clone(entropy) as _)
        .await
        .expect("a store")
}

fn done() -> Finish {
    Finish {
        verdict: Verdict::Done { output: "{}".to_owned() },
        at: NOW,
        plugin: Some("sha256:0".to_owned()),
        usage: Usage::default(),
        log: Vec::new(),
        notices: Vec::new(),
    }
}

fn class() -> Class {
    Class("io".to_owned())
}

async fn enqueue(cell: &str, producers: usize) {
    let jobs = if producers == 1 { 2_000 } else { 20_000 };
    let bench = Bench::new(1).await;
    let before = Reading::of(&bench);
    bench.submit(jobs, producers).await;
    before.report(&bench, cell, jobs);
}

async fn drain(cell: &str, slots: u32) {
    let jobs = if slots == 1 { 2_000 } else { 10_000 };
    let bench = Bench::new(slots).await;
    bench.submit(jobs, 50).await;
    let before = Reading::of(&bench);
    loop {
        let claimed = bench.claim(slots).await;
        if claimed.is_empty() {
            break;
        }
        join_all(claimed.into_iter().map(|one| bench.run(one, slots))).await;
    }
    before.report(&bench, cell, jobs);
}

/// How the store is told of the calls of clients.
#[derive(Clone, Copy)]
enum Told {
    /// Each is submitted, begun and ended.
    StepByStep,
    /// Each is kept when it is over.
    Alone,
    /// Fifty that are over are kept together.
    Together,
}

impl Told {
    fn cell(self) -> &'static str {
        match self {
            Self::StepByStep => "calls, step by step",
            Self::Alone => "calls, kept one by one",
            Self::Together => "calls, 50 kept together",
        }
    }
}

/// Calls of clients that come one after the other.
async fn calls(cell: &str, told: Told) {
    const JOBS: usize = 2_000;
    let bench = Bench::new(1).await;
    let class = Class(CLIENT.to_owned());
    let slots = Slots { class: class.clone(), count: 512 };
    bench.store.set_slots(&[slots]).await.expect("slots");
    let before = Reading::of(&bench);
    let call = || NewJob { class: class.clone(), attempts_max: 1, ..bench.job() };
    match told {
        Told::StepByStep => {
            for _ in 0..JOBS {
                let id = bench.store.submit(call()).await.expect("a submission").id();
                let run = bench.store.begin(id, NOW, NOW.plus_ms(60_000)).await.expect("a begin");
                bench.store.finish(run.expect("a slot"), done()).await.expect("an end");
            }
        }
        Told::Alone | Told::Together => {
            let at_once = if matches!(told, Told::Alone) { 1 } else { 50 };
            let keep = || {
                let fate = Fate::Ran { began: NOW, finish: Box::new(done()) };
                bench.store.keep(Arc::new(Past { job: call(), fate }))
            };
            for _ in 0..JOBS / at_once {
                join_all((0..at_once).map(|_| keep())).await.into_iter().for_each(|kept| {
                    kept.expect("a job that is kept");
                });
            }
        }
    }
    before.report(&bench, cell, JOBS);
}

struct Reading {
    at: Instant,
    cpu_us: u64,
    syncs: u64,
}

impl Reading {
    fn of(bench: &Bench) -> Self {
        Self { at: Instant::now(), cpu_us: cpu_us(), syncs: bench.syncs() }
    }

    fn report(&self, bench: &Bench, what: &str, jobs: usize) {
        let after = Self::of(bench);
        let jobs = jobs as f64;
        println!(
            "{what:<28} {:>10.0} {:>12.1} {:>14.3}",
            jobs / after.at.duration_since(self.at).as_secs_f64(),
            (after.cpu_us - self.cpu_us) as f64 / jobs,
            (after.syncs - self.syncs) as f64 / jobs,
        );
    }
}

fn cpu_us() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}
