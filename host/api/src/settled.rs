//! Polling a task again where it stands, when it has woken itself.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// How often a future is polled in a row before others have their turn.
const ROUNDS: u32 = 4;

/// A future that wakes itself without need, as a connection of hyper does whenever its handler reads of a body: the two
/// tell each other through wakers that lead to the same task.
///
/// To tokio a task that is woken is work to share, for which it wakes a thread that sleeps; that costs more than the work. So what the
/// future is woken for while it is polled is done at once, and tokio hears only of what comes from outside.
pub(crate) struct Settled<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: Future> Settled<F> {
    pub(crate) fn new(future: F) -> Self {
        let bell = Arc::new(Bell { state: AtomicU8::new(QUIET), outside: AtomicWaker::new() });
        Self { future: Box::pin(future), waker: Waker::from(Arc::clone(&bell)), bell }
    }
}

impl<F: Future> Future for Settled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, bell, waker } = &mut *self;
        bell.outside.register(context.waker());
        for _ in 0..ROUNDS {
            // Reads as well as it writes: this poll must see what the rings before it were about.
            bell.state.swap(POLLED, Ordering::AcqRel);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(output);
            }
            if bell.state.swap(QUIET, Ordering::AcqRel) == POLLED {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Nobody polls: who rings must be heard outside.
const QUIET: u8 = 0;
/// The future is being polled.
const POLLED: u8 = 1;
/// It must be polled once more, or is about to be.
const RUNG: u8 = 2;

struct Bell {
    state: AtomicU8,
    outside: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A write also where it has been rung: whoever polls next must see what this ring is about, and a mere look at the
        // state would not be ordered before it on every processor.
        if self.state.swap(RUNG, Ordering::AcqRel) == QUIET {
            self.outside.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{Mutex, atomic::AtomicU32},
        thread::{self, Thread},
        time::{Duration, Instant},
    };

    use super::*;

    /// How long a wake may take.
    const LIMIT: Duration = Duration::from_secs(10);

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Counted {
        fn poll<F: Future>(self: &Arc<Self>, settled: &mut Settled<F>) -> Poll<F::Output> {
            let waker = Waker::from(Arc::clone(self));
            Pin::new(settled).poll(&mut Context::from_waker(&waker))
        }

        fn wakes(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// Wakes itself this often, and is ready then.
    fn restless(times: u32) -> impl Future<Output = u32> {
        let mut polls = 0;
        poll_fn(move |context| {
            polls += 1;
            if polls > times {
                return Poll::Ready(polls);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn what_wakes_itself_is_polled_again_and_nobody_else_is_woken() {
        let outside = Arc::new(Counted::default());
        let mut settled = Settled::new(restless(ROUNDS - 1));
        assert_eq!(outside.poll(&mut settled), Poll::Ready(ROUNDS));
        assert_eq!(outside.wakes(), 0);
    }

    #[test]
    fn what_never_rests_lets_others_have_their_turn_and_comes_back() {
        let outside = Arc::new(Counted::default());
        let mut settled = Settled::new(restless(ROUNDS));
        assert_eq!(outside.poll(&mut settled), Poll::Pending);
        assert_eq!(outside.wakes(), 1);
        assert_eq!(outside.poll(&mut settled), Poll::Ready(ROUNDS + 1));
    }

    #[test]
    fn what_comes_from_outside_is_heard_outside_by_whoever_polled_last() {
        let [first, last] = [(); 2].map(|()| Arc::new(Counted::default()));
        let kept = Arc::new(Mutex::new(None::<Waker>));
        let keeper = Arc::clone(&kept);
        let mut settled = Settled::new(poll_fn(move |context| {
            *keeper.lock().unwrap() = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        for outside in [&first, &last] {
            assert_eq!(outside.poll(&mut settled), Poll::Pending);
        }
        kept.lock().unwrap().take().unwrap().wake();
        assert_eq!((first.wakes(), last.wakes()), (0, 1));
    }

    #[test]
    fn no_wake_of_other_threads_is_lost() {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let rings = 10_000;
        // What each thread rings about, and what was heard of it. Only the rings put them in order.
        let said: [AtomicU32; 2] = Default::default();
        let heard: [AtomicU32; 2] = Default::default();
        let mut settled = Settled::new(poll_fn(|_| {
            for (said, heard) in said.iter().zip(&heard) {
                heard.store(said.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            let is_over = heard.iter().all(|heard| heard.load(Ordering::Relaxed) == rings);
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        }));
        let inside = &settled.waker.clone();
        thread::scope(|scope| {
            for (said, heard) in said.iter().zip(&heard) {
                scope.spawn(move || {
                    for ring in 1..=rings {
                        said.store(ring, Ordering::Relaxed);
                        inside.wake_by_ref();
                        // The next one comes just when the poll that heard this one ends.
                        while heard.load(Ordering::Relaxed) < ring {
                            thread::yield_now();
                        }
                    }
                });
            }
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let context = &mut Context::from_waker(&waker);
            while Pin::new(&mut settled).poll(context).is_pending() {
                let parked_at = Instant::now();
                thread::park_timeout(LIMIT);
                if parked_at.elapsed() >= LIMIT {
                    // Lets the other threads end.
                    heard.iter().for_each(|heard| heard.store(rings, Ordering::Relaxed));
                    panic!("a wake was lost");
                }
            }
        });
    }
}
