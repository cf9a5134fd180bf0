//! Dead letters: run again, listed, deleted.

use roughneck_jobs::{
    delivery::DeliveryOutcome,
    failure::Failure,
    id::JobId,
    job::{DeadLetters, Filter, NewJob},
    ports::{
        bell::Change,
        store::{Cleared, Retried, StoreError, Verdict},
    },
    run::{LOSSES_MAX, Run},
    state::State,
};

use crate::given::{
    Everything, World, at, done, failure, io, job_id, job_with_callback, new_job, retry,
};

async fn failed_as(world: &World, job: NewJob, code: &str) -> Run {
    let run = world.running(job).await;
    let verdict = Verdict::Fail { failure: Failure::fatal(code, "it broke") };
    assert_eq!(world.end(run, verdict, at(3)).await, State::Failed);
    run
}

/// Three dead letters, the oldest first: two kinds, two codes.
async fn three(world: &World) -> [JobId; 3] {
    let other = || NewJob { kind: "test.other".to_owned(), ..new_job() };
    [
        failed_as(world, new_job(), "timeout").await.job,
        failed_as(world, other(), "timeout").await.job,
        failed_as(world, other(), "moot").await.job,
    ]
}

fn which(kind: Option<&str>, code: Option<&str>) -> DeadLetters {
    let (kind, code) = (kind.map(str::to_owned), code.map(str::to_owned));
    DeadLetters { kind, code, failed_before: None }
}

async fn page(world: &World, filter: Filter) -> Vec<JobId> {
    world.jobs(filter).await.unwrap().into_iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn a_failed_job_is_queued_again_with_all_its_attempts() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.end(run, retry(0), at(1)).await;
    world.promote(at(1), 10).await.unwrap();
    let run = world.claimed(at(2)).await.run;
    world.end(run, Verdict::Fail { failure: failure() }, at(3)).await;
    world.rung().await;

    assert_eq!(world.retry(run.job, at(50)).await.unwrap(), Retried::Queued);
    assert_eq!(world.rung().await, [Change::Job(run.job), Change::Class(io())]);
    let job = world.get_job(run.job).await;
    assert_eq!((job.state, job.attempt, job.losses), (State::Queued, 0, 0));
    assert_eq!((job.run_at, job.finished_at), (at(50), None));
    assert_eq!(job.reason.as_deref(), Some("retried on request"));
    assert_eq!(job.failure, Some(failure()), "until it is done");
    let last = world.events(run.job, 0).await.unwrap().pop().unwrap();
    assert_eq!((last.state, last.attempt, last.at), (State::Queued, 0, at(50)));

    let again = world.claimed(at(51)).await;
    assert_eq!((again.job.attempt, again.run.token), (1, run.token + 1), "the token only grows");
    assert_eq!(world.end(again.run, done(), at(52)).await, State::Done);
    assert_eq!(world.outcomes(run.job).await, ["failed", "failed", "done"]);
    assert_eq!(world.get_job(run.job).await.failure, None);
}

#[tokio::test]
async fn a_cancelled_job_can_be_retried_whether_it_ever_ran_or_not() {
    let world = World::new().await;
    let waiting = world.submitted(new_job()).await;
    world.cancel(waiting, at(1)).await.unwrap();
    let ran = world.running(new_job()).await;
    world.cancel(ran.job, at(1)).await.unwrap();
    for id in [waiting, ran.job] {
        assert_eq!(world.retry(id, at(2)).await.unwrap(), Retried::Queued);
    }
    assert_eq!(world.claim_at(5, at(3)).await.len(), 2);
}

#[tokio::test]
async fn a_retried_job_keeps_its_place_before_later_ones() {
    let world = World::new().await;
    let first = NewJob { rank: at(0), ..new_job() };
    let run = failed_as(&world, first, "timeout").await;
    world.submitted(NewJob { rank: at(1), ..new_job() }).await;
    world.retry(run.job, at(9)).await.unwrap();
    assert_eq!(world.claimed(at(9)).await.job.id, run.job);
}

