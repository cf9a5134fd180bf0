//! What waits although there is room: pauses, rate limits, concurrency keys. And what is not accepted
//! twice: unique keys.

use std::sync::Arc;

use futures_util::future::join_all;
use roughneck_jobs::{
    clock::Millis,
    failure::Failure,
    guard::Runaway,
    id::JobId,
    input_key::{ConcurrencyKey, UniqueKey},
    job::NewJob,
    pause::{Pause, Scope},
    ports::store::{Claim, Claims, Submitted, Verdict},
    rate::Rate,
    run::LEASE_MS,
    state::State,
};

use crate::{
    flows::planted::flow,
    given::{World, at, done, io, new_job, retry, slots},
};

fn of_kind(kind: &str) -> NewJob {
    NewJob { kind: kind.to_owned(), ..new_job() }
}

fn keyed(key: &str, rank: u64) -> NewJob {
    let concurrency = Some(ConcurrencyKey { key: key.to_owned(), limit: 1 });
    NewJob { concurrency, rank: at(rank), ..new_job() }
}

fn unique(until: Option<Millis>) -> NewJob {
    NewJob { unique: Some(UniqueKey { key: "draft 7".to_owned(), until }), ..new_job() }
}

fn pause(scope: Scope, until: Option<Millis>) -> Pause {
    Pause { scope, since: at(0), until, reason: "for a test".to_owned() }
}

async fn claims(world: &World, limit: u32, now: Millis) -> Claims {
    let claim =
        Claim { class: io(), limit, at: now, lease_until: now.plus_ms(LEASE_MS), prefer: None };
    world.claim(claim).await.unwrap()
}

async fn ids(world: &World, limit: u32, now: Millis) -> Vec<JobId> {
    claims(world, limit, now).await.claimed.iter().map(|one| one.job.id).collect()
}

#[tokio::test]
async fn a_pause_that_was_over_holds_again_when_the_clock_is_set_back() {
    let world = World::new().await;
    let scope = Scope::Kind("test.a".to_owned());
    world.pause(pause(scope, Some(at(50)))).await.unwrap();
    assert_eq!(ids(&world, 1, at(60)).await, [], "it is over, and nothing waits");
    let waits = world.submitted(of_kind("test.a")).await;
    let got = claims(&world, 1, at(10)).await;
    assert_eq!((got.claimed.len(), got.next_at), (0, Some(at(50))));
    assert_eq!(ids(&world, 1, at(50)).await, [waits]);
}

#[tokio::test]
async fn a_paused_kind_is_passed_over_until_its_time_is_over_or_somebody_resumes_it() {
    let world = World::new().await;
    let (waits, goes) = (of_kind("test.a"), of_kind("test.b"));
    world.submitted(waits.clone()).await;
    world.submitted(goes.clone()).await;
    let scope = Scope::Kind("test.a".to_owned());
    world.pause(pause(scope.clone(), Some(at(50)))).await.unwrap();
    let got = claims(&world, 1, at(10)).await;
    assert_eq!((got.claimed[0].job.id, got.next_at), (goes.id, Some(at(50))));
    assert_eq!(ids(&world, 1, at(49)).await, []);
    assert_eq!(ids(&world, 1, at(50)).await, [waits.id]);
    world.end(got.claimed[0].run, done(), at(51)).await;

    let next = world.submitted(of_kind("test.a")).await;
    world.pause(pause(scope.clone(), None)).await.unwrap();
    let got = claims(&world, 1, at(10_000)).await;
    assert!(got.claimed.is_empty() && got.next_at.is_none());
    assert_eq!(world.pauses().await.unwrap(), [pause(scope.clone(), None)]);
    assert!(world.resume(scope.clone()).await.unwrap());
    assert!(!world.resume(scope).await.unwrap());
    assert_eq!(ids(&world, 1, at(10_001)).await, [next]);
    assert_eq!(world.pauses().await.unwrap(), []);
}

#[tokio::test]
async fn a_paused_class_hands_out_nothing_and_its_runs_go_on() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    let waiting = world.submitted(new_job()).await;
    let scope = Scope::Class("io".to_owned());
    world.pause(pause(scope.clone(), Some(at(90)))).await.unwrap();
    let got = claims(&world, 5, at(1)).await;
    assert_eq!((got.claimed.len(), got.next_at), (0, Some(at(90))));
    assert_eq!(world.end(run, done(), at(2)).await, State::Done);
    world.resume(scope).await.unwrap();
    assert_eq!(ids(&world, 5, at(3)).await, [waiting]);
}

#[tokio::test]
async fn a_pause_rings_for_every_class_when_it_ends() {
    let world = World::new().await;
    let scope = Scope::Kind("test.echo".to_owned());
    world.pause(pause(scope.clone(), None)).await.unwrap();
    world.rung().await;
    world.resume(scope).await.unwrap();
    let class = roughneck_jobs::ports::bell::Change::Class(io());
    assert!(world.rung().await.contains(&class));
}

