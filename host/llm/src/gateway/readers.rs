//! Clients that read answers as these come. Whoever reads nothing for long loses the answer: it has the lane.

use std::{
    future::poll_fn,
    io, mem,
    sync::{
        Arc, Mutex as Lock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use tokio::sync::Mutex;

use super::flow::Flow;

/// Those who read at present.
#[derive(Default)]
pub(crate) struct Readers(Lock<Vec<Weak<Held>>>);

/// An answer in the hands of its client.
struct Held {
    answer: Mutex<Answer>,
    reads: AtomicU64,
    /// How many reads there were when somebody looked.
    seen: AtomicU64,
}

enum Answer {
    Comes(Box<Flow>),
    /// It was taken away, and this is still to be said.
    Taken(Option<Bytes>),
}

impl Readers {
    /// The answer, for a client that reads it.
    pub(crate) fn stream(&self, flow: Flow) -> BoxStream<'static, io::Result<Bytes>> {
        let (reads, seen) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let answer = Mutex::new(Answer::Comes(Box::new(flow)));
        let held = Arc::new(Held { answer, reads, seen });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&held));
        drop(all);
        Box::pin(stream::unfold(held, |held| async move {
            if held.reads.fetch_add(1, Ordering::Relaxed) == 1 {
                leave().await;
            }
            let next = match &mut *held.answer.lock().await {
                Answer::Comes(flow) => flow.next().await,
                Answer::Taken(last) => last.take(),
            };
            Some((Ok(next?), held))
        }))
    }

    /// Takes the answers away that nobody reads for `patience`, or somewhat longer. One watch is for all: a task for
    /// each answer would wake a thread for it.
    pub(crate) async fn watch(&self, patience: Duration) {
        loop {
            tokio::time::sleep(patience).await;
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            all.iter().filter_map(Weak::upgrade).for_each(|held| held.look());
        }
    }
}

/// Has the server write what it was given. Otherwise the first piece of an answer would stay with it until all is read that
/// came behind it.
async fn leave() {
    let mut is_asked = false;
    poll_fn(|context| {
        if mem::replace(&mut is_asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Held {
    /// Takes the answer away, if nothing was read since the last look.
    fn look(&self) {
        let reads = self.reads.load(Ordering::Relaxed);
        // While it is locked it waits for Ollama, which has a limit of its own.
        if self.seen.swap(reads, Ordering::Relaxed) == reads
            && let Ok(mut answer) = self.answer.try_lock()
            && let Answer::Comes(flow) = &mut *answer
        {
            *answer = Answer::Taken(flow.unread());
        }
    }
}
