//! What the end of a job means for the jobs that need it: every kind of end, at every level.

use roughneck_jobs::{
    failure::Failure,
    flow::FlowState,
    job::NewJob,
    ports::{bell::Change, store::Verdict},
    run::{LEASE_MS, LOSSES_MAX},
    state::State,
};

use super::planted::{Planted, fatal, flow};
use crate::given::{World, at, done, io, retry};

/// The ways in which a job ends without a result.
#[derive(Clone, Copy, Debug)]
enum End {
    Failed,
    AttemptsUsedUp,
    Poison,
    LeasesExpired,
    CancelledBeforeItRan,
    CancelledWhileItRan,
    CancelledByItself,
}

const ENDS: [End; 7] = [
    End::Failed,
    End::AttemptsUsedUp,
    End::Poison,
    End::LeasesExpired,
    End::CancelledBeforeItRan,
    End::CancelledWhileItRan,
    End::CancelledByItself,
];

impl End {
    /// Ends the job of this name, which may run.
    async fn meet(self, world: &World, flow: &Planted, name: &str) {
        let id = flow.job(name);
        match self {
            Self::Failed => world.run(flow, name, fatal(), at(2)).await,
            Self::AttemptsUsedUp => {
                world.run(flow, name, retry(0), at(2)).await;
                world.promote(at(2), 10).await.unwrap();
                world.run(flow, name, fatal(), at(2)).await;
            }
            Self::Poison => {
                for _ in 0..LOSSES_MAX {
                    assert!(world.claim_all(at(2)).await.contains_key(&id));
                    world.recover(at(2)).await.unwrap();
                }
            }
            Self::LeasesExpired => {
                for _ in 0..LOSSES_MAX {
                    assert!(world.claim_all(at(2)).await.contains_key(&id));
                    world.reap(at(2 + LEASE_MS), 100).await.unwrap();
                }
            }
            Self::CancelledBeforeItRan => drop(world.cancel(id, at(2)).await.unwrap()),
            Self::CancelledWhileItRan => {
                assert!(world.claim_all(at(2)).await.contains_key(&id));
                world.cancel(id, at(2)).await.unwrap();
            }
            Self::CancelledByItself => {
                let failure = Failure::fatal("moot", "nobody wants it");
                world.run(flow, name, Verdict::Cancel { failure }, at(2)).await;
            }
        }
        let state = world.job_of(flow, name).await.state;
        assert!(matches!(state, State::Failed | State::Cancelled), "{self:?}: {state:?}");
    }
}

#[tokio::test]
async fn every_end_without_a_result_fails_what_needs_the_job_and_what_needs_that() {
    for end in ENDS {
        let world = World::wide().await;
        let flow = world.plant(&["a", "b: a", "c: b", "d: c?", "e: b~"]).await;
        end.meet(&world, &flow, "a").await;
        for (name, message) in [("b", "it needs `a`, which "), ("c", "it needs `b`, which fails")] {
            let job = world.job_of(&flow, name).await;
            let failure = job.failure.unwrap();
            assert_eq!((job.state, failure.code.as_str()), (State::Failed, "dependency-failed"));
            assert!(failure.message.starts_with(message), "{end:?}: {}", failure.message);
            assert_eq!(job.reason, Some(failure.message));
            assert_eq!(world.states(job.id).await, [State::Blocked, State::Failed]);
            assert_eq!((job.attempt, job.started_at), (0, None), "it never ran");
        }
        assert_eq!(world.job_of(&flow, "d").await.state, State::Queued, "{end:?}");
        assert_eq!(world.job_of(&flow, "e").await.state, State::Queued, "{end:?}");
        world.finish_all(at(9)).await;
        assert_eq!(world.stands(&flow).await, FlowState::Failed, "{end:?}");
    }
}

#[tokio::test]
async fn every_end_without_a_result_releases_what_can_do_without_it() {
    for end in ENDS {
        for (rule, stands) in [("?", None), ("~", Some(FlowState::Done))] {
            let world = World::wide().await;
            let needs = format!("b: a{rule}");
            let flow = world.plant(&["a", &needs, "c: b"]).await;
            end.meet(&world, &flow, "a").await;
            assert_eq!(world.states(flow.job("b")).await, [State::Blocked, State::Queued]);
            world.finish_all(at(9)).await;
            for name in ["b", "c"] {
                assert_eq!(world.job_of(&flow, name).await.state, State::Done, "{end:?} {rule}");
            }
            let failed = world.job_of(&flow, "a").await.state == State::Failed;
            let counts = if failed { FlowState::Failed } else { FlowState::Cancelled };
            assert_eq!(world.stands(&flow).await, stands.unwrap_or(counts), "{end:?} {rule}");
        }
    }
}

#[tokio::test]
async fn every_end_in_the_middle_is_followed_as_well() {
    for end in ENDS {
        let world = World::wide().await;
        let flow = world.plant(&["z", "a: z", "b: a", "c: b?"]).await;
        world.run(&flow, "z", done(), at(1)).await;
        end.meet(&world, &flow, "a").await;
        assert_eq!(world.job_of(&flow, "b").await.state, State::Failed, "{end:?}");
        world.finish_all(at(9)).await;
        assert_eq!(world.job_of(&flow, "c").await.state, State::Done, "{end:?}");
    }
}

#[tokio::test]
async fn a_result_releases_what_needs_nothing_else_and_counts_the_others_down() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b", "c: a", "d: a b", "e: a c d"]).await;
    world.run(&flow, "a", done(), at(5)).await;
    assert_eq!(world.told(&flow).await, "a=done b=queued c=queued d=blocked e=blocked");
    assert_eq!([world.waits(&flow, "d").await, world.waits(&flow, "e").await], [1, 2]);
    let freed = world.job_of(&flow, "c").await;
    assert_eq!((freed.run_at, freed.reason), (at(5), None), "its waiting begins now");
    assert!(world.rung.after(&*world.store).await.contains(&Change::Class(io())));
    world.finish_all(at(9)).await;
    assert_eq!(world.stands(&flow).await, FlowState::Done);
    assert_eq!(world.get_flow(&flow).await.finished_at(), Some(at(9)));
}

