//! Claims, slots, order and due times.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use roughneck_jobs::{
    class::{Class, Slots},
    clock::Millis,
    job::NewJob,
    ports::store::{Claim, Promoted},
    state::State,
};

use crate::given::{World, at, done, io, new_job, slots};

fn ranked(rank: u64) -> NewJob {
    NewJob { rank: at(rank), ..new_job() }
}

#[tokio::test]
async fn a_claim_takes_the_lowest_rank_first_and_equals_in_their_order() {
    let world = World::new().await;
    world.set_slots(&slots(10)).await.unwrap();
    let mut expected = Vec::new();
    for rank in [30, 10, 20, 10] {
        expected.push((rank, world.submitted(ranked(rank)).await));
    }
    expected.sort();
    let claimed: Vec<_> = world.claim_at(10, at(1)).await.into_iter().map(|c| c.job.id).collect();
    assert_eq!(claimed, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_claimed_job_is_working_with_its_first_attempt_and_token() {
    let world = World::new().await;
    let new = new_job();
    let id = world.submitted(new.clone()).await;
    world.rung().await;
    let claimed = world.claimed(at(7)).await;
    assert_eq!((claimed.run.job, claimed.run.token), (id, 1));
    assert_eq!((claimed.job.state, claimed.job.attempt), (State::Working, 1));
    assert_eq!(claimed.job.started_at, Some(at(7)));
    assert_eq!(claimed.job.input, new.input);
    assert_eq!(claimed.job, world.get_job(id).await);
    assert_eq!(world.states(id).await, [State::Queued, State::Working]);

    let attempts = world.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].run, attempts[0].attempt), (1, 1));
    assert_eq!((attempts[0].started_at, attempts[0].finished_at), (at(7), None));
}

#[tokio::test]
async fn claims_stop_at_the_slots_and_go_on_when_one_is_free() {
    let world = World::new().await;
    for _ in 0..5 {
        world.submitted(new_job()).await;
    }
    let claimed = world.claim_at(5, at(1)).await;
    assert_eq!(claimed.len(), 2);
    assert!(world.claim_at(5, at(1)).await.is_empty());
    world.end(claimed[0].run, done(), at(2)).await;
    assert_eq!(world.claim_at(5, at(3)).await.len(), 1);
}

#[tokio::test]
async fn a_claim_takes_only_its_class_and_never_more_than_its_limit() {
    let world = World::new().await;
    let class = Class("cpu".to_owned());
    let both = [slots(5), vec![Slots { class: class.clone(), count: 5 }]].concat();
    world.set_slots(&both).await.unwrap();
    for _ in 0..3 {
        world.submitted(new_job()).await;
    }
    let other = world.submitted(NewJob { class: class.clone(), ..new_job() }).await;
    assert_eq!(world.claim_at(2, at(1)).await.len(), 2);
    let claim = Claim { class, limit: 9, at: at(1), lease_until: at(60_000), prefer: None };
    let claimed = world.claim(claim).await.unwrap().claimed;
    assert_eq!(claimed.iter().map(|c| c.job.id).collect::<Vec<_>>(), [other]);
}

#[tokio::test]
async fn a_class_without_slots_runs_nothing() {
    let world = World::new().await;
    world.submitted(new_job()).await;
    world.set_slots(&[]).await.unwrap();
    assert!(world.claim_at(1, at(1)).await.is_empty());
}

#[tokio::test]
async fn a_class_that_shrinks_keeps_its_runs_and_hands_out_nothing_until_they_fit() {
    let world = World::new().await;
    world.set_slots(&slots(3)).await.unwrap();
    for _ in 0..5 {
        world.submitted(new_job()).await;
    }
    let claimed = world.claim_at(2, at(1)).await;
    world.set_slots(&slots(1)).await.unwrap();
    assert!(world.claim_at(5, at(2)).await.is_empty(), "two run where one may");
    world.end(claimed[0].run, done(), at(3)).await;
    assert!(world.claim_at(5, at(4)).await.is_empty(), "one runs where one may");
    world.end(claimed[1].run, done(), at(5)).await;
    assert_eq!(world.claim_at(5, at(6)).await.len(), 1);
    world.set_slots(&slots(3)).await.unwrap();
    assert_eq!(world.claim_at(5, at(7)).await.len(), 2);
}

#[tokio::test]
async fn a_scheduled_job_is_claimed_only_after_its_promotion() {
    let world = World::new().await;
    let early = NewJob { run_at: at(100), rank: Millis(0), ..new_job() };
    let id = world.submitted(early).await;
    assert!(world.claim_at(1, at(200)).await.is_empty());

    let swept = world.promote(at(99), 10).await.unwrap();
    assert_eq!(swept, Promoted { jobs: 0, next_at: Some(at(100)) });
    let swept = world.promote(at(100), 10).await.unwrap();
    assert_eq!(swept, Promoted { jobs: 1, next_at: None });
    assert_eq!(world.claimed(at(100)).await.job.id, id);
    assert_eq!(world.states(id).await, [State::Scheduled, State::Queued, State::Working]);
}

#[tokio::test]
async fn a_promotion_is_bounded_and_says_when_to_look_again() {
    let world = World::new().await;
    for due in [30, 10, 20] {
        world.submitted(NewJob { run_at: at(due), ..new_job() }).await;
    }
    let swept = world.promote(at(25), 1).await.unwrap();
    assert_eq!(swept, Promoted { jobs: 1, next_at: Some(at(20)) });
    let swept = world.promote(at(25), 9).await.unwrap();
    assert_eq!(swept, Promoted { jobs: 1, next_at: Some(at(30)) });
}

/// Sixteen claimers share the work; returns the most that ran at once.
async fn most_at_once(slot_count: u32) -> i64 {
    const JOBS: i64 = 60;
    let world = Arc::new(World::new().await);
    world.set_slots(&slots(slot_count)).await.unwrap();
    for _ in 0..JOBS {
        world.submitted(new_job()).await;
    }
    let (running, most, left) = (AtomicI64::new(0), AtomicI64::new(0), AtomicI64::new(JOBS));
    let counters = Arc::new((running, most, left));
    let claimers: Vec<_> = (0..16)
        .map(|_| {
            let (world, counters) = (world.clone(), counters.clone());
            tokio::spawn(async move {
                let (running, most, left) = &*counters;
                while left.load(Ordering::SeqCst) > 0 {
                    for claimed in world.claim_at(3, at(1)).await {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        world.end(claimed.run, done(), at(2)).await;
                        left.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for claimer in claimers {
        claimer.await.unwrap();
    }
    counters.1.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_claimers_of_a_class_with_one_slot_never_run_two_jobs_at_once() {
    assert_eq!(most_at_once(1).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_claimers_never_pass_the_slots_of_their_class() {
    assert!((1..=4).contains(&most_at_once(4).await));
}

#[tokio::test]
async fn counts_leave_ended_jobs_out() {
    let world = World::new().await;
    world.submitted(NewJob { run_at: at(9), ..new_job() }).await;
    let run = world.running(new_job()).await;
    world.submitted(new_job()).await;
    world.submitted(new_job()).await;
    let ended = world.claimed(at(1)).await.run;
    world.end(ended, done(), at(2)).await;
    world.set_loading(run, true, at(2)).await.unwrap();
    let counts = world.counts().await.unwrap();
    let counts: Vec<_> = counts.into_iter().map(|c| (c.class, c.state, c.jobs)).collect();
    let expected =
        [(io(), State::Loading, 1), (io(), State::Queued, 1), (io(), State::Scheduled, 1)];
    assert_eq!(counts, expected);
}
