//! Brings commits to the disk, beside the writer.
//!
//! A commit is in the write-ahead log when the writer goes on: no crash of the process can undo it. A
//! power failure still could, until the log is synced. Here it is synced, once for all commits that
//! wait, and only then are those answered whose callers were promised the disk, and is the outside
//! told. What the engine asks for itself needs no such promise: after a power failure it would do the
//! same again.
//!
//! A sync that fails tears the log. The system reports a lost write once, and then takes its pages for written: a
//! later sync may succeed without them. So nobody is promised the disk until the writer has moved all of the log
//! into the database, and emptied it.

use std::{
    fs::File,
    io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use roughneck_jobs::ports::bell::Bell;

use crate::{
    Metrics,
    bells::Bells,
    disk::{FolderSync, sync_folder},
    perform::Answer,
};

/// How long a commit for which nobody waits may be without the disk, so that several share a sync.
const PATIENCE: Duration = Duration::from_millis(5);

/// What is to be told once a commit is on the disk.
pub(crate) struct Commit {
    /// Callers who were promised the disk.
    pub(crate) answers: Vec<Answer>,
    /// Whoever looks at jobs, and the outbox.
    pub(crate) bells: Bells,
}

/// The thread that syncs.
pub(crate) struct Syncer {
    commits: Sender,
    thread: thread::JoinHandle<()>,
}

impl Syncer {
    /// Starts it for the database at `path`.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(crate) fn start(path: &Path, bell: Arc<dyn Bell>, metrics: Metrics) -> io::Result<Self> {
        let mut log = Log { database: path.to_owned(), file: None };
        Self::with(bell, metrics, move || log.sync())
    }

    pub(crate) fn with(
        bell: Arc<dyn Bell>,
        metrics: Metrics,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let waiting = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("roughneck-sync".to_owned())
            .spawn(move || serve(&waiting, &*bell, &metrics, sync))?;
        Ok(Self { commits: Sender(queue), thread })
    }

    /// Tells what is to be told once everything that was committed so far is on the disk.
    pub(crate) fn after_sync(&self, commit: Commit) {
        if let Err((answers, error)) = self.commits.0.push(commit) {
            refuse(answers, error);
        }
    }

    /// Answers once everything that was committed so far is on the disk, which it may be already.
    pub(crate) fn once_synced(&self, answers: Vec<Answer>) {
        if answers.is_empty() || self.commits.0.is_settled() {
            answers.into_iter().for_each(|answer| answer.send(None));
        } else {
            self.after_sync(Commit { answers, bells: Bells::default() });
        }
    }

    /// Whether a sync has failed, and the log was not emptied since.
    pub(crate) fn is_torn(&self) -> bool {
        self.commits.0.lock().torn.is_some()
    }

    /// The log was emptied: everything that was committed so far is on the disk. Returns what the outside was not
    /// told meanwhile.
    pub(crate) fn mend(&self) -> Bells {
        self.commits.0.lock().torn.take().map(|torn| torn.bells).unwrap_or_default()
    }

    /// Syncs what waits, and ends.
    pub(crate) fn close(self) {
        let Self { commits, thread } = self;
        drop(commits);
        if thread.join().is_err() {
            tracing::error!("the thread that syncs the store did not end cleanly");
        }
    }
}

/// The commits that wait for a sync. A commit for which nobody waits wakes the thread only if it is the first: a
/// channel would wake it for each.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    commits: Vec<Commit>,
    is_urgent: bool,
    /// Commits were taken from here and are not on the disk yet.
    is_syncing: bool,
    torn: Option<Torn>,
    /// There will be no more.
    is_closed: bool,
    /// Nobody syncs any more.
    is_dead: bool,
}

/// What is known of a log that could not be synced.
struct Torn {
    /// What the disk said.
    kind: io::ErrorKind,
    /// What the outside has not been told.
    bells: Bells,
}

