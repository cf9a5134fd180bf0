//! What a call waits for, told beside its work: the store, which hears of it, must not keep the turn, nor the GPU idle.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use roughneck_jobs::ports::runner::Supervisor;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Where it is said what a call waits for. Never waits, unlike the store that hears of it.
pub(crate) type Says = mpsc::UnboundedSender<Said>;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Its model is being loaded.
    Loading,
    /// Nothing any more: Ollama gets it.
    Ready,
    /// Its turn, again.
    GaveWay,
}

/// Does work that says what it waits for, and passes that on beside it. Returns once all that was said
/// is passed on, so what holds the turn must not be what the work results in.
pub(crate) async fn beside<T, Work>(
    supervisor: Arc<dyn Supervisor>,
    work: impl FnOnce(Says) -> Work,
) -> T
where
    Work: Future<Output = T>,
{
    let (says, mut said) = mpsc::unbounded_channel();
    let is_over = AtomicBool::new(false);
    let works = async {
        let done = work(says.clone()).await;
        is_over.store(true, Ordering::Relaxed);
        done
    };
    let tells = async {
        // That the work is over is seen in the same poll. A channel that closes would wake this task from within itself.
        let next = |cx: &mut Context<'_>| match said.poll_recv(cx) {
            // Something may be there all the same: a task that has had its share of the thread is told to wait.
            Poll::Pending if is_over.load(Ordering::Relaxed) => Poll::Ready(said.try_recv().ok()),
            polled @ (Poll::Pending | Poll::Ready(_)) => polled,
        };
        pass_on(&*supervisor, next).await;
    };
    let (done, ()) = tokio::join!(biased; works, tells);
    done
}

/// Passes on what a call waits for whose work is under way already.
pub(crate) struct Teller {
    says: Says,
    task: AbortOnDropHandle<()>,
}

impl Teller {
    pub(crate) fn start(supervisor: &Arc<dyn Supervisor>) -> Self {
        let (says, mut said) = mpsc::unbounded_channel();
        let supervisor = Arc::clone(supervisor);
        let task =
            tokio::spawn(async move { pass_on(&*supervisor, |cx| said.poll_recv(cx)).await });
        Self { says, task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn says(&self) -> &Says {
        &self.says
    }

    /// Returns once all that was said is passed on.
    pub(crate) async fn finish(self) {
        drop(self.says);
        // It cannot have been stopped before.
        let _told = self.task.await;
    }
}

/// Passes on what is said, in its order, until nothing more can be said.
async fn pass_on(
    supervisor: &dyn Supervisor,
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Said>>,
) {
    while let Some(said) = poll_fn(&mut next).await {
        match said {
            Said::Loading => supervisor.loading(true).await,
            Said::Ready => supervisor.loading(false).await,
            Said::GaveWay => supervisor.gave_way().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use roughneck_jobs::{delivery::Notice, job::LogLine, ports::runner::Standing, usage::Usage};
    use tokio::task::coop;

    use super::*;

    #[derive(Default)]
    struct Witness(Mutex<Vec<bool>>);

    #[async_trait]
    impl Supervisor for Witness {
        fn standing(&self) -> Standing {
            Standing::Held
        }
        async fn confirmed(&self) -> Standing {
            self.standing()
        }
        fn began(&self) {}
        async fn loading(&self, loading: bool) {
            self.0.lock().unwrap().push(loading);
        }
        async fn gave_way(&self) {}
        fn text(&self, _piece: &str) {}
        fn retract(&self) {}
        fn progress(&self, _percent: Option<u8>, _note: String) {}
        fn log(&self, _line: LogLine) {}
        fn spent(&self, _usage: &Usage) {}
        fn notify(&self, _notice: Notice) {}
    }

    #[tokio::test]
    async fn what_is_said_last_is_heard_from_a_task_that_has_had_its_share_of_the_thread() {
        let witness = Arc::new(Witness::default());
        let works = |says: Says| async move {
            while coop::has_budget_remaining() {
                coop::consume_budget().await;
            }
            for said in [Said::Loading, Said::Ready] {
                says.send(said).unwrap();
            }
        };
        tokio::spawn(beside(Arc::clone(&witness) as _, works)).await.unwrap();
        assert_eq!(*witness.0.lock().unwrap(), [true, false]);
    }
}