#[tokio::test]
async fn a_poison_job_that_is_retried_has_its_whole_budget_of_losses() {
    let world = World::new().await;
    let id = world.submitted(new_job()).await;
    for n in 1..=2 * LOSSES_MAX {
        world.claimed(at(1)).await;
        assert_eq!(world.recover(at(2)).await.unwrap(), 1);
        if n == LOSSES_MAX {
            assert_eq!(world.get_job(id).await.state, State::Failed);
            world.retry(id, at(3)).await.unwrap();
        }
    }
    let job = world.get_job(id).await;
    assert_eq!((job.state, job.losses), (State::Failed, LOSSES_MAX));
}

#[tokio::test]
async fn a_run_from_before_the_retry_is_fenced() {
    let world = World::new().await;
    let stale = world.running(new_job()).await;
    world.cancel(stale.job, at(1)).await.unwrap();
    world.retry(stale.job, at(2)).await.unwrap();
    world.claimed(at(3)).await;
    crate::given::assert_fenced(&world.finish(stale, crate::given::ending(done(), at(4))).await);
}

#[tokio::test]
async fn runs_before_a_retry_are_no_postponements_of_those_after_it() {
    let world = World::new().await;
    let id = world.submitted(new_job()).await;
    let postpone = Verdict::Postpone { delay_ms: 0, failure: failure() };
    for n in 0..3 {
        let claimed = world.claimed(at(1)).await;
        assert_eq!(claimed.postponements, n);
        world.end(claimed.run, postpone.clone(), at(1)).await;
        world.promote(at(1), 10).await.unwrap();
    }
    world.cancel(id, at(2)).await.unwrap();
    world.retry(id, at(3)).await.unwrap();
    for n in 0..2 {
        let claimed = world.claimed(at(4)).await;
        assert_eq!((claimed.postponements, claimed.job.attempt), (n, 1));
        world.release(claimed.run, at(4)).await.unwrap();
    }
}

#[tokio::test]
async fn only_a_job_that_failed_or_was_cancelled_is_retried() {
    let world = World::new().await;
    let ended = world.running(new_job()).await;
    world.end(ended, done(), at(1)).await;
    let running = world.running(new_job()).await;
    let waiting = world.submitted(NewJob { run_at: at(9), ..new_job() }).await;
    for (id, state) in
        [(ended.job, State::Done), (running.job, State::Working), (waiting, State::Scheduled)]
    {
        let before = world.everything(id).await;
        assert_eq!(world.retry(id, at(2)).await.unwrap(), Retried::Unchanged(state));
        assert_eq!(world.everything(id).await, before);
    }
    let id = job_id();
    let error = world.retry(id, at(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchJob(unknown) if unknown == id));
}

#[tokio::test]
async fn a_retried_job_tells_its_second_end_as_well() {
    let world = World::new().await;
    let run = failed_as(&world, job_with_callback(), "timeout").await;
    world.retry(run.job, at(5)).await.unwrap();
    let again = world.claimed(at(6)).await.run;
    world.end(again, done(), at(7)).await;
    let events = world.deliveries(run.job).await.unwrap().into_iter().map(|told| told.event);
    assert_eq!(events.collect::<Vec<_>>(), ["job.failed", "job.done"]);
}

#[tokio::test]
async fn dead_letters_are_retried_by_kind_and_code_the_oldest_first_and_the_rest_is_counted() {
    let world = World::new().await;
    let [one, two, three] = three(&world).await;
    let cancelled = world.submitted(new_job()).await;
    world.cancel(cancelled, at(1)).await.unwrap();
    let none = world.retry_many(which(Some("test.echo"), Some("moot")), 9, at(4)).await.unwrap();
    assert_eq!(none, Cleared { jobs: 0, left: 0 });
    let cleared = world.retry_many(which(None, Some("timeout")), 1, at(4)).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 1 });
    assert_eq!(world.get_job(one).await.state, State::Queued);
    let cleared = world.retry_many(which(Some("test.other"), None), 9, at(4)).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 2, left: 0 });
    for id in [two, three] {
        assert_eq!(world.get_job(id).await.state, State::Queued);
    }
    assert_eq!(world.get_job(cancelled).await.state, State::Cancelled, "it is no dead letter");
}

