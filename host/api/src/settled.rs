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
            bell.state.store(POLLED, Ordering::Release);
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
/// It is, and must be polled once more.
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
        let rung = self.state.compare_exchange(POLLED, RUNG, Ordering::AcqRel, Ordering::Acquire);
        if rung == Err(QUIET) {
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
    fn no_wake_of_another_thread_is_lost() {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let rings = 10_000;
        let (rung, heard) = (AtomicU32::new(0), AtomicU32::new(0));
        let mut settled = Settled::new(poll_fn(|_| {
            let last = rung.load(Ordering::Acquire);
            heard.store(last, Ordering::Release);
            if last == rings { Poll::Ready(()) } else { Poll::Pending }
        }));
        let inside = settled.waker.clone();
        thread::scope(|scope| {
            scope.spawn(|| {
                for ring in 1..=rings {
                    rung.store(ring, Ordering::Release);
                    inside.wake_by_ref();
                    // The next one comes just when the poll that heard this one ends.
                    while heard.load(Ordering::Acquire) < ring {
                        std::hint::spin_loop();
                    }
                }
            });
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let context = &mut Context::from_waker(&waker);
            while Pin::new(&mut settled).poll(context).is_pending() {
                let parked_at = Instant::now();
                thread::park_timeout(LIMIT);
                if parked_at.elapsed() >= LIMIT {
                    // Lets the other thread end.
                    heard.store(rings, Ordering::Release);
                    panic!("a wake was lost");
                }
            }
        });
    }
}
