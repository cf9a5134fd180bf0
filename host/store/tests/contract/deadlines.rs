//! Jobs that are not over at their deadline: they fail in whatever state they are, once.

use roughneck_jobs::{
    flow::NewFlow,
    input_key::ConcurrencyKey,
    job::NewJob,
    ports::{
        bell::Change,
        store::{Claim, Overdue, Retried},
    },
    run::LEASE_MS,
    state::State,
};

use crate::{
    flows::planted::flow,
    given::{
        World, assert_fenced, at, done, ending, failure, io, job_with_callback, new_job, retry,
    },
};

fn due(deadline: u64) -> NewJob {
    NewJob { deadline: Some(at(deadline)), ..new_job() }
}

/// Fails what is overdue, all of it.
async fn overdue(world: &World, now: u64) -> Overdue {
    world.fail_overdue(at(now), 500).await.unwrap()
}

#[tokio::test]
async fn a_job_fails_at_its_deadline_and_not_before() {
    let world = World::new().await;
    let id = world.submitted(NewJob { deadline: Some(at(50)), ..job_with_callback() }).await;
    assert_eq!(world.get_job(id).await.deadline, Some(at(50)));
    let early = overdue(&world, 49).await;
    assert_eq!(early, Overdue { next_at: Some(at(50)), ..Overdue::default() });
    world.rung().await;
    let late = overdue(&world, 50).await;
    assert_eq!(late, Overdue { jobs: 1, ..Overdue::default() });
    let job = world.get_job(id).await;
    assert_eq!((job.state, job.finished_at, job.attempt), (State::Failed, Some(at(50)), 0));
    let failed = job.failure.unwrap();
    assert_eq!(failed.code, "deadline-passed");
    assert!(failed.message.ends_with("it waited for a slot"), "{failed:?}");
    assert_eq!(job.reason, Some(failed.message));
    assert_eq!(world.deliveries(id).await.unwrap()[0].event, "job.failed");
    assert!(world.rung().await.contains(&Change::Job(id)));
    assert_eq!(overdue(&world, 51).await, Overdue::default());
    assert_eq!(world.states(id).await, [State::Queued, State::Failed]);
}

#[tokio::test]
async fn a_claim_hands_out_none_that_is_overdue_and_says_how_many_it_found() {
    let world = World::new().await;
    for _ in 0..3 {
        world.submitted(due(50)).await;
    }
    let next = world.submitted(new_job()).await;
    let (class, limit, prefer) = (io(), 2, None);
    let claim = Claim { class, limit, at: at(50), lease_until: at(50).plus_ms(LEASE_MS), prefer };
    let claims = world.claim(claim).await.unwrap();
    let claimed: Vec<_> = claims.claimed.iter().map(|one| one.job.id).collect();
    assert_eq!((claimed, claims.missed), (vec![next], 3));
}

#[tokio::test]
async fn a_new_deadline_wakes_whoever_looks_after_it() {
    let world = World::new().await;
    world.rung().await;
    world.submitted(due(50)).await;
    assert!(world.rung().await.contains(&Change::Due));
    world.submitted(new_job()).await;
    assert!(!world.rung().await.contains(&Change::Due));
}

#[tokio::test]
async fn every_state_before_the_end_is_left() {
    let world = World::new().await;
    let concurrency = Some(ConcurrencyKey { key: "k".to_owned(), limit: 1 });
    let keyed = |rank| NewJob { concurrency: concurrency.clone(), rank: at(rank), ..due(50) };
    let loading = world.claimed_of(keyed(0)).await;
    world.set_loading(loading, true, at(1)).await.unwrap();
    let parked = world.submitted(keyed(1)).await;
    assert_eq!(world.claim_at(1, at(1)).await.len(), 0);
    assert_eq!(world.get_job(parked).await.state, State::Blocked);
    let working = world.claimed_of(due(50)).await;
    let queued = world.submitted(due(50)).await;
    let scheduled = world.submitted(NewJob { run_at: at(90), ..due(99) }).await;
    let late = overdue(&world, 99).await;
    assert_eq!((late.jobs, late.next_at), (5, None));
    let mut runs = late.runs;
    runs.sort_by_key(|run| run.job);
    assert_eq!(runs, [loading, working]);
    for id in [loading.job, parked, working.job, queued, scheduled] {
        let job = world.get_job(id).await;
        assert_eq!(
            (job.state, job.failure.unwrap().code.as_str()),
            (State::Failed, "deadline-passed")
        );
    }
}

