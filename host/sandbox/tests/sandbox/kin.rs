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
    born: Mutex<Vec<(Wish, Dependency)>>,
    pub(crate) needs: Mutex<Vec<Dependency>>,
}

impl Kin {
    pub(crate) fn wishes(&self) -> Vec<Wish> {
        self.born.lock().unwrap().iter().map(|(wish, _)| wish.clone()).collect()
    }

    pub(crate) fn ids(&self) -> Vec<JobId> {
        self.born.lock().unwrap().iter().map(|(_, child)| child.job).collect()
    }

    /// Ends all children.
    pub(crate) fn end_all(&self, end: impl Fn(&Wish) -> Result<String, Failure>) {
        for (wish, child) in self.born.lock().unwrap().iter_mut() {
            *child = over(child.job, &wish.name, end(wish));
        }
    }
}

/// A job that is over.
pub(crate) fn over(job: JobId, name: &str, end: Result<String, Failure>) -> Dependency {
    let state = if end.is_ok() { State::Done } else { State::Failed };
    let failure = end.clone().err();
    let output = end.ok();
    let output_bytes = output.as_ref().map_or(0, String::len);
    Dependency { name: name.to_owned(), job, state, output, output_bytes, failure }
}

pub(crate) fn id(n: usize) -> JobId {
    format!("01K9Z4T8N6Q0V5W3X2Y1R{n:05}").parse().unwrap()
}

#[async_trait]
impl Relatives for Kin {
    async fn submit(&self, wish: Wish) -> Result<JobId, NotSubmitted> {
        let mut born = self.born.lock().unwrap();
        if let Some((_, known)) = born.iter().find(|(_, child)| child.name == wish.name) {
            return Ok(known.job);
        }
        let id = id(born.len());
        let child = over(id, &wish.name, Ok("null".to_owned()));
        born.push((wish, Dependency { state: State::Queued, output: None, ..child }));
        Ok(id)
    }

    async fn children(&self, ids: &[JobId]) -> Result<Vec<Dependency>, StoreError> {
        let born = self.born.lock().unwrap();
        let children = born.iter().map(|(_, child)| child.clone());
        Ok(children.filter(|child| ids.contains(&child.job)).collect())
    }

    async fn needed(&self, name: &str) -> Result<Option<Dependency>, StoreError> {
        Ok(self.needs.lock().unwrap().iter().find(|need| need.name == name).cloned())
    }
}
