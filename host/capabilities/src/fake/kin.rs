//! Relatives that a test brings up.

use std::sync::Mutex;

use async_trait::async_trait;
use roughneck_jobs::{
    failure::Failure,
    flow::Dependency,
    id::JobId,
    ports::{
        runner::{NotSubmitted, Relatives, Wish},
        store::StoreError,
    },
    state::State,
};

/// Children that are queued until a test ends them, and needed jobs.
#[derive(Debug, Default)]
pub(crate) struct Kin {
    wishes: Mutex<Vec<Wish>>,
    children: Mutex<Vec<Dependency>>,
    needs: Mutex<Vec<Dependency>>,
    refusal: Mutex<Option<NotSubmitted>>,
}

impl Kin {
    /// What was submitted.
    pub(crate) fn wishes(&self) -> Vec<Wish> {
        self.wishes.lock().unwrap().clone()
    }

    /// The next submission is refused.
    pub(crate) fn refuse(&self, refusal: NotSubmitted) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }

    /// Ends a child with a result, or without one.
    pub(crate) fn end(&self, name: &str, end: Result<&str, Failure>) {
        let mut children = self.children.lock().unwrap();
        let child = children.iter_mut().find(|child| child.name == name).unwrap();
        *child = ended(child.job, name, end);
    }

    /// Loses the results of all children, as if they were too large to be read together.
    pub(crate) fn withhold(&self) {
        self.children.lock().unwrap().iter_mut().for_each(|child| child.output = None);
    }

    /// The job needs one more.
    pub(crate) fn need(&self, name: &str, end: Result<&str, Failure>) {
        let mut needs = self.needs.lock().unwrap();
        let id = job(needs.len());
        needs.push(ended(id, name, end));
    }

    /// What the engine reads for the assignment, without results.
    pub(crate) fn needs(&self) -> Vec<Dependency> {
        let bare = |need: &Dependency| Dependency { output: None, ..need.clone() };
        self.needs.lock().unwrap().iter().map(bare).collect()
    }
}

fn ended(job: JobId, name: &str, end: Result<&str, Failure>) -> Dependency {
    let (output, failure) = match end {
        Ok(output) => (Some(output.to_owned()), None),
        Err(failure) => (None, Some(failure)),
    };
    Dependency {
        name: name.to_owned(),
        job,
        state: if output.is_some() { State::Done } else { State::Failed },
        output_bytes: output.as_ref().map_or(0, String::len),
        output,
        failure,
    }
}

fn job(n: usize) -> JobId {
    format!("01K9Z4T8N6Q0V5W3X2Y1R{n:05}").parse().unwrap()
}

#[async_trait]
impl Relatives for Kin {
    async fn submit(&self, wish: Wish) -> Result<JobId, NotSubmitted> {
        if let Some(refusal) = self.refusal.lock().unwrap().take() {
            return Err(refusal);
        }
        let mut children = self.children.lock().unwrap();
        if let Some(known) = children.iter().find(|child| child.name == wish.name) {
            return Ok(known.job);
        }
        let child = Dependency {
            state: State::Queued,
            ..ended(job(children.len()), &wish.name, Ok("null"))
        };
        let id = child.job;
        children.push(child);
        self.wishes.lock().unwrap().push(wish);
        Ok(id)
    }

    async fn children(&self, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        let children = self.children.lock().unwrap();
        // In no order that a caller could rely on.
        Ok(children.iter().rev().filter(|child| ids.contains(&child.job)).cloned().collect())
    }

    async fn needed(&self, name: &str) -> Result<Option<Dependency>, StoreError> {
        let needs = self.needs.lock().unwrap();
        Ok(needs.iter().find(|need| need.name == name).cloned())
    }
}
