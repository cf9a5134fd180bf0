//! The owner of the only write connection, on a thread of its own.
//!
//! It takes what waits, commits it as one transaction, and answers afterwards. While one batch is on
//! its way to the disk the next one gathers, so batches grow with the load by themselves. No caller
//! can stop it in the middle: a caller's future holds nothing but the end of a channel.

pub(crate) mod health;

use std::{collections::VecDeque, mem, sync::Arc, time::Instant};

use roughneck_jobs::{clock::Entropy, ports::bell::Bell};
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};

use crate::{
    Metrics,
    bells::Bells,
    command::Command,
    intake::Intake,
    lock::DirLock,
    memory::Memory,
    perform::Answer,
    syncer::{Commit, Syncer},
    transaction::{Committed, Transaction, execute},
    unit::{self, Performed, Unit},
    upkeep::{self, Upkeep},
};

use health::Health;

/// Commands in one transaction: enough to share a sync to disk, few enough to answer soon.
pub(crate) const BATCH_MAX: usize = 64;

/// The writer.
pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    pub(crate) syncer: Syncer,
    pub(crate) bell: Arc<dyn Bell>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Metrics,
    pub(crate) intake: Arc<Intake>,
    pub(crate) health: Arc<Health>,
    /// As of the last commit, so that one that wrote nothing is told apart.
    pub(crate) rows_written: i64,
    /// Whether the last transaction failed. If its rollback failed as well, it is open, and must not take the next
    /// batch down too.
    pub(crate) is_suspect: bool,
    pub(crate) memory: Memory,
    pub(crate) upkeep: Upkeep,
    /// Freed when the last write is done, not before.
    pub(crate) _lock: DirLock,
}

