//! The history while it is written: everybody holds the same one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::history::{Answer, History, Moment, Request};

/// A history that grows.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<History>);

impl Log {
    pub(crate) fn ask(&self, request: Request) -> usize {
        self.history().ask(request)
    }

    pub(crate) fn answer(&self, number: usize, answer: Answer) {
        self.history().answer(number, answer);
    }

    pub(crate) fn note(&self, moment: Moment) {
        self.history().note(moment);
    }

    /// What happened so far.
    pub(crate) fn so_far(&self) -> History {
        self.history().clone()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
