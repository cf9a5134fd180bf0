//! Attempts, losses and postponements, and what each costs.

use roughneck_jobs::{
    failure::code,
    job::{LogLevel, LogLine, NewJob},
    ports::store::{Finish, Verdict},
    run::LOSSES_MAX,
    state::State,
    usage::Usage,
};

use crate::given::{World, at, done, ending, failure, new_job, retry};

#[tokio::test]
async fn a_retry_waits_its_delay_and_keeps_its_place() {
    let world = World::new().await;
    let first = NewJob { rank: at(0), ..new_job() };
    let run = world.running(first.clone()).await;
    world.submitted(NewJob { rank: at(1), ..new_job() }).await;
    assert_eq!(world.end(run, retry(500), at(1000)).await, State::Scheduled);

    let job = world.get_job(first.id).await;
    assert_eq!((job.run_at, job.attempt, job.losses), (at(1500), 1, 0));
    assert_eq!(job.reason.as_deref(), Some("the site did not answer"));
    assert_eq!(job.failure, Some(failure()));

    assert_eq!(world.promote(at(1500), 10).await.unwrap().jobs, 1);
    let again = world.claimed(at(1500)).await;
    assert_eq!((again.job.id, again.job.attempt), (first.id, 2), "before the later rank");
}

#[tokio::test]
async fn a_done_job_has_its_output_and_no_failure_any_more() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.end(run, retry(0), at(1)).await;
    world.promote(at(1), 10).await.unwrap();
    let run = world.claimed(at(2)).await.run;
    assert_eq!(world.end(run, done(), at(3)).await, State::Done);

    let job = world.get_job(run.job).await;
    assert_eq!(job.output.as_deref(), Some(r#"{"ok":true}"#));
    assert_eq!((job.failure, job.reason), (None, None));
    assert_eq!(job.finished_at, Some(at(3)));
    assert_eq!(job.plugin.as_deref(), Some("sha256:abc"));
    assert_eq!(world.outcomes(run.job).await, ["failed", "done"]);
}

#[tokio::test]
async fn a_failed_job_is_a_dead_letter_with_its_last_failure() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    let state = world.end(run, Verdict::Fail { failure: failure() }, at(3)).await;
    assert_eq!(state, State::Failed);
    let job = world.get_job(run.job).await;
    assert_eq!((job.failure, job.finished_at), (Some(failure()), Some(at(3))));
    assert_eq!(job.reason.as_deref(), Some("the site did not answer"));
}

#[tokio::test]
async fn a_postponement_gives_the_attempt_back() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    let verdict = Verdict::Postpone { delay_ms: 5, failure: failure() };
    assert_eq!(world.end(run, verdict, at(1)).await, State::Scheduled);
    let job = world.get_job(run.job).await;
    assert_eq!((job.attempt, job.losses, job.run_at), (0, 0, at(6)));
    assert_eq!(world.outcomes(run.job).await, ["postponed"]);
}

#[tokio::test]
async fn a_release_costs_neither_an_attempt_nor_a_loss() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.release(run, at(1)).await.unwrap();
    let job = world.get_job(run.job).await;
    assert_eq!((job.state, job.attempt, job.losses), (State::Queued, 0, 0));
    assert_eq!(world.outcomes(run.job).await, ["released"]);
    assert_eq!(world.claim_at(5, at(2)).await.len(), 1, "the slot is free");
}

#[tokio::test]
async fn a_loss_gives_the_attempt_back_and_counts_in_its_own_budget() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.reap(at(60_000), 10).await.unwrap();
    let job = world.get_job(run.job).await;
    assert_eq!((job.state, job.attempt, job.losses), (State::Queued, 0, 1));
    assert!(job.reason.unwrap().contains("lease expired"));
    let again = world.claimed(at(60_001)).await;
    assert_eq!((again.job.attempt, again.run.token), (1, 2));
    assert_eq!(world.outcomes(run.job).await, ["lost", ""]);
    let attempts = world.attempts(run.job).await.unwrap();
    assert_eq!(attempts.iter().map(|a| (a.run, a.attempt)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
}

#[tokio::test]
async fn a_job_that_is_lost_too_often_is_poison_and_ends_among_the_dead_letters() {
    let world = World::new().await;
    let id = world.submitted(new_job()).await;
    for loss in 1..=u64::from(LOSSES_MAX) {
        assert_eq!(world.get_job(id).await.state, State::Queued);
        let run = world.claimed(at(loss * 100_000)).await.run;
        assert_eq!(world.reap(at(loss * 100_000 + 60_000), 10).await.unwrap().runs, [run]);
    }
    let job = world.get_job(id).await;
    assert_eq!((job.state, job.losses), (State::Failed, LOSSES_MAX));
    assert_eq!(job.failure.unwrap().code, code::POISON);
    assert_eq!(world.claim_at(5, at(900_000)).await.len(), 0);
}

#[tokio::test]
async fn the_cost_of_a_job_is_the_sum_over_its_attempts() {
    let world = World::new().await;
    let usage = Usage { calls: 1, input_tokens: 10, output_tokens: 20, ..Usage::default() };
    let line = LogLine { at: at(1), level: LogLevel::Info, message: "half-way".to_owned() };
    let mut run = world.running(new_job()).await;
    for verdict in [retry(0), done()] {
        let finish = Finish { usage, log: vec![line.clone()], ..ending(verdict, at(2)) };
        world.finish(run, finish).await.unwrap();
        world.promote(at(2), 10).await.unwrap();
        if let Some(next) = world.claim_at(1, at(3)).await.first() {
            run = next.run;
        }
    }
    let job = world.get_job(run.job).await;
    assert_eq!((job.usage.calls, job.usage.input_tokens, job.usage.output_tokens), (2, 20, 40));
    for attempt in world.attempts(run.job).await.unwrap() {
        assert_eq!((attempt.usage, attempt.log), (usage, vec![line.clone()]));
    }
}

#[tokio::test]
async fn delays_at_the_end_of_time_do_not_overflow() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    assert_eq!(world.end(run, retry(u64::MAX), at(1)).await, State::Scheduled);
    assert_eq!(world.get_job(run.job).await.run_at.0, i64::MAX);
    assert_eq!(world.promote(at(u64::MAX / 4), 10).await.unwrap().jobs, 0);
}