impl Writer {
    /// Serves commands until `stop` is told or dropped, then those that already wait, then closes
    /// the database.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut batch = Vec::new();
        let mut is_open = true;
        // Not at once: a start has better things to do, and what a dead host left can wait.
        let first_look = tokio::time::Instant::now() + upkeep::LOOK;
        let mut looks = tokio::time::interval_at(first_look, upkeep::LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stop, if is_open => {
                    is_open = false;
                    commands.close();
                }
                _ = looks.tick() => self.look().await,
                received = commands.recv_many(&mut batch, BATCH_MAX) => {
                    if received == 0 {
                        break;
                    }
                    self.commit(mem::take(&mut batch)).await;
                }
            }
        }
        self.close().await;
    }

    /// Looks after the files, and mends a torn log first: nobody is promised the disk before.
    async fn look(&mut self) {
        if self.syncer.is_torn() && self.upkeep.empty(&mut self.connection).await {
            tracing::info!(
                "the write-ahead log was emptied: what was written since a sync failed is on the disk"
            );
            self.syncer.mend().ring(&*self.bell);
        }
        self.upkeep.look(&mut self.connection).await;
        if self.health.failing().is_some() {
            self.try_to_write().await;
        }
        if let Some(failed) = self.health.recovered() {
            tracing::info!("the store can write again; until then {failed}");
        }
    }

    /// Writes what changes nothing, so that a host which is sent nothing for as long as it cannot write learns that
    /// it can again.
    async fn try_to_write(&mut self) {
        self.clear_up().await;
        // Nobody reads this number. Unlike a row that is as it was, it is written all the same.
        if execute(&mut self.connection, "PRAGMA user_version = 0").await.is_ok() {
            self.health.wrote();
        }
    }

    async fn close(mut self) {
        let syncer = self.syncer;
        // It ends when the disk has everything, which may take a while.
        if tokio::task::spawn_blocking(move || syncer.close()).await.is_err() {
            tracing::error!("the thread that syncs the store could not be waited for");
        }
        // An empty log makes the next start quick and a copy of the one file complete.
        let emptied =
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.connection).await;
        let closed = self.connection.close().await;
        if let Err(error) = emptied.map(drop).and(closed) {
            tracing::warn!(%error, "the database was not closed cleanly; the next start repairs it");
        }
    }

    async fn commit(&mut self, batch: Vec<Command>) {
        let started = Instant::now();
        let size = batch.len();
        batch.iter().for_each(|command| self.metrics.received(command.kind()));
        let mut answers = Vec::with_capacity(size);
        match self.transact(batch, &mut answers).await {
            Ok((bells, rows_written)) => {
                let seconds = started.elapsed().as_secs_f64();
                let (inside, outside) = bells.split();
                inside.ring(&*self.bell);
                let has_written = rows_written != self.rows_written;
                if has_written {
                    self.rows_written = rows_written;
                    self.metrics.committed(size, seconds);
                    self.health.wrote();
                }
                let (waiting, told): (Vec<_>, Vec<_>) =
                    answers.into_iter().partition(|answer| answer.needs_disk);
                told.into_iter().for_each(|answer| answer.send(None));
                if has_written {
                    self.syncer.after_sync(Commit { answers: waiting, bells: outside });
                    self.upkeep.written(&mut self.connection).await;
                } else {
                    outside.ring(&*self.bell);
                    // What these callers hear of, such as the job of a repeated submission, may have been
                    // written a moment ago.
                    self.syncer.once_synced(waiting);
                }
            }
            Err(error) => {
                self.metrics.failed();
                if let Some(failed) = self.health.failed(size, &error) {
                    tracing::error!(
                        %error,
                        "{failed}, and nothing of it was written; those after it are counted, and told when the store can write again"
                    );
                }
                answers.into_iter().for_each(|answer| answer.send(Some(&error)));
            }
        }
    }

    async fn transact(
        &mut self,
        batch: Vec<Command>,
        answers: &mut Vec<Answer>,
    ) -> Result<(Bells, i64), Arc<sqlx::Error>> {
        self.clear_up().await;
        let mut units = unit::units(batch);
        let mut tx = Transaction::new(&mut self.connection, &*self.entropy, &mut self.memory);
        let mut done = Ok(());
        while done.is_ok() && !units.is_empty() {
            done = perform_next(&mut tx, &mut units, answers).await;
        }
        let committed = match done {
            Ok(()) => tx.commit().await,
            Err(error) => Err(error),
        };
        let error = match committed {
            Ok(Committed { bells, open_jobs, rows_written }) => {
                self.intake.moved(open_jobs);
                return Ok((bells, rows_written.unwrap_or(self.rows_written)));
            }
            Err(error) => Arc::new(error),
        };
        self.memory.forget();
        self.roll_back().await;
        self.is_suspect = true;
        // What was rolled back is counted as well, and must not pass for what the next one writes.
        let written = sqlx::query_scalar("SELECT total_changes()").fetch_one(&mut self.connection);
        self.rows_written = written.await.unwrap_or(self.rows_written);
        units.into_iter().for_each(|unit| unit.reject(&error));
        Err(error)
    }

    /// Ends the transaction that a failed rollback may have left open.
    async fn clear_up(&mut self) {
        if mem::take(&mut self.is_suspect) {
            self.roll_back().await;
        }
    }

    /// Fails where the database has rolled back by itself, which is as good.
    async fn roll_back(&mut self) {
        drop(execute(&mut self.connection, "ROLLBACK").await);
    }
}

