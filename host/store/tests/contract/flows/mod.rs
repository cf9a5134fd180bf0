//! Flows: jobs that wait for each other.

mod cancel;
mod ends;
mod keep;
pub(crate) mod planted;
mod races;
mod read;
mod retry;
mod submit;
