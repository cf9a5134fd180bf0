//! Whether the store can write: the last transaction says so.
//!
//! A transaction that fails leaves nothing behind that could be seen later, so it is remembered until another one
//! has written something. Who asks whether the host takes work hears of it, and the log hears of it once: it is
//! usually on the disk that is full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roughneck_jobs::ports::store::StoreError;

use crate::command;

/// What the transactions of late tell.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<Failing>>);

/// Transactions that failed.
#[derive(Debug)]
pub(crate) struct Failing {
    /// What the last one met.
    error: Arc<sqlx::Error>,
    transactions: u64,
    commands: u64,
    /// Something was written since.
    is_over: bool,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let transactions = counted(self.transactions, "transaction");
        write!(f, "{transactions} of {} failed", counted(self.commands, "command"))
    }
}

impl Health {
    /// A transaction of so many commands failed. Returns what is to be told, which is the first of several only.
    pub(crate) fn failed(&self, commands: usize, error: &Arc<sqlx::Error>) -> Option<String> {
        let mut state = self.state();
        let is_first = state.is_none();
        let failing = state.get_or_insert_with(|| Failing {
            error: Arc::clone(error),
            transactions: 0,
            commands: 0,
            is_over: false,
        });
        failing.error = Arc::clone(error);
        failing.transactions = failing.transactions.saturating_add(1);
        failing.commands = failing.commands.saturating_add(u64::try_from(commands).unwrap_or(0));
        failing.is_over = false;
        is_first.then(|| failing.to_string())
    }

    /// Something was written.
    pub(crate) fn wrote(&self) {
        if let Some(failing) = &mut *self.state() {
            failing.is_over = true;
        }
    }

    /// What has failed until something was written, once. Asked now and then only: a disk with room for little
    /// takes some and refuses others, and the log would have two lines for each of them.
    pub(crate) fn recovered(&self) -> Option<Failing> {
        self.state().take_if(|failing| failing.is_over)
    }

    /// Why nothing can be written, if nothing can.
    pub(crate) fn failing(&self) -> Option<StoreError> {
        let state = self.state();
        let failing = state.as_ref().filter(|failing| !failing.is_over)?;
        Some(command::broken("write", &failing.error))
    }

    /// A poisoned lock holds plain data that is still whole.
    fn state(&self) -> MutexGuard<'_, Option<Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::*;

    fn error(kind: ErrorKind) -> Arc<sqlx::Error> {
        Arc::new(sqlx::Error::Io(io::Error::from(kind)))
    }

    #[test]
    fn the_first_failure_is_told_and_all_of_them_once_something_was_written() {
        let health = Health::default();
        let full = error(ErrorKind::StorageFull);
        assert_eq!(health.failed(1, &full).as_deref(), Some("1 transaction of 1 command failed"));
        assert_eq!(health.failed(3, &full), None);
        assert!(health.recovered().is_none());
        health.wrote();
        let recovered = health.recovered().map(|failing| failing.to_string());
        assert_eq!(recovered.as_deref(), Some("2 transactions of 4 commands failed"));
        assert!(health.recovered().is_none());
        assert!(health.failed(1, &full).is_some());
    }

    #[test]
    fn a_disk_that_takes_some_and_refuses_others_is_told_once() {
        let health = Health::default();
        let full = error(ErrorKind::StorageFull);
        assert!(health.failed(1, &full).is_some());
        for _ in 0..3 {
            health.wrote();
            assert!(health.failing().is_none());
            assert_eq!(health.failed(1, &full), None);
            assert!(health.failing().is_some());
        }
    }

    #[test]
    fn it_says_what_the_last_transaction_met() {
        let health = Health::default();
        assert!(health.failing().is_none());
        health.failed(1, &error(ErrorKind::Other));
        assert!(matches!(health.failing(), Some(StoreError::Broken { .. })));
        health.failed(1, &error(ErrorKind::StorageFull));
        assert!(matches!(health.failing(), Some(StoreError::DiskFull { .. })));
        health.wrote();
        assert!(health.failing().is_none());
    }
}