#[tokio::test]
async fn a_run_that_is_overdue_loses_its_slot_and_its_fence_at_once() {
    let world = World::new().await;
    let run = world.claimed_of(due(50)).await;
    let attempt = &world.attempts(run.job).await.unwrap()[0];
    assert_eq!(attempt.outcome, None);
    overdue(&world, 50).await;
    assert_fenced(&world.finish(run, ending(done(), at(51))).await);
    assert_fenced(&world.set_loading(run, true, at(51)).await);
    assert_fenced(&world.release(run, at(51)).await);
    assert_eq!(world.renew(&[run], at(51).plus_ms(LEASE_MS)).await.unwrap(), [run]);
    let attempt = world.attempts(run.job).await.unwrap().remove(0);
    assert_eq!((attempt.outcome.as_deref(), attempt.finished_at), (Some("failed"), Some(at(50))));
    assert_eq!(attempt.failure.unwrap().code, "deadline-passed");
    for _ in 0..2 {
        world.submitted(new_job()).await;
    }
    assert_eq!(world.claim_at(9, at(52)).await.len(), 2, "both slots are free");
}

#[tokio::test]
async fn a_job_whose_deadline_has_passed_is_not_handed_out_and_its_slot_is_for_the_next_one() {
    let world = World::new().await;
    let late = world.submitted(NewJob { rank: at(0), ..due(50) }).await;
    let next = world.submitted(NewJob { rank: at(1), ..new_job() }).await;
    assert_eq!(world.claimed(at(50)).await.job.id, next);
    assert_eq!(world.get_job(late).await.failure.unwrap().code, "deadline-passed");
}

#[tokio::test]
async fn a_job_that_is_over_in_time_never_fails() {
    let world = World::new().await;
    let run = world.claimed_of(due(50)).await;
    world.end(run, done(), at(49)).await;
    assert_eq!(overdue(&world, 50).await, Overdue::default());
    assert_eq!(world.get_job(run.job).await.state, State::Done);
}

#[tokio::test]
async fn the_sentence_tells_how_the_last_attempt_had_failed() {
    let world = World::new().await;
    let run = world.claimed_of(due(50)).await;
    world.end(run, retry(100), at(1)).await;
    overdue(&world, 50).await;
    let message = world.get_job(run.job).await.failure.unwrap().message;
    let last = failure().message;
    assert!(message.ends_with(&format!("failed with `unavailable`: {last}")), "{message}");
}

#[tokio::test]
async fn a_retry_on_request_clears_the_deadline() {
    let world = World::new().await;
    let id = world.submitted(due(50)).await;
    overdue(&world, 60).await;
    assert_eq!(world.retry(id, at(70)).await.unwrap(), Retried::Queued);
    let job = world.get_job(id).await;
    assert_eq!((job.state, job.deadline), (State::Queued, None));
    assert_eq!(overdue(&world, 80).await, Overdue::default());
    let run = world.claimed(at(81)).await.run;
    assert_eq!(world.end(run, done(), at(82)).await, State::Done);
}

#[tokio::test]
async fn a_deadline_outlives_retries_losses_and_releases() {
    let world = World::new().await;
    let run = world.claimed_of(due(500)).await;
    world.end(run, retry(1), at(1)).await;
    world.promote(at(2), 9).await.unwrap();
    let run = world.claimed(at(3)).await.run;
    world.release(run, at(4)).await.unwrap();
    world.claimed(at(5)).await;
    world.recover(at(6)).await.unwrap();
    assert_eq!(world.get_job(run.job).await.deadline, Some(at(500)));
}

#[tokio::test]
async fn they_are_failed_in_bounded_batches_the_longest_overdue_first() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for deadline in [30, 10, 20] {
        ids.push(world.submitted(due(deadline)).await);
    }
    let first = world.fail_overdue(at(100), 2).await.unwrap();
    assert_eq!((first.jobs, first.next_at), (2, Some(at(30))));
    assert_eq!(world.get_job(ids[0]).await.state, State::Queued);
    assert_eq!(overdue(&world, 100).await.jobs, 1);
}

#[tokio::test]
async fn a_flow_whose_jobs_are_all_overdue_fails_each_of_them_once() {
    let world = World::wide().await;
    let planned = flow(&["a", "b: a", "c: b?"]);
    let jobs = planned.jobs.into_iter().map(|job| NewJob { deadline: Some(at(50)), ..job });
    let flow = world.plant_as(NewFlow { jobs: jobs.collect(), ..planned }).await;
    // The failure of `a` fails `b` in the same transaction, and the end of `b` releases `c`.
    overdue(&world, 50).await;
    assert_eq!(world.told(&flow).await, "a=failed b=failed c=failed");
    for name in ["a", "b", "c"] {
        let states = world.states(flow.job(name)).await;
        let ends = states.iter().filter(|state| state.is_terminal()).count();
        assert_eq!(ends, 1, "{name}: {states:?}");
    }
    assert_eq!(world.job_of(&flow, "b").await.failure.unwrap().code, "dependency-failed");
    assert_eq!(world.job_of(&flow, "c").await.failure.unwrap().code, "deadline-passed");
    assert_eq!(overdue(&world, 99).await, Overdue::default());
    assert!(world.counts().await.unwrap().iter().all(|count| count.class != io()));
}