#[tokio::test]
async fn a_rate_lets_so_many_begin_and_says_when_the_next_may() {
    let world = World::new().await;
    world.set_slots(&slots(10)).await.unwrap();
    let rate = Rate { count: 2, per_ms: 1_000 };
    world.set_rates(&[("test.a".to_owned(), rate)]).await.unwrap();
    for _ in 0..4 {
        world.submitted(of_kind("test.a")).await;
    }
    let free = world.submitted(of_kind("test.b")).await;
    let got = claims(&world, 10, at(0)).await;
    assert_eq!((got.claimed.len(), got.next_at), (3, Some(at(500))));
    assert!(got.claimed.iter().any(|one| one.job.id == free));
    assert_eq!(ids(&world, 10, at(499)).await.len(), 0);
    assert_eq!(ids(&world, 10, at(500)).await.len(), 1);
    // Set again, as after a restart, the bucket is as empty as it was; without a limit it is no more.
    world.set_rates(&[("test.a".to_owned(), rate)]).await.unwrap();
    assert_eq!(ids(&world, 10, at(501)).await.len(), 0);
    world.set_rates(&[]).await.unwrap();
    assert_eq!(ids(&world, 10, at(502)).await.len(), 1);
}

#[tokio::test]
async fn jobs_of_one_concurrency_key_run_one_after_the_other_in_the_order_of_their_rank() {
    let world = World::new().await;
    world.set_slots(&slots(10)).await.unwrap();
    let [first, third, second] = [1, 3, 2].map(|rank| keyed("k", rank));
    let other = keyed("other", 9);
    for job in [&first, &third, &second, &other] {
        world.submitted(job.clone()).await;
    }
    let got = claims(&world, 10, at(1)).await.claimed;
    assert_eq!(got.iter().map(|one| one.job.id).collect::<Vec<_>>(), [first.id, other.id]);
    let parked = world.get_job(second.id).await;
    assert_eq!(parked.state, State::Blocked);
    assert_eq!(parked.reason.unwrap(), "another job of its concurrency key runs");
    assert_eq!(ids(&world, 10, at(2)).await, []);
    world.end(got[0].run, done(), at(3)).await;
    let next = claims(&world, 10, at(4)).await.claimed;
    assert_eq!(next[0].job.id, second.id);
    // A retry makes room as well, and keeps its own rank.
    world.end(next[0].run, retry(1_000), at(5)).await;
    assert_eq!(ids(&world, 10, at(6)).await, [third.id]);
    world.promote(at(2_000), 10).await.unwrap();
    assert_eq!(ids(&world, 10, at(2_001)).await, []);
}

#[tokio::test]
async fn a_key_with_two_places_runs_two() {
    let world = World::new().await;
    world.set_slots(&slots(10)).await.unwrap();
    for _ in 0..5 {
        let concurrency = Some(ConcurrencyKey { key: "k".to_owned(), limit: 2 });
        world.submitted(NewJob { concurrency, ..new_job() }).await;
    }
    let mut left = 5;
    while left > 0 {
        let got = claims(&world, 10, at(1)).await.claimed;
        assert_eq!(got.len(), left.min(2));
        left -= got.len();
        // At the same time, so that the store may take both ends together.
        join_all(got.iter().map(|one| world.end(one.run, done(), at(2)))).await;
    }
}

#[tokio::test]
async fn jobs_of_one_key_that_end_together_make_room_for_as_many() {
    let world = World::wide().await;
    let concurrency = Some(ConcurrencyKey { key: "k".to_owned(), limit: 2 });
    let mut flow = flow(&["a", "b", "c"]);
    flow.jobs.iter_mut().for_each(|job| job.concurrency.clone_from(&concurrency));
    let flow = world.plant_as(flow).await;
    let mut waiting = Vec::new();
    for rank in 1..=3 {
        let concurrency = concurrency.clone();
        waiting.push(world.submitted(NewJob { concurrency, rank: at(rank), ..new_job() }).await);
    }
    assert_eq!(ids(&world, 10, at(1)).await, [flow.job("a"), flow.job("b")]);
    // All three end in one step; the one that was parked stood for no place.
    assert_eq!(world.cancel_flow(flow.id, at(2)).await.unwrap().jobs, 3);
    let state = async |id| world.get_job(id).await.state;
    assert_eq!(state(waiting[2]).await, State::Blocked, "it would only be parked again");
    assert_eq!(ids(&world, 10, at(3)).await, waiting[..2]);
}

#[tokio::test]
async fn every_way_out_of_a_run_gives_the_place_of_its_key_back() {
    let failed = || Verdict::Fail { failure: Failure::fatal("no", "no") };
    for way in 0..6 {
        let world = World::new().await;
        let first = keyed("k", 1);
        let run = world.running(first).await;
        let second = world.submitted(keyed("k", 2)).await;
        assert_eq!(ids(&world, 5, at(1)).await, [], "it is parked");
        match way {
            0 => drop(world.end(run, done(), at(2)).await),
            1 => drop(world.end(run, failed(), at(2)).await),
            2 => drop(world.cancel(run.job, at(2)).await.unwrap()),
            3 => drop(world.end(run, retry(9_000), at(2)).await),
            // These are queued again and stand for the key before the other.
            4 => world.release(run, at(2)).await.unwrap(),
            _ => drop(world.recover(at(2)).await.unwrap()),
        }
        let expected = if way < 4 { second } else { run.job };
        assert_eq!(ids(&world, 5, at(3)).await, [expected], "way {way}");
    }
}