impl Queue {
    /// Gives the answers back, with the reason, if nobody will sync the commit.
    fn push(&self, commit: Commit) -> Result<(), (Vec<Answer>, io::Error)> {
        let mut state = self.lock();
        if state.is_dead {
            return Err((commit.answers, died()));
        }
        if let Some(torn) = &mut state.torn {
            torn.bells.add(commit.bells);
            return Err((commit.answers, torn.kind.into()));
        }
        let wakes = state.commits.is_empty() || (commit.is_urgent() && !state.is_urgent);
        state.is_urgent |= commit.is_urgent();
        state.commits.push(commit);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// The commits of the next sync: at once if somebody waits, otherwise all of the next moment. None
    /// when there will be no more.
    fn gather(&self) -> Option<Vec<Commit>> {
        let is_idle = |state: &mut State| state.commits.is_empty() && !state.is_closed;
        let state = self.changed.wait_while(self.lock(), is_idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let is_patient = |state: &mut State| !state.is_urgent && !state.is_closed;
        let state = self.changed.wait_timeout_while(state, PATIENCE, is_patient);
        let (mut state, _) = state.unwrap_or_else(PoisonError::into_inner);
        state.is_urgent = false;
        state.is_syncing = !state.commits.is_empty();
        Some(mem::take(&mut state.commits)).filter(|commits| !commits.is_empty())
    }

    /// Whether everything that was committed is on the disk.
    fn is_settled(&self) -> bool {
        let state = self.lock();
        state.commits.is_empty() && !state.is_syncing && state.torn.is_none() && !state.is_dead
    }

    /// What was gathered is on the disk.
    fn synced(&self) {
        self.lock().is_syncing = false;
    }

    /// These commits could not be synced. Returns all answers that wait for the disk.
    fn tear(&self, commits: Vec<Commit>, kind: io::ErrorKind) -> Vec<Answer> {
        let mut state = self.lock();
        let (answers, bells) = split(commits.into_iter().chain(mem::take(&mut state.commits)));
        state.is_syncing = false;
        state.torn = Some(Torn { kind, bells });
        answers
    }

    /// A poisoned lock holds plain data that is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's end of the queue.
struct Sender(Arc<Queue>);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_one();
    }
}

/// Lets nobody wait for a thread that has ended, also by a panic.
struct Serving<'a>(&'a Queue);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_dead = true;
        let (answers, _) = split(mem::take(&mut state.commits));
        drop(state);
        refuse(answers, died());
    }
}

fn died() -> io::Error {
    io::Error::other("the thread that syncs has died")
}

fn refuse(answers: Vec<Answer>, error: io::Error) {
    let error = Arc::new(sqlx::Error::Io(error));
    answers.into_iter().for_each(|answer| answer.send(Some(&error)));
}

/// All that is to be told of these commits.
fn split(commits: impl IntoIterator<Item = Commit>) -> (Vec<Answer>, Bells) {
    let (mut answers, mut bells) = (Vec::new(), Bells::default());
    for commit in commits {
        answers.extend(commit.answers);
        bells.add(commit.bells);
    }
    (answers, bells)
}

impl Commit {
    fn is_urgent(&self) -> bool {
        !self.answers.is_empty()
    }
}

fn serve(
    queue: &Queue,
    bell: &dyn Bell,
    metrics: &Metrics,
    mut sync: impl FnMut() -> io::Result<()>,
) {
    let serving = Serving(queue);
    while let Some(commits) = serving.0.gather() {
        match sync() {
            Ok(()) => {
                metrics.synced();
                queue.synced();
                let (answers, bells) = split(commits);
                bells.ring(bell);
                answers.into_iter().for_each(|answer| answer.send(None));
            }
            Err(error) => {
                metrics.failed();
                tracing::error!(
                    %error,
                    "the write-ahead log could not be brought to the disk; nobody is promised it until the log was emptied"
                );
                let kind = error.kind();
                refuse(queue.tear(commits, kind), kind.into());
            }
        }
    }
}

/// The write-ahead log. Its file stays the same for as long as the writer has the database open.
struct Log {
    database: PathBuf,
    file: Option<File>,
}

impl Log {
    /// On macOS, `sync_data` is `F_FULLFSYNC`: it reaches the drive, not only its cache.
    fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            return file.sync_data();
        }
        let file = File::open(path(&self.database))?;
        file.sync_data()?;
        // The log is a new file, and its name must be on the disk as well. If it cannot be brought there, SQLite
        // itself goes on.
        let synced = self.database.parent().map_or(Ok(FolderSync::Done), sync_folder);
        if !matches!(synced, Ok(FolderSync::Done)) {
            tracing::warn!(
                ?synced,
                "the folder of the database cannot be synced: a power failure soon after this start may lose what is written until then"
            );
        }
        self.file = Some(file);
        Ok(())
    }
}

