//! A thread of its own for the writer.
//!
//! The writer does nothing but wake the thread of the database and be woken by it. A thread that is parked costs less
//! to wake than a worker of a large runtime, which looks for other work before it sleeps and wakes others to
//! help it.

use std::{io, thread};

use tokio::{
    runtime::Builder,
    sync::oneshot,
    task::{self, JoinHandle},
};

/// Runs `work` on a thread of its own, for as long as the present runtime lives, as if it were a task of it: if the runtime
/// is dropped, `work` is too, wherever it stands. The task that is returned ends with it, or tells its panic.
///
/// # Errors
/// If the system has no thread to give.
pub(crate) fn spawn<Work>(name: &str, work: Work) -> io::Result<JoinHandle<()>>
where
    Work: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let (alive, left) = oneshot::channel::<()>();
    let (ending, ended) = oneshot::channel::<()>();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Dropped when the thread ends, also by a panic.
        let _ending = ending;
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = work => {}
                _ = left => {}
            }
        });
    })?;
    let bond = Bond { alive: Some(alive), thread: Some(thread) };
    Ok(task::spawn(async move {
        // Nothing is ever sent.
        let _ = ended.await;
        bond.join();
    }))
}

/// Ties a thread to a runtime.
struct Bond {
    alive: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Bond {
    /// Waits for the end of the thread, and goes on with its panic.
    fn join(mut self) {
        if let Some(Err(panic)) = self.thread.take().map(thread::JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported, and there is nobody left to tell.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn its_end_and_its_panic_are_told() {
        spawn("ends", async {}).unwrap().await.unwrap();
        let panicked = spawn("panics", async { panic!("as it should") }).unwrap().await;
        assert!(panicked.unwrap_err().is_panic());
    }

    #[test]
    fn it_does_not_outlive_the_runtime_that_started_it() {
        struct Dropped(Arc<AtomicBool>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let is_dropped = Arc::new(AtomicBool::new(false));
        let dropped = Dropped(Arc::clone(&is_dropped));
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let work = async move {
                let _dropped = dropped;
                std::future::pending::<()>().await;
            };
            drop(spawn("waits", work).unwrap());
        });
        assert!(!is_dropped.load(Ordering::Acquire));
        drop(runtime);
        assert!(is_dropped.load(Ordering::Acquire));
    }
}