#[tokio::test]
async fn a_job_that_is_cancelled_while_it_stands_for_its_key_makes_room() {
    let world = World::new().await;
    let run = world.running(keyed("k", 1)).await;
    let [second, third] = [keyed("k", 2), keyed("k", 3)];
    world.submitted(second.clone()).await;
    world.submitted(third.clone()).await;
    assert_eq!(ids(&world, 5, at(1)).await, []);
    world.end(run, done(), at(2)).await;
    // The second is queued now, the third still parked.
    world.cancel(second.id, at(3)).await.unwrap();
    assert_eq!(ids(&world, 5, at(4)).await, [third.id]);
}

#[tokio::test]
async fn a_thousand_jobs_of_one_key_do_not_keep_another_from_running() {
    let world = World::new().await;
    let run = world.running(keyed("k", 0)).await;
    for _ in 0..1_000 {
        world.submitted(keyed("k", 1)).await;
    }
    let other = world.submitted(keyed("other", 2)).await;
    let mut claims_made = 0;
    while ids(&world, 1, at(1)).await != [other] {
        claims_made += 1;
        assert!(claims_made < 100, "each claim parks some of them");
    }
    assert_eq!(world.end(run, done(), at(2)).await, State::Done);
}

#[tokio::test]
async fn a_unique_job_is_the_job_that_stands_until_it_ends() {
    let world = World::new().await;
    let first = unique(None);
    assert_eq!(world.submit(first.clone()).await.unwrap(), Submitted::Created(first.id));
    assert_eq!(world.submit(unique(None)).await.unwrap(), Submitted::Existing(first.id));
    let run = world.claimed(at(1)).await.run;
    assert_eq!(world.submit(unique(None)).await.unwrap(), Submitted::Existing(first.id));
    world.end(run, retry(0), at(2)).await;
    assert_eq!(world.submit(unique(None)).await.unwrap(), Submitted::Existing(first.id));
    world.promote(at(3), 9).await.unwrap();
    let run = world.claimed(at(3)).await.run;
    world.end(run, done(), at(4)).await;
    let second = unique(None);
    assert_eq!(world.submit(second.clone()).await.unwrap(), Submitted::Created(second.id));
}

#[tokio::test]
async fn a_unique_key_of_a_while_or_for_ever_outlives_the_job() {
    let world = World::new().await;
    let while_it_lasts =
        |now: u64| NewJob { enqueued_at: at(now), run_at: at(now), ..unique(Some(at(100))) };
    let first = while_it_lasts(0);
    let run = world.running(first.clone()).await;
    world.end(run, done(), at(1)).await;
    assert_eq!(world.submit(while_it_lasts(99)).await.unwrap(), Submitted::Existing(first.id));
    let second = NewJob { unique: unique(Some(Millis(i64::MAX))).unique, ..while_it_lasts(100) };
    assert_eq!(world.submit(second.clone()).await.unwrap(), Submitted::Created(second.id));
    let run = world.claimed(at(101)).await.run;
    world.end(run, done(), at(102)).await;
    let later = NewJob { enqueued_at: at(1 << 40), run_at: at(1 << 40), ..unique(None) };
    assert_eq!(world.submit(later).await.unwrap(), Submitted::Existing(second.id));
}

#[tokio::test]
async fn sixteen_submissions_of_one_unique_key_make_one_job() {
    let world = Arc::new(World::new().await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.submit(unique(None)).await.unwrap() })
        })
        .collect();
    let mut created = 0;
    let mut ids = Vec::new();
    for task in tasks {
        let submitted = task.await.unwrap();
        created += u32::from(matches!(submitted, Submitted::Created(_)));
        ids.push(submitted.id());
    }
    ids.dedup();
    assert_eq!((created, ids.len()), (1, 1));
}

#[tokio::test]
async fn a_kind_that_is_submitted_too_fast_is_paused_for_a_while_and_nothing_is_lost() {
    let world = World::new().await;
    let per_minute = Runaway::default().per_minute;
    world.set_slots(&slots(1)).await.unwrap();
    let flood = join_all((0..=per_minute).map(|_| world.submit(of_kind("test.flood"))));
    assert!(flood.await.into_iter().all(|submitted| submitted.is_ok()));
    let other = world.submitted(of_kind("test.other")).await;
    let pause = world.pauses().await.unwrap().remove(0);
    assert_eq!(pause.scope, Scope::Kind("test.flood".to_owned()));
    assert_eq!(pause.until, Some(at(300_000)));
    assert!(pause.reason.contains("more than 10000 jobs"), "{}", pause.reason);
    assert_eq!(ids(&world, 1, at(1)).await, [other]);
    let counts = world.counts().await.unwrap();
    assert!(counts.iter().any(|count| count.jobs == u64::from(per_minute) + 1));
}