#[tokio::test]
async fn a_job_that_is_due_later_is_scheduled_when_it_is_released() {
    let world = World::wide().await;
    let mut new = flow(&["a", "b: a"]);
    new.jobs[1].run_at = at(100);
    let flow = world.plant_as(new).await;
    world.run(&flow, "a", done(), at(5)).await;
    let job = world.job_of(&flow, "b").await;
    assert_eq!((job.state, job.run_at), (State::Scheduled, at(100)));
    assert_eq!(world.promote(at(100), 9).await.unwrap().jobs, 1);
}

#[tokio::test]
async fn a_job_that_is_cancelled_while_it_is_blocked_is_released_by_nothing_later() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a", "c: b", "d: b?"]).await;
    world.cancel(flow.job("b"), at(1)).await.unwrap();
    assert_eq!(world.told(&flow).await, "a=queued b=cancelled c=failed d=queued");
    let failure = world.job_of(&flow, "c").await.failure.unwrap();
    assert_eq!(failure.message, "it needs `b`, which was cancelled");
    world.finish_all(at(2)).await;
    assert_eq!(world.told(&flow).await, "a=done b=cancelled c=failed d=done");
}

#[tokio::test]
async fn a_failure_for_now_and_a_loss_release_nothing() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b: a"]).await;
    world.run(&flow, "a", retry(0), at(1)).await;
    world.promote(at(1), 9).await.unwrap();
    world.claim_all(at(2)).await;
    world.recover(at(3)).await.unwrap();
    assert_eq!(world.told(&flow).await, "a=queued b=blocked");
    assert_eq!(world.waits(&flow, "b").await, 1);
}

#[tokio::test]
async fn a_job_that_fails_with_another_tells_its_callback() {
    let world = World::wide().await;
    let mut new = flow(&["a", "b: a", "c: b"]);
    new.jobs[2].callback = Some("cms".parse().unwrap());
    let flow = world.plant_as(new).await;
    world.run(&flow, "a", fatal(), at(1)).await;
    let told = world.deliveries(flow.job("c")).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event, "job.failed");
    assert!(told[0].body.contains("dependency-failed"), "{}", told[0].body);
    assert_eq!(world.deliveries(flow.job("b")).await.unwrap(), []);
}

#[tokio::test]
async fn two_ends_in_one_batch_are_both_counted() {
    let world = World::wide().await;
    let flow = world.plant(&["a", "b", "c: a b", "d: a? b"]).await;
    let runs = world.claim_all(at(1)).await;
    let (a, b) = (runs[&flow.job("a")], runs[&flow.job("b")]);
    tokio::join!(world.end(a, done(), at(2)), world.end(b, done(), at(2)));
    assert_eq!(world.told(&flow).await, "a=done b=done c=queued d=queued");
    let other = world.plant(&["a", "b", "c: a b", "d: a? b"]).await;
    let runs = world.claim_all(at(3)).await;
    let (a, b) = (runs[&other.job("a")], runs[&other.job("b")]);
    tokio::join!(world.end(a, fatal(), at(4)), world.end(b, done(), at(4)));
    assert_eq!(world.told(&other).await, "a=failed b=done c=failed d=queued");
}

#[tokio::test]
async fn a_chain_of_two_thousand_fails_with_its_first_job() {
    let world = World::wide().await;
    let lines: Vec<String> = (0..2_000)
        .map(|n| if n == 0 { "j0".to_owned() } else { format!("j{n}: j{}", n - 1) })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let flow = world.plant(&lines).await;
    world.run(&flow, "j0", fatal(), at(1)).await;
    let kept = world.get_flow(&flow).await;
    assert_eq!(kept.state(), FlowState::Failed);
    let failed = kept.tallies.iter().filter(|tally| tally.state == State::Failed);
    assert_eq!(failed.map(|tally| tally.jobs).sum::<u32>(), 2_000);
    let last = world.job_of(&flow, "j1999").await.failure.unwrap().message;
    assert_eq!(last, "it needs `j1998`, which fails because `j0` has failed");
    assert_eq!(world.counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_thousand_jobs_are_released_by_one_and_release_one() {
    let world = World::wide().await;
    let children: Vec<String> = (0..1_000).map(|n| format!("child{n}: first")).collect();
    let names: Vec<String> = (0..1_000).map(|n| format!("child{n}")).collect();
    let last = format!("last: {}", names.join(" "));
    let mut lines = vec!["first", last.as_str()];
    lines.extend(children.iter().map(String::as_str));
    let flow = world.plant(&lines).await;
    world.run(&flow, "first", done(), at(1)).await;
    let mut runs = world.claim_all(at(2)).await;
    assert_eq!(runs.len(), 1_000);
    let one = runs.remove(&flow.job("child7")).unwrap();
    for run in runs.into_values() {
        world.end(run, done(), at(3)).await;
    }
    assert_eq!(world.waits(&flow, "last").await, 1);
    world.end(one, done(), at(4)).await;
    assert_eq!(world.states(flow.job("last")).await, [State::Blocked, State::Queued]);
}

#[tokio::test]
async fn a_job_of_no_flow_has_no_part_in_one() {
    let world = World::wide().await;
    let run = world.running(NewJob { member: None, ..crate::given::new_job() }).await;
    world.end(run, fatal(), at(1)).await;
    assert_eq!(world.get_job(run.job).await.member, None);
}
