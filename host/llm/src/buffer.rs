//! Pieces between the wire and whoever fetches them: bounded, because a plugin may never do so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use roughneck_jobs::model::Piece;
use tokio::sync::{Notify, mpsc};

/// From here on the wire is not read. What one read brings may go past it.
const BYTES_MAX: usize = 1 << 20;

/// The end at the wire.
pub(crate) struct Writer {
    pieces: mpsc::UnboundedSender<Piece>,
    fill: Arc<Fill>,
}

/// The end at the plugin.
pub(crate) struct Reader {
    pieces: mpsc::UnboundedReceiver<Piece>,
    fill: Arc<Fill>,
}

/// The buffer is full and nobody takes anything.
#[derive(Debug)]
pub(crate) struct Unread;

#[derive(Default)]
struct Fill {
    bytes: AtomicUsize,
    taken: Notify,
}

pub(crate) fn buffer() -> (Writer, Reader) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let fill = Arc::new(Fill::default());
    (Writer { pieces: sender, fill: Arc::clone(&fill) }, Reader { pieces: receiver, fill })
}

impl Writer {
    /// Waits until there is room, as long as something is taken every `patience`.
    pub(crate) async fn room(&self, patience: Duration) -> Result<(), Unread> {
        while self.fill.bytes.load(Ordering::SeqCst) >= BYTES_MAX {
            let taken = self.fill.taken.notified();
            tokio::time::timeout(patience, taken).await.map_err(|_elapsed| Unread)?;
        }
        Ok(())
    }

    /// Puts a piece in, without waiting.
    pub(crate) fn put(&self, piece: Piece) {
        self.fill.bytes.fetch_add(bytes(&piece), Ordering::SeqCst);
        // Without a reader nobody misses it: the one who writes is about to be stopped.
        let _left = self.pieces.send(piece);
    }
}

impl Reader {
    /// The next piece, or none once the writer is gone and all is taken.
    pub(crate) async fn take(&mut self) -> Option<Piece> {
        let piece = self.pieces.recv().await?;
        self.fill.bytes.fetch_sub(bytes(&piece), Ordering::SeqCst);
        self.fill.taken.notify_one();
        Some(piece)
    }
}

/// What a piece weighs; without its frame many tiny ones would weigh next to nothing.
fn bytes(piece: &Piece) -> usize {
    let (Piece::Text(text) | Piece::Thinking(text)) = piece;
    size_of::<Piece>() + text.len()
}
