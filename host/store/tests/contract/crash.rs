//! What survives the end of a process.

use roughneck_jobs::{job::NewJob, ports::outbox::Busy, run::LOSSES_MAX, state::State};
use tokio::runtime::Builder;

use crate::{
    database,
    given::{World, at, done, job_with_callback, new_job},
};

/// Runs a story in a runtime of its own that stops where the story does, as a crash: on its one
/// thread no other task takes another step, so the store is not closed.
pub(crate) fn crashing<T>(story: impl AsyncFnOnce() -> T) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(story())
}

#[test]
fn after_a_crash_every_run_is_lost_at_once_and_runs_again() {
    let database = database::new();
    let (waiting, runs) = crashing(async || {
        let world = World::of(&*database).await;
        let runs = [world.running(new_job()).await, world.running(new_job()).await];
        world.set_loading(runs[1], true, at(1)).await.unwrap();
        (world.submitted(new_job()).await, runs)
    });
    crashing(async || {
        let world = World::of(&*database).await;
        assert_eq!(world.recover(at(10)).await.unwrap(), 2);
        for run in runs {
            let job = world.get_job(run.job).await;
            assert_eq!((job.state, job.attempt, job.losses), (State::Queued, 0, 1));
            assert!(job.reason.unwrap().contains("host died"));
            assert_eq!(world.outcomes(run.job).await, ["lost"]);
        }
        assert_eq!(world.get_job(waiting).await.losses, 0);
        assert_eq!(world.recover(at(11)).await.unwrap(), 0);
        let claimed = world.claim_at(9, at(12)).await;
        let again: Vec<_> = claimed.iter().map(|claimed| claimed.run.token).collect();
        assert_eq!(again, [2, 2], "both slots are free, and the lost runs keep their place");
    });
}

#[test]
fn what_was_answered_is_there_after_a_crash() {
    let database = database::new();
    let id = crashing(async || {
        let world = World::of(&*database).await;
        let run = world.running(job_with_callback()).await;
        world.end(run, done(), at(1)).await;
        run.job
    });
    crashing(async || {
        let world = World::of(&*database).await;
        assert_eq!(world.get_job(id).await.state, State::Done);
        assert_eq!(world.due_deliveries(at(2), 10, &Busy::default()).await.unwrap().due.len(), 1);
    });
}

#[test]
fn a_job_that_kills_its_host_every_time_becomes_poison() {
    let database = database::new();
    let id = crashing(async || World::of(&*database).await.submitted(job_with_callback()).await);
    for crash in 1..=LOSSES_MAX {
        let database = &*database;
        crashing(async || {
            let world = World::of(database).await;
            world.recover(at(1)).await.unwrap();
            assert_eq!(world.claimed(at(2)).await.run.token, i64::from(crash));
        });
    }
    crashing(async || {
        let world = World::of(&*database).await;
        assert_eq!(world.recover(at(3)).await.unwrap(), 1);
        assert_eq!(world.get_job(id).await.state, State::Failed);
        assert_eq!(world.deliveries(id).await.unwrap().len(), 1);
    });
}

#[tokio::test]
async fn the_reaper_takes_the_longest_expired_first_in_bounded_steps() {
    let world = World::new().await;
    let early = world.running(NewJob { rank: at(1), ..new_job() }).await;
    let late = world.running(new_job()).await;
    world.renew(&[late], at(70_000)).await.unwrap();
    let swept = world.reap(at(80_000), 1).await.unwrap();
    assert_eq!((swept.runs, swept.next_at), (vec![early], Some(at(70_000))));
    assert_eq!(world.get_job(early.job).await.state, State::Queued);
    assert_eq!(world.get_job(late.job).await.state, State::Working);
    let swept = world.reap(at(80_000), 1).await.unwrap();
    assert_eq!((swept.runs, swept.next_at), (vec![late], None));
}

#[tokio::test]
async fn a_poisoned_job_does_not_keep_the_next_one_from_the_reaper() {
    let world = World::new().await;
    let poison = world.submitted(new_job()).await;
    for loss in 1..u64::from(LOSSES_MAX) {
        world.claimed(at(loss * 100_000)).await;
        world.reap(at(loss * 100_000 + 60_000), 10).await.unwrap();
    }
    world.claimed(at(900_000)).await;
    let other = world.running(new_job()).await;
    assert_eq!(world.reap(at(1_000_000), 10).await.unwrap().runs.len(), 2);
    assert_eq!(world.get_job(poison).await.state, State::Failed);
    assert_eq!(world.get_job(other.job).await.state, State::Queued);
}

#[test]
fn a_flow_goes_on_after_a_crash_where_it_was() {
    let database = database::new();
    let flow = crashing(async || {
        let world = World::of(&*database).await;
        let flow = world.plant(&["a", "b: a", "c: b"]).await;
        world.run(&flow, "a", done(), at(1)).await;
        world.claimed(at(2)).await;
        flow
    });
    crashing(async || {
        let world = World::of(&*database).await;
        assert_eq!(world.recover(at(10)).await.unwrap(), 1);
        assert_eq!(world.told(&flow).await, "a=done b=queued c=blocked");
        world.finish_all(at(11)).await;
        assert_eq!(world.told(&flow).await, "a=done b=done c=done");
    });
}