/// The write-ahead log of a database.
pub(crate) fn path(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use roughneck_jobs::{
        class::Class,
        id::JobId,
        ports::{bell::Change, store::StoreError},
    };
    use tokio::sync::oneshot;

    use super::*;
    use crate::command::Kind;

    #[derive(Default)]
    struct Rung(Mutex<Vec<Change>>);
    impl Bell for Rung {
        fn ring(&self, change: Change) {
            self.0.lock().unwrap().push(change);
        }
    }

    fn commit() -> (Commit, oneshot::Receiver<Result<(), StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let answers = vec![Answer::new(reply, Kind::Cancel, Ok(()))];
        (Commit { answers, bells: Bells::default() }, answer)
    }

    /// A sync that waits to be let go on, and says when it began.
    fn held() -> (impl FnMut() -> io::Result<()> + Send, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (began, begun) = mpsc::channel();
        let (go_on, going) = mpsc::channel();
        let sync = move || {
            began.send(()).unwrap();
            going.recv().map_err(io::Error::other)
        };
        (sync, begun, go_on)
    }

    #[test]
    fn what_comes_during_a_sync_shares_the_next_one_and_nobody_is_answered_before() {
        let (sync, begun, go_on) = held();
        let syncer = Syncer::with(Arc::new(Rung::default()), Metrics::new(), sync).unwrap();
        let (first, mut answer) = commit();
        syncer.after_sync(first);
        begun.recv().unwrap();
        let (commits, answers): (Vec<_>, Vec<_>) = (0..5).map(|_| commit()).unzip();
        commits.into_iter().for_each(|commit| syncer.after_sync(commit));
        assert!(answer.try_recv().is_err());
        go_on.send(()).unwrap();
        answer.blocking_recv().unwrap().unwrap();
        begun.recv().unwrap();
        go_on.send(()).unwrap();
        answers.into_iter().for_each(|answer| answer.blocking_recv().unwrap().unwrap());
        syncer.close();
        assert!(begun.try_recv().is_err(), "there was a third sync");
    }

    #[test]
    fn the_outside_is_told_after_the_sync_also_if_nobody_waits() {
        let (sync, begun, go_on) = held();
        let rung = Arc::new(Rung::default());
        let syncer = Syncer::with(rung.clone(), Metrics::new(), sync).unwrap();
        let job: JobId = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB".parse().unwrap();
        let mut bells = Bells::default();
        bells.job(job);
        bells.class(&Class("io".to_owned()));
        let (inside, outside) = bells.split();
        inside.ring(&*rung);
        syncer.after_sync(Commit { answers: Vec::new(), bells: outside });
        begun.recv().unwrap();
        let rung_now = |rung: &Rung| rung.0.lock().unwrap().clone();
        assert_eq!(rung_now(&rung), [Change::Class(Class("io".to_owned()))]);
        go_on.send(()).unwrap();
        syncer.close();
        assert_eq!(rung_now(&rung).last(), Some(&Change::Job(job)));
    }

    #[test]
    fn a_sync_that_fails_is_told_to_whoever_was_promised_the_disk() {
        let rung = Arc::new(Rung::default());
        let sync = || Err(io::Error::from(io::ErrorKind::StorageFull));
        let syncer = Syncer::with(rung.clone(), Metrics::new(), sync).unwrap();
        let (commit, answer) = commit();
        syncer.after_sync(commit);
        assert!(matches!(answer.blocking_recv().unwrap(), Err(StoreError::DiskFull { .. })));
        syncer.close();
        assert!(rung.0.lock().unwrap().is_empty());
    }

    #[test]
    fn after_a_sync_that_failed_the_disk_is_promised_to_nobody_until_the_log_was_emptied() {
        let mut syncs = 0;
        let sync = move || {
            syncs += 1;
            if syncs == 1 { Err(io::Error::other("a lost write")) } else { Ok(()) }
        };
        let syncer = Syncer::with(Arc::new(Rung::default()), Metrics::new(), sync).unwrap();
        let fails = |commit: Commit, answer: oneshot::Receiver<_>| {
            syncer.after_sync(commit);
            assert!(matches!(answer.blocking_recv().unwrap(), Err(StoreError::Broken { .. })));
        };
        let (first, answer) = commit();
        fails(first, answer);
        assert!(syncer.is_torn());
        // The next sync would succeed, which says nothing about what the first one lost.
        let (mut second, answer) = commit();
        let job: JobId = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB".parse().unwrap();
        second.bells.job(job);
        fails(second, answer);
        let (reader, answer) = commit();
        syncer.once_synced(reader.answers);
        assert!(matches!(answer.blocking_recv().unwrap(), Err(StoreError::Broken { .. })));
        let late = Rung::default();
        syncer.mend().ring(&late);
        assert_eq!(*late.0.lock().unwrap(), [Change::Job(job)]);
        let (third, answer) = commit();
        syncer.after_sync(third);
        answer.blocking_recv().unwrap().unwrap();
        syncer.close();
    }

    #[test]
    fn who_hears_of_a_commit_of_others_waits_for_its_sync_and_for_no_other() {
        let (sync, begun, go_on) = held();
        let syncer = Syncer::with(Arc::new(Rung::default()), Metrics::new(), sync).unwrap();
        let (before, mut at_once) = commit();
        syncer.once_synced(before.answers);
        at_once.try_recv().unwrap().unwrap();
        let (first, answer) = commit();
        syncer.after_sync(first);
        begun.recv().unwrap();
        let (reader, mut waits) = commit();
        syncer.once_synced(reader.answers);
        assert!(waits.try_recv().is_err());
        go_on.send(()).unwrap();
        answer.blocking_recv().unwrap().unwrap();
        begun.recv().unwrap();
        go_on.send(()).unwrap();
        waits.blocking_recv().unwrap().unwrap();
        syncer.close();
    }
}
