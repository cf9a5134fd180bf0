//! How many clients may be connected, and which of them makes room for the next.
//!
//! A connection rests while it has no request: before its first one, and between two. That is all that may be closed for the sake
//! of somebody else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// How long a connection must have rested before it may be asked to leave. Whoever rests for less is about to send, and what is sent
/// while the connection closes is lost.
const REST_MIN: Duration = Duration::from_secs(1);

/// How long somebody waits for the place of one that was asked to leave.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// Stands for the beginning of a rest while there is a request.
const BUSY: u64 = u64::MAX;

/// All who have a place.
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    held: Mutex<Held>,
    began: Instant,
    ending: CancellationToken,
}

#[derive(Default)]
struct Held {
    next: u64,
    by_number: BTreeMap<u64, Arc<Seat>>,
}

struct Seat {
    /// Milliseconds after the beginning of it all, or [`BUSY`]. Each request writes it, and it belongs to one connection alone: the
    /// connections are looked through only when there is no room.
    rests_since_ms: AtomicU64,
    leave: CancellationToken,
}

/// What a connection holds while it is open.
pub(crate) struct Place {
    connections: Arc<Connections>,
    seat: Arc<Seat>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

/// A request that is being served. The connection rests when it is dropped.
pub(crate) struct Busy {
    connections: Arc<Connections>,
    seat: Arc<Seat>,
}

impl Connections {
    /// Places for `max` clients. All of them are asked to leave once it is `ending`.
    pub(crate) fn new(max: usize, ending: CancellationToken) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { places, held: Mutex::default(), began: Instant::now(), ending })
    }

    /// A place, if one is free.
    pub(crate) fn place(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.taken(permit))
    }

    /// A place that may have to be made free first, by the connection that has rested longest. None if all have requests.
    pub(crate) async fn make_room(self: &Arc<Self>) -> Option<Place> {
        if let Some(place) = self.place() {
            return Some(place);
        }
        let asked = longest_rest(self.held().by_number.values(), self.now_ms())?.leave.clone();
        asked.cancel();
        let freed = Arc::clone(&self.places).acquire_owned();
        // It stays if its next request came at this very moment.
        let permit = tokio::time::timeout(LEAVE_MAX, freed).await.ok()?.ok()?;
        Some(self.taken(permit))
    }

    fn taken(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let rests_since_ms = AtomicU64::new(self.now_ms());
        let seat = Arc::new(Seat { rests_since_ms, leave: self.ending.child_token() });
        let mut held = self.held();
        let number = held.next;
        held.next += 1;
        held.by_number.insert(number, Arc::clone(&seat));
        Place { connections: Arc::clone(self), seat, number, _permit: permit }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(BUSY - 1)
    }
}

/// Who has rested longest of those that may be asked to leave.
fn longest_rest<'a>(seats: impl Iterator<Item = &'a Arc<Seat>>, now_ms: u64) -> Option<&'a Seat> {
    let rested = seats.filter_map(|seat| {
        let since_ms = seat.rests_since_ms.load(Ordering::Relaxed);
        let rest = Duration::from_millis(now_ms.checked_sub(since_ms)?);
        (rest >= REST_MIN && !seat.leave.is_cancelled()).then_some((since_ms, seat))
    });
    rested.min_by_key(|(since_ms, _)| *since_ms).map(|(_, seat)| &**seat)
}

impl Place {
    /// Begins a request.
    pub(crate) fn busy(&self) -> Busy {
        self.seat.rests_since_ms.store(BUSY, Ordering::Relaxed);
        Busy { connections: Arc::clone(&self.connections), seat: Arc::clone(&self.seat) }
    }

    /// Completes when the connection should end as soon as it rests.
    pub(crate) async fn asked_to_leave(&self) {
        self.seat.leave.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.held().by_number.remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.seat.rests_since_ms.store(self.connections.now_ms(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: usize) -> Arc<Connections> {
        Connections::new(max, CancellationToken::new())
    }

    fn is_asked(place: &Place) -> bool {
        place.seat.leave.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_rested_longest_makes_room_and_nobody_with_a_request() {
        let connections = connections(3);
        let [busy, first, second] = [(); 3].map(|()| connections.place().unwrap());
        assert!(connections.place().is_none());
        let _request = busy.busy();
        let request = first.busy();
        tokio::time::advance(REST_MIN).await;
        drop(request);
        tokio::time::advance(REST_MIN).await;
        let leaves = async {
            second.asked_to_leave().await;
            drop(second);
        };
        let (room, ()) = tokio::join!(connections.make_room(), leaves);
        assert!(room.is_some());
        assert!(!is_asked(&busy) && !is_asked(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_rests_for_a_moment_only_stays() {
        let connections = connections(1);
        let place = connections.place().unwrap();
        drop(place.busy());
        tokio::time::advance(REST_MIN - Duration::from_millis(1)).await;
        assert!(connections.make_room().await.is_none());
        assert!(!is_asked(&place));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_leave_is_asked_once_and_not_waited_for_for_long() {
        let connections = connections(1);
        let place = connections.place().unwrap();
        tokio::time::advance(REST_MIN).await;
        let began = Instant::now();
        assert!(connections.make_room().await.is_none());
        assert!(is_asked(&place) && began.elapsed() >= LEAVE_MAX);
        let began = Instant::now();
        assert!(connections.make_room().await.is_none());
        assert!(began.elapsed().is_zero());
        drop(place);
        assert!(connections.place().is_some());
    }
}
