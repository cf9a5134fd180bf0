//! Children: jobs that a job submits, and that it may wait for.
//!
//! ```
//! use roughneck_sdk::{Failure, children};
//!
//! fn titles(urls: &[String]) -> Result<Vec<String>, Failure> {
//!     let mut pages = Vec::new();
//!     for url in urls {
//!         pages.push(children::child("page", url, url)?.submit()?);
//!     }
//!     let ends = children::await_all::<String>(&pages)?;
//!     Ok(ends.into_iter().map(|end| end.unwrap_or_else(|failure| failure.message)).collect())
//! }
//! ```
//!
//! # Everything before `await_all` runs again
//!
//! While a child is not over, [`await_all`] does not return: the run ends there, without a failure and
//! without having cost an attempt, and gives its slot back. When all children are over, the job runs again
//! from its start, and then [`await_all`] returns at once. The same happens after a failed attempt or a
//! crash. So what stands before it must do the same again:
//!
//! - **A child is known by its name.** A name that the job has submitted before is the child that it has.
//!   Make names from the input, never from a count of attempts or something random, or every run begins
//!   children of its own.
//! - **Do what is paid for in a child, or after the last `await_all`.** A call to a model or an HTTP request
//!   before it is made once for every run. Notifications are sent by the run that ends the job only.
//! - **A child's failure is a value.** The child had its own attempts; what its failure means is yours to say.
//!   It stays as it is until somebody retries this job: then the children that have failed, or were
//!   cancelled, run again when they are submitted again, and those that are done keep their results.
//!
//! Cancelling the job cancels its children. If it ends otherwise before they do, they go on.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::roughneck::plugin::enqueue;
use crate::{Failure, HostError};

/// A child under construction.
#[derive(Debug)]
#[must_use = "a child does nothing until it is submitted"]
pub struct Child(enqueue::Spec);

/// Begins a child of `kind`, which this job knows as `name`.
///
/// # Errors
/// If `input` cannot be written as JSON.
pub fn child(kind: &str, name: &str, input: &impl Serialize) -> Result<Child, Failure> {
    let input = serde_json::to_vec(input).map_err(|error| {
        Failure::fail(
            "unwritable-input",
            format!("The input of the child `{name}` cannot be written as JSON: {error}."),
        )
    })?;
    Ok(Child(enqueue::Spec::new(kind, name, &input)))
}

impl Child {
    /// Sets the priority: `urgent`, `high`, `normal`, `low`, `bulk`, or a number from 100 down to 0.
    pub fn priority(self, name: &str) -> Self {
        self.0.priority(name);
        self
    }

    /// Lets it not run before this instant, in Unix milliseconds.
    pub fn run_at_ms(self, unix_ms: u64) -> Self {
        self.0.run_at_ms(unix_ms);
        self
    }

    /// Submits it, or finds the child of this name, and returns its id.
    ///
    /// # Errors
    /// If the kind is not granted, the jobs are too deep, or the host takes no new ones.
    pub fn submit(self) -> Result<String, HostError> {
        enqueue::submit(self.0)
    }
}

/// What became of these children, in the order of their ids. It returns only when all are over; see
/// [above](self).
///
/// # Errors
/// If one of them is no child of this job, or their results are too large together. A result of another shape
/// is the failure of that child, with code `child-result-unreadable`.
pub fn await_all<T: DeserializeOwned>(
    ids: &[String],
) -> Result<Vec<Result<T, Failure>>, HostError> {
    let read = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::fail(
                "child-result-unreadable",
                format!("The result of a child cannot be read: {error}."),
            )
        })
    };
    Ok(await_all_bytes(ids)?.into_iter().map(|end| end.and_then(read)).collect())
}

/// The same, with each result as the JSON that the child returned.
///
/// # Errors
/// As [`await_all`].
pub fn await_all_bytes(ids: &[String]) -> Result<Vec<Result<Vec<u8>, Failure>>, HostError> {
    enqueue::await_all(ids)
}