/// Performs the next unit as a part of its own. An error here ends the whole transaction; whatever
/// was not answered is among `units` then.
async fn perform_next(
    tx: &mut Transaction<'_>,
    units: &mut VecDeque<Unit>,
    answers: &mut Vec<Answer>,
) -> Result<(), sqlx::Error> {
    let Some(unit) = units.pop_front() else { return Ok(()) };
    let part = tx.unit();
    let performed = unit.perform(tx).await;
    let ended = tx.end(part, performed.is_kept()).await;
    match performed {
        Performed::Answered(done) => answers.extend(done),
        Performed::Split(alone) => alone.into_iter().rev().for_each(|unit| units.push_front(unit)),
    }
    ended
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use roughneck_jobs::{
        class::{Class, Slots},
        clock::Millis,
        id::JobId,
        job::NewJob,
        mark::Marks,
        ports::{
            bell::Change,
            store::{Claim, Claims, Finish, Promoted, StoreError, Submitted, Verdict},
        },
        priority::Priority,
        run::Run,
        schedule::Kept,
        state::State,
        usage::Usage,
    };
    use sqlx::{
        ConnectOptions as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode},
    };
    use tempfile::TempDir;

    use super::*;
    use crate::{command::Reply, schema};

    const BUSY: Duration = Duration::from_millis(1);

    struct Still;
    impl Bell for Still {
        fn ring(&self, _: Change) {}
    }
    impl Entropy for Still {
        fn roll(&self) -> u128 {
            0
        }
    }

    fn options(dir: &TempDir) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new().filename(dir.path().join("db"));
        options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal).busy_timeout(BUSY)
    }

    async fn writer(dir: &TempDir) -> Writer {
        let mut connection = options(dir).connect().await.unwrap();
        schema::migrator().run(&mut connection).await.unwrap();
        let path = dir.path().join("db");
        let (marks, metrics) = (Marks::default(), Metrics::new());
        let intake = Arc::new(Intake::new(marks, 0, dir.path().to_owned(), metrics.clone()));
        Writer {
            connection,
            syncer: Syncer::start(&path, Arc::new(Still), Metrics::new()).unwrap(),
            bell: Arc::new(Still),
            entropy: Arc::new(Still),
            metrics: metrics.clone(),
            upkeep: Upkeep::new(path, 0, BUSY, Arc::clone(&intake), metrics),
            intake,
            health: Arc::default(),
            rows_written: 0,
            is_suspect: false,
            memory: Memory::default(),
            _lock: DirLock::take(dir.path()).unwrap(),
        }
    }

    fn promote() -> (Command, oneshot::Receiver<Result<Promoted, StoreError>>) {
        let (reply, answer): (Reply<Promoted>, _) = oneshot::channel();
        (Command::Promote { at: Millis(0), limit: 1, reply }, answer)
    }

    #[tokio::test]
    async fn a_batch_that_cannot_begin_is_answered_and_the_next_one_goes_on() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        let mut other = options(&dir).connect().await.unwrap();
        execute(&mut other, "BEGIN IMMEDIATE").await.unwrap();
        let ((one, first), (two, second)) = (promote(), promote());
        writer.commit(vec![one, two]).await;
        for answer in [first.await.unwrap(), second.await.unwrap()] {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains("queue the jobs that are due"), "{error}");
        }
        execute(&mut other, "ROLLBACK").await.unwrap();
        let (three, third) = promote();
        writer.commit(vec![three]).await;
        assert_eq!(third.await.unwrap().unwrap(), Promoted::default());
    }

    #[tokio::test]
    async fn a_store_that_could_not_write_tries_by_itself_until_it_can() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        assert!(writer.health.failing().is_none());
        let mut other = options(&dir).connect().await.unwrap();
        execute(&mut other, "BEGIN IMMEDIATE").await.unwrap();
        let (one, _) = promote();
        writer.commit(vec![one]).await;
        assert!(matches!(writer.health.failing(), Some(StoreError::Broken { .. })));
        writer.look().await;
        assert!(writer.health.failing().is_some(), "it cannot write yet");
        execute(&mut other, "ROLLBACK").await.unwrap();
        let (two, _) = promote();
        writer.commit(vec![two]).await;
        assert!(writer.health.failing().is_some(), "nothing was written");
        writer.look().await;
        assert!(writer.health.failing().is_none());
    }

    #[tokio::test]
    async fn what_was_rolled_back_does_not_count_as_written() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        set_trap(&mut writer).await;
        let (reply, fails) = oneshot::channel();
        writer.commit(vec![remember("p/s")(reply)]).await;
        assert!(matches!(fails.await.unwrap(), Err(StoreError::Broken { .. })));
        let (two, _) = promote();
        writer.commit(vec![two]).await;
        assert!(writer.health.failing().is_some());
    }

    #[tokio::test]
    async fn a_transaction_that_was_left_open_is_rolled_back_first() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        execute(&mut writer.connection, "BEGIN").await.unwrap();
        writer.is_suspect = true;
        let left = "INSERT INTO schedule (id, handled_up_to_ms) VALUES ('left', 1)";
        execute(&mut writer.connection, left).await.unwrap();
        let (command, answer) = promote();
        writer.commit(vec![command]).await;
        assert_eq!(answer.await.unwrap().unwrap(), Promoted::default());
        let left = sqlx::query_scalar("SELECT count(*) FROM schedule");
        let left: i64 = left.fetch_one(&mut writer.connection).await.unwrap();
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_gives_up_is_answered_with_an_error_by_all() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        set_trap(&mut writer).await;
        let (reply, remembered) = oneshot::channel();
        let (command, promoted) = promote();
        writer.commit(vec![command, remember("p/s")(reply)]).await;
        assert!(matches!(promoted.await.unwrap(), Err(StoreError::Broken { .. })));
        assert!(matches!(remembered.await.unwrap(), Err(StoreError::Broken { .. })));
        let (next, answer) = promote();
        writer.commit(vec![next]).await;
        assert_eq!(answer.await.unwrap().unwrap(), Promoted::default());
    }

    /// Sends commands as one batch.
    macro_rules! batch {
        ($writer:ident, $($command:expr),+) => {{
            let mut batch = Vec::new();
            let answers = ($({
                let (reply, answer) = oneshot::channel();
                batch.push($command(reply));
                answer
            },)+);
            $writer.commit(batch).await;
            answers
        }};
    }

    /// Has each transaction that remembers a schedule fail at its commit, when the answers are ready, as a deferred constraint does.
    async fn set_trap(writer: &mut Writer) {
        let trap = "CREATE TABLE trap (job TEXT REFERENCES job (id) DEFERRABLE INITIALLY DEFERRED)";
        execute(&mut writer.connection, trap).await.unwrap();
        let spring = "CREATE TRIGGER spring AFTER INSERT ON schedule BEGIN INSERT INTO trap VALUES ('nobody'); END";
        execute(&mut writer.connection, spring).await.unwrap();
    }

    fn remember(id: &str) -> impl FnOnce(Reply<Kept>) -> Command {
        let (id, timing) = (id.to_owned(), "UTC @every 1h".to_owned());
        move |reply| Command::RememberSchedule { id, timing, now: Millis(0), reply }
    }

    fn release(run: Run) -> impl FnOnce(Reply<()>) -> Command {
        move |reply| Command::Release { run, at: Millis(0), reply }
    }

    fn submit(id: JobId) -> impl FnOnce(Reply<Submitted>) -> Command {
        let job = Box::new(NewJob {
            id,
            idempotency_key: None,
            kind: "act".to_owned(),
            class: Class("io".to_owned()),
            priority: Priority::default(),
            rank: Millis(0),
            enqueued_at: Millis(0),
            run_at: Millis(0),
            deadline: None,
            attempts_max: 1,
            model: None,
            input: "{}".to_owned(),
            callback: None,
            trace_parent: None,
            caller: None,
            fire: None,
            unique: None,
            concurrency: None,
            member: None,
        });
        move |reply| Command::Submit { job, reply }
    }

    fn claim(reply: Reply<Claims>) -> Command {
        let (class, limit) = (Class("io".to_owned()), 1);
        let (at, lease_until) = (Millis(0), Millis(1_000));
        Command::Claim { claim: Claim { class, limit, at, lease_until, prefer: None }, reply }
    }

    fn finish(run: Run) -> impl FnOnce(Reply<State>) -> Command {
        let finish = Box::new(Finish {
            verdict: Verdict::Done { output: "{}".to_owned() },
            at: Millis(0),
            plugin: None,
            usage: Usage::default(),
            log: Vec::new(),
            notices: Vec::new(),
        });
        move |reply| Command::Finish { run, finish, reply }
    }

    #[tokio::test]
    async fn the_end_of_a_run_and_the_claim_after_it_are_one_and_the_dispatcher_is_not_woken() {
        #[derive(Default)]
        struct Rung(Mutex<Vec<Change>>);
        impl Bell for Rung {
            fn ring(&self, change: Change) {
                self.0.lock().unwrap().push(change);
            }
        }
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        let io = || Class("io".to_owned());
        let slots = vec![Slots { class: io(), count: 1 }];
        let [first, second] = [1, 2].map(|n| JobId::at(Millis(n), &Still));
        let (_, _, _, claims) = batch!(
            writer,
            |reply| Command::SetSlots { slots, reply },
            submit(first),
            submit(second),
            claim
        );
        let run = claims.await.unwrap().unwrap().claimed.remove(0).run;
        assert_eq!(run.job, first);
        let rung = Arc::new(Rung::default());
        writer.bell = Arc::clone(&rung) as _;
        let (claims, others, end) = batch!(writer, claim, claim, finish(run));
        assert_eq!(end.await.unwrap().unwrap(), State::Done);
        assert_eq!(claims.await.unwrap().unwrap().claimed.remove(0).run.job, second);
        assert!(others.await.unwrap().unwrap().claimed.is_empty());
        assert!(!rung.0.lock().unwrap().contains(&Change::Class(io())));
    }

    #[tokio::test]
    async fn a_repeated_submission_is_answered_when_the_first_one_is_on_the_disk() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        let (go_on, going) = std::sync::mpsc::channel();
        let sync = move || going.recv().map_err(std::io::Error::other);
        writer.syncer = Syncer::with(Arc::new(Still), Metrics::new(), sync).unwrap();
        let id = JobId::at(Millis(1), &Still);
        let (first,) = batch!(writer, submit(id));
        let (mut again, mut known) = batch!(writer, submit(id), |reply| Command::Sync { reply });
        assert!(again.try_recv().is_err() && known.try_recv().is_err());
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), Submitted::Created(id));
        assert_eq!(again.await.unwrap().unwrap(), Submitted::Existing(id));
        known.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_log_that_could_not_be_synced_is_emptied_before_the_disk_is_promised_again() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        let mut syncs = 0;
        let sync = move || {
            syncs += 1;
            if syncs == 1 { Err(std::io::Error::other("a lost write")) } else { Ok(()) }
        };
        writer.syncer = Syncer::with(Arc::new(Still), Metrics::new(), sync).unwrap();
        for lost in [1, 2] {
            let (answer,) = batch!(writer, submit(JobId::at(Millis(lost), &Still)));
            assert!(matches!(answer.await.unwrap(), Err(StoreError::Broken { .. })));
        }
        writer.look().await;
        let log = std::fs::metadata(crate::syncer::path(&dir.path().join("db"))).unwrap();
        assert_eq!(log.len(), 0);
        let (answer,) = batch!(writer, submit(JobId::at(Millis(3), &Still)));
        answer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_command_that_fails_takes_no_other_one_of_its_batch_with_it() {
        let dir = TempDir::new().unwrap();
        let mut writer = writer(&dir).await;
        let stale = Run { job: JobId::at(Millis(1), &Still), token: 1 };
        let (first, one, other, two, last) = batch!(
            writer,
            release(stale),
            remember("one"),
            release(stale),
            remember("two"),
            release(stale)
        );
        for kept in [one, two] {
            kept.await.unwrap().unwrap();
        }
        for failed in [first, other, last] {
            assert!(matches!(failed.await.unwrap(), Err(StoreError::Fenced)));
        }
        let kept = sqlx::query_scalar("SELECT count(*) FROM schedule");
        let kept: i64 = kept.fetch_one(&mut writer.connection).await.unwrap();
        assert_eq!(kept, 2);
    }
}
