//! Cancelling, in each state.

use roughneck_jobs::{
    failure::Failure,
    job::NewJob,
    ports::{
        bell::Change,
        store::{Cancelled, StoreError, Verdict},
    },
    state::State,
};

use crate::given::{World, at, done, failure, io, job_id, new_job};

#[tokio::test]
async fn a_job_that_waits_is_cancelled_and_never_runs() {
    let world = World::new().await;
    let queued = world.submitted(new_job()).await;
    let scheduled = world.submitted(NewJob { run_at: at(5), ..new_job() }).await;
    for id in [queued, scheduled] {
        assert_eq!(world.cancel(id, at(1)).await.unwrap(), Cancelled::Waiting);
        let job = world.get_job(id).await;
        assert_eq!((job.state, job.finished_at), (State::Cancelled, Some(at(1))));
        assert!(job.reason.unwrap().contains("cancelled"));
    }
    assert_eq!(world.promote(at(9), 10).await.unwrap().jobs, 0);
    assert!(world.claim_at(5, at(9)).await.is_empty());
}

#[tokio::test]
async fn a_running_job_is_cancelled_with_its_run_and_its_slot_is_free() {
    for loading in [true, false] {
        let world = World::new().await;
        let run = world.running(new_job()).await;
        world.set_loading(run, loading, at(1)).await.unwrap();
        world.rung().await;
        assert_eq!(world.cancel(run.job, at(2)).await.unwrap(), Cancelled::Running(run));
        assert_eq!(world.rung().await, [Change::Job(run.job), Change::Class(io())]);
        assert_eq!(world.get_job(run.job).await.state, State::Cancelled);
        assert_eq!(world.outcomes(run.job).await, ["cancelled"]);
        for _ in 0..2 {
            world.submitted(new_job()).await;
        }
        assert_eq!(world.claim_at(5, at(3)).await.len(), 2);
    }
}

#[tokio::test]
async fn an_ended_job_stays_as_it_ended() {
    let world = World::new().await;
    let verdicts = [
        (done(), State::Done),
        (Verdict::Fail { failure: failure() }, State::Failed),
        (Verdict::Cancel { failure: Failure::fatal("moot", "moot") }, State::Cancelled),
    ];
    for (verdict, state) in verdicts {
        let run = world.running(new_job()).await;
        assert_eq!(world.end(run, verdict, at(1)).await, state);
        let before = world.everything(run.job).await;
        assert_eq!(world.cancel(run.job, at(2)).await.unwrap(), Cancelled::Ended(state));
        assert_eq!(world.everything(run.job).await, before);
    }
}

#[tokio::test]
async fn a_second_cancel_finds_the_job_cancelled() {
    let world = World::new().await;
    let id = world.submitted(new_job()).await;
    world.cancel(id, at(1)).await.unwrap();
    let again = world.cancel(id, at(2)).await.unwrap();
    assert_eq!(again, Cancelled::Ended(State::Cancelled));
}

#[tokio::test]
async fn an_unknown_job_cannot_be_cancelled() {
    let id = job_id();
    let error = World::new().await.cancel(id, at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchJob(unknown) if unknown == id));
}
