//! Children: jobs that a job submits while it runs, and that it may wait for.

mod cancel;
mod keep;
mod retry;
pub(crate) mod spoken;
mod submit;
mod wait;