#[tokio::test]
async fn dead_letters_can_be_those_that_failed_before_an_instant() {
    let world = World::new().await;
    let [one, two, three] = three(&world).await;
    let before = |ms| DeadLetters { failed_before: Some(at(ms)), ..DeadLetters::default() };
    assert_eq!(world.retry_many(before(3), 9, at(4)).await.unwrap(), Cleared::default());
    let cleared = world.retry_many(before(4), 1, at(5)).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 2 });
    let again = world.claimed(at(6)).await.run;
    world.end(again, Verdict::Fail { failure: failure() }, at(7)).await;

    let filter = |ms| Filter { dead: Some(before(ms)), limit: 9, ..Filter::default() };
    assert_eq!(page(&world, filter(7)).await, [three, two]);
    assert_eq!(page(&world, filter(8)).await, [three, two, one]);
    let cleared = world.purge(before(7), 1).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 1 });
    let cleared = world.retry_many(before(7), 9, at(8)).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 0 });
    assert_eq!(page(&world, filter(8)).await, [one], "it has failed again, and is left alone");
}

#[tokio::test]
async fn pages_of_dead_letters_can_be_of_one_code_and_one_kind() {
    let world = World::new().await;
    let [one, two, three] = three(&world).await;
    let filter = |kind: Option<&str>, code: &str| {
        let dead = Some(which(kind, Some(code)));
        Filter { dead, limit: 9, ..Filter::default() }
    };
    assert_eq!(page(&world, filter(None, "timeout")).await, [two, one]);
    assert_eq!(page(&world, filter(Some("test.other"), "timeout")).await, [two]);
    assert_eq!(page(&world, filter(None, "moot")).await, [three]);
    assert_eq!(page(&world, filter(None, "none")).await, []);
    let rest = Filter { before: Some(two), ..filter(None, "timeout") };
    assert_eq!(page(&world, rest).await, [one]);
    world.retry(two, at(9)).await.unwrap();
    assert_eq!(page(&world, filter(None, "timeout")).await, [one], "a retried one has left them");
}

#[tokio::test]
async fn a_purged_job_leaves_nothing_and_frees_its_key() {
    let world = World::new().await;
    let job = NewJob { idempotency_key: Some("order-7".to_owned()), ..new_job() };
    let run = failed_as(&world, job.clone(), "timeout").await;
    let alive = world.submitted(new_job()).await;
    let ended = world.claimed(at(4)).await.run;
    world.end(ended, done(), at(5)).await;
    assert_eq!(ended.job, alive);
    let cleared = world.purge(DeadLetters::default(), 9).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 0 });
    let nothing = Everything { job: None, attempts: vec![], events: vec![], deliveries: vec![] };
    assert_eq!(world.everything(run.job).await, nothing);
    assert!(world.job(alive).await.unwrap().is_some());
    let again = NewJob { id: job_id(), ..job };
    assert_eq!(world.submitted(again.clone()).await, again.id);
}

#[tokio::test]
async fn dead_letters_are_purged_by_kind_and_code_the_oldest_first_and_the_rest_is_counted() {
    let world = World::new().await;
    let [one, two, three] = three(&world).await;
    let cleared = world.purge(which(None, Some("timeout")), 1).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 1 });
    assert_eq!(world.job(one).await.unwrap(), None);
    let cleared = world.purge(which(Some("test.other"), Some("moot")), 9).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 0 });
    assert_eq!(world.job(three).await.unwrap(), None);
    assert_eq!(world.get_job(two).await.state, State::Failed);
}

#[tokio::test]
async fn a_dead_letter_with_an_open_delivery_is_kept_until_that_is_over() {
    let world = World::new().await;
    let run = failed_as(&world, job_with_callback(), "timeout").await;
    let cleared = world.purge(DeadLetters::default(), 9).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 0, left: 1 });
    let delivery = world.deliveries(run.job).await.unwrap().remove(0);
    world.record_delivery(delivery.id, DeliveryOutcome::Delivered, at(9)).await.unwrap();
    let cleared = world.purge(DeadLetters::default(), 9).await.unwrap();
    assert_eq!(cleared, Cleared { jobs: 1, left: 0 });
    assert_eq!(world.deliveries(run.job).await.unwrap(), []);
}
