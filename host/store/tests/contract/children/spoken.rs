//! Parents and children in a few words.

use roughneck_jobs::{
    child::{DEPTH_MAX, Family, NewChild, SubmittedChild},
    clock::Millis,
    id::JobId,
    ports::store::Verdict,
    run::Run,
    state::State,
};

use crate::given::{World, at, new_job};

/// A child of this name.
pub(crate) fn child(name: &str) -> NewChild {
    NewChild { name: name.to_owned(), job: new_job(), depth_max: DEPTH_MAX }
}

pub(crate) fn waiting_for(children: &[JobId]) -> Verdict {
    Verdict::Await { children: children.to_vec() }
}

impl World {
    /// A job that runs, in a world with slots for everybody.
    pub(crate) async fn parent() -> (Self, Run) {
        let world = Self::wide().await;
        let run = world.running(new_job()).await;
        (world, run)
    }

    /// The ids of children of these names, which the run submits.
    pub(crate) async fn bear<const N: usize>(&self, run: Run, names: [&str; N]) -> [JobId; N] {
        let mut ids = Vec::with_capacity(N);
        for name in names {
            ids.push(self.born(run, child(name)).await);
        }
        ids.try_into().unwrap()
    }

    /// The id of a child, new or not.
    pub(crate) async fn born(&self, run: Run, child: NewChild) -> JobId {
        match self.submit_child(run, child).await.unwrap() {
            SubmittedChild::Created(id)
            | SubmittedChild::Existing(id)
            | SubmittedChild::Retried(id) => id,
            refused @ (SubmittedChild::TooDeep(_) | SubmittedChild::Taken(_)) => {
                panic!("{refused:?}")
            }
        }
    }

    /// Claims one job, which must be there, and gives back what was claimed besides.
    pub(crate) async fn run_of(&self, id: JobId, now: Millis) -> Run {
        let mut runs = self.claim_all(now).await;
        let run = runs.remove(&id).unwrap_or_else(|| panic!("{id} does not run"));
        for other in runs.into_values() {
            self.release(other, now).await.unwrap();
        }
        run
    }

    /// Runs one job to this end.
    pub(crate) async fn run_to(&self, id: JobId, verdict: Verdict, now: Millis) {
        let run = self.run_of(id, now).await;
        self.end(run, verdict, now).await;
    }

    pub(crate) async fn state(&self, id: JobId) -> State {
        self.get_job(id).await.state
    }

    pub(crate) async fn get_family(&self, id: JobId) -> Family {
        self.family(id, 100).await.unwrap().unwrap()
    }

    /// A child with a child, as deep as `names` are many; each runs. The first run is that of the parent.
    pub(crate) async fn line(&self, first: Run, names: &[&str]) -> Vec<Run> {
        let mut runs = vec![first];
        for name in names {
            let above = *runs.last().unwrap();
            let id = self.born(above, child(name)).await;
            let claimed = self.claimed(at(1)).await;
            assert_eq!(claimed.job.id, id);
            runs.push(claimed.run);
        }
        runs
    }
}
