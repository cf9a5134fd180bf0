//! Those who wait before they may line up: for an Ollama that is away or ill, or until something is sure.

use std::sync::Arc;

use roughneck_jobs::priority::Priority;

use super::{Full, Line, Queue};
use crate::metrics::Waits;

/// A call that waits before it lines up. Dropping it leaves.
#[derive(Debug)]
pub(crate) struct Outside {
    queue: Queue,
    number: u64,
    _waits: Waits,
}

impl Queue {
    /// Takes a place outside, for one that cannot line up yet.
    ///
    /// # Errors
    /// [`Full`]: it would be if it were inside.
    pub(crate) fn wait_outside(&self, priority: Priority) -> Result<Outside, Full> {
        let mut line = self.lock();
        self.has_room(&line)?;
        let number = line.number();
        line.outside.insert(number);
        let _waits = self.0.metrics.waiting(priority);
        Ok(Outside { queue: self.clone(), number, _waits })
    }
}

impl Outside {
    /// Gives its room in this queue to whoever holds the lock. Whether it had one.
    pub(super) fn gives_up(&self, queue: &Queue, line: &mut Line) -> bool {
        Arc::ptr_eq(&self.queue.0, &queue.0) && line.outside.remove(&self.number)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.queue.lock().outside.remove(&self.number);
    }
}
