//! The books of attended jobs that were over before anything of them was written.

use std::sync::Arc;

use futures_util::future::join_all;
use roughneck_jobs::{
    causes::Causes,
    clock::Millis,
    failure::Failure,
    finish::Verdict,
    past::{Fate, Past},
    ports::store::StoreError,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::error;

use crate::{
    attempt,
    attended::{Attendance, Present},
    books::{self, Note, TRIES, verdict},
    drafts::{Draft, unless_it_panics},
    record::Record,
    shared::Shared,
};

/// The books of one job, with all that there will be in them.
struct Closed {
    past: Arc<Past>,
    /// It is to be found until it is written.
    present: Present,
    _token: TaskTrackerToken,
}

impl Closed {
    /// Closes the books of a job that is over.
    fn of(draft: Draft) -> Self {
        let Draft { job, present, mut notes, token, .. } = draft;
        let fate = fate(present.attendance(), &mut notes, job.enqueued_at);
        Self { past: Arc::new(Past { job, fate }), present, _token: token }
    }

    fn attendance(&self) -> &Attendance {
        self.present.attendance()
    }

    async fn keep(self, shared: &Shared) {
        let id = self.past.job.id;
        for _ in 0..TRIES {
            match shared.parts.store.keep(Arc::clone(&self.past)).await {
                Ok(Some(state)) => {
                    if let Fate::Ran { began, finish } = &self.past.fate {
                        books::waited(shared, self.past.job.run_at, *began);
                        attempt::report(shared, id, state, &finish.verdict);
                    }
                    return;
                }
                Ok(None) => return books::unkept(id),
                Err(StoreError::Full(passed)) => return self.attendance().refuse(passed),
                Err(error) => {
                    error!(job = %id, error = %Causes(&error), "the job {id} of a client could not be kept; trying again");
                }
            }
            if books::pause(self.attendance()).await.is_break() {
                return;
            }
        }
    }
}

/// Writes the books of jobs that are over. The store is asked for each before it has answered for one, so that it takes
/// them together; else none has to do with another.
pub(crate) async fn keep(shared: Arc<Shared>, all: Vec<Draft>) {
    let shared = &*shared;
    let kept = all.into_iter().map(|draft| {
        unless_it_panics(draft.job.id, async { Closed::of(draft).keep(shared).await })
    });
    join_all(kept).await;
}

/// What became of a job, by what was said about it. It came at `came`.
fn fate(attendance: &Attendance, notes: &mut UnboundedReceiver<Note>, came: Millis) -> Fate {
    let record = attendance.record();
    let mut began = None;
    while let Ok(note) = notes.try_recv() {
        match note {
            Note::Begin { at } => began = began.or(Some(at)),
            Note::End { outcome, at } => return ran(record, began, verdict(outcome), at),
            Note::Left { at } => return left(record, began, at),
            // With these it has more history, and its books are opened.
            Note::Loading(_) | Note::GaveWay => {}
        }
    }
    // Its end is said before it counts as over.
    left(record, began, began.unwrap_or(came))
}

/// A run that was over before its turn was told has begun all the same.
fn ran(record: &Record, began: Option<Millis>, verdict: Verdict, at: Millis) -> Fate {
    let finish = Box::new(attempt::ending(record, verdict, None, at));
    Fate::Ran { began: began.unwrap_or(at), finish }
}

fn left(record: &Record, began: Option<Millis>, at: Millis) -> Fate {
    let (code, reason) = books::departure(record);
    match began {
        Some(_) => {
            ran(record, began, Verdict::Cancel { failure: Failure::fatal(code, reason) }, at)
        }
        None => Fate::Withdrawn { reason: reason.to_owned(), at },
    }
}
