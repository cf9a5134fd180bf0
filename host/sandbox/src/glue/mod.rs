//! From the contract's types to the session's and back, one file per interface. No decisions here.

mod callback;
mod context;
mod enqueue;
mod http;
mod kv;
mod llm;
mod log;
mod progress;

use roughneck_capabilities::{Exhausted, HostError, Refusal};
use roughneck_jobs::failure::{Disposition, Failure};
use wasmtime::component::ResourceTableError;

use crate::{
    bindings::roughneck::plugin::types,
    guest::Guest,
    stop::{Awaits, Stop},
};

/// Why a call of a guest was not done: it is told, or it is stopped.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// The guest is told.
    Told(HostError),
    /// The guest traps.
    Trap(wasmtime::Error),
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Told(error) => Self::Told(error),
            Refusal::Stopped(exhausted) => exhausted.into(),
            Refusal::Awaits(children) => Self::Trap(Awaits(children).into()),
        }
    }
}

impl From<HostError> for NotDone {
    fn from(error: HostError) -> Self {
        Self::Told(error)
    }
}

impl From<Exhausted> for NotDone {
    fn from(exhausted: Exhausted) -> Self {
        Self::Trap(stop(exhausted))
    }
}

/// A handle that is not the guest's, or one too many: a mistake no well-behaved guest can make.
impl From<ResourceTableError> for NotDone {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

/// A failure of another job, in the contract's words.
fn failure(failure: Failure) -> types::Failure {
    types::Failure {
        disposition: match failure.disposition {
            Disposition::Retry => types::Disposition::Retry,
            Disposition::Fail => types::Disposition::Fail,
            Disposition::Cancel => types::Disposition::Cancel,
        },
        code: failure.code,
        message: failure.message,
        retry_after_ms: failure.retry_after_ms,
        detail: failure.detail,
    }
}

/// The trap of a guest that used up its calls.
fn stop(exhausted: Exhausted) -> wasmtime::Error {
    Stop::from(exhausted).into()
}

impl types::Host for Guest {
    fn convert_host_error(&mut self, error: NotDone) -> wasmtime::Result<types::HostError> {
        match error {
            NotDone::Told(HostError { code, message, retryable, retry_after_ms }) => {
                Ok(types::HostError { code, message, retryable, retry_after_ms })
            }
            NotDone::Trap(error) => Err(error),
        }
    }
}
