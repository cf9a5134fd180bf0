//! Pieces between the wire and whoever fetches them: bounded, because a plugin may never do so.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use roughneck_jobs::model::{Delivery, Piece};
use tokio::sync::Notify;

/// From here on the wire is not read. What one read brings may go past it.
const BYTES_MAX: usize = 1 << 20;

/// The end at the wire.
pub(crate) struct Writer(Arc<Shared>);

/// The end at the plugin.
pub(crate) struct Reader(Arc<Shared>);

/// What the reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Piece(Piece),
    /// What was taken so far is void: the answer is begun anew.
    Anew,
}

/// The buffer is full and nobody takes anything.
#[derive(Debug)]
pub(crate) struct Unread;

/// What was taken cannot be called back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept;

struct Shared {
    delivery: Delivery,
    fill: Mutex<Fill>,
    put: Notify,
    taken: Notify,
}

#[derive(Default)]
struct Fill {
    waiting: VecDeque<Taken>,
    bytes: usize,
    /// Whether a piece of this answer was taken.
    is_begun: bool,
    /// The writer is gone.
    is_over: bool,
}

pub(crate) fn buffer(delivery: Delivery) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        delivery,
        fill: Mutex::default(),
        put: Notify::new(),
        taken: Notify::new(),
    });
    (Writer(Arc::clone(&shared)), Reader(shared))
}

impl Writer {
    /// Waits until there is room, as long as something is taken every `patience`.
    pub(crate) async fn room(&self, patience: Duration) -> Result<(), Unread> {
        while self.0.fill().bytes >= BYTES_MAX {
            let taken = self.0.taken.notified();
            tokio::time::timeout(patience, taken).await.map_err(|_elapsed| Unread)?;
        }
        Ok(())
    }

    /// Puts a piece in, without waiting. If the reader has left, the one who writes is about to be stopped.
    pub(crate) fn put(&self, piece: Piece) {
        let mut fill = self.0.fill();
        fill.bytes = fill.bytes.saturating_add(bytes(&piece));
        fill.waiting.push_back(Taken::Piece(piece));
        drop(fill);
        self.0.put.notify_one();
    }

    /// Takes the answer back, to begin it anew.
    ///
    /// # Errors
    /// [`Kept`], if the plugin has seen some of it. The answer stands then.
    pub(crate) fn retract(&self) -> Result<(), Kept> {
        let mut fill = self.0.fill();
        match (self.0.delivery, fill.is_begun) {
            (Delivery::Pieces, true) => return Err(Kept),
            // It was shown to those who watch the job.
            (Delivery::Whole, true) => fill.waiting = VecDeque::from([Taken::Anew]),
            (Delivery::Whole | Delivery::Pieces, false) => {
                fill.waiting.retain(|item| *item == Taken::Anew);
            }
        }
        fill.bytes = 0;
        fill.is_begun = false;
        drop(fill);
        self.0.put.notify_one();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.fill().is_over = true;
        self.0.put.notify_one();
    }
}

impl Reader {
    /// What comes next, or none once the writer is gone and all is taken.
    pub(crate) async fn take(&mut self) -> Option<Taken> {
        loop {
            // One that is rung between the look and the wait is kept.
            let put = self.0.put.notified();
            {
                let mut fill = self.0.fill();
                if let Some(item) = fill.take() {
                    drop(fill);
                    self.0.taken.notify_one();
                    return Some(item);
                }
                if fill.is_over {
                    return None;
                }
            }
            put.await;
        }
    }
}

impl Shared {
    fn fill(&self) -> MutexGuard<'_, Fill> {
        self.fill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fill {
    fn take(&mut self) -> Option<Taken> {
        let item = self.waiting.pop_front()?;
        if let Taken::Piece(piece) = &item {
            self.bytes = self.bytes.saturating_sub(bytes(piece));
            self.is_begun = true;
        }
        Some(item)
    }
}

/// What a piece weighs; without its frame many tiny ones would weigh next to nothing.
fn bytes(piece: &Piece) -> usize {
    let (Piece::Text(text) | Piece::Thinking(text)) = piece;
    size_of::<Piece>() + text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn taken(text: &str) -> Option<Taken> {
        Some(Taken::Piece(piece(text)))
    }

    #[tokio::test]
    async fn what_a_plugin_has_seen_cannot_be_called_back() {
        let (writer, mut reader) = buffer(Delivery::Pieces);
        writer.put(piece("a"));
        assert_eq!(writer.retract(), Ok(()), "nobody has seen it");
        writer.put(piece("b"));
        assert_eq!(reader.take().await, taken("b"));
        writer.put(piece("c"));
        assert_eq!(writer.retract(), Err(Kept));
        drop(writer);
        assert_eq!((reader.take().await, reader.take().await), (taken("c"), None));
    }

    #[tokio::test]
    async fn what_is_only_shown_is_called_back_with_a_word() {
        let (writer, mut reader) = buffer(Delivery::Whole);
        writer.put(piece("a"));
        writer.put(piece("b"));
        assert_eq!(reader.take().await, taken("a"));
        assert_eq!(writer.retract(), Ok(()));
        assert_eq!(writer.retract(), Ok(()), "and again before anybody looks");
        writer.put(piece("c"));
        drop(writer);
        assert_eq!(reader.take().await, Some(Taken::Anew));
        assert_eq!((reader.take().await, reader.take().await), (taken("c"), None));
    }
}
