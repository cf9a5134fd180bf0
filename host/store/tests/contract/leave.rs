//! What a run leaves that was stopped from outside.

use roughneck_jobs::{
    job::{LogLevel, LogLine},
    ports::store::Finish,
    run::Run,
    state::State,
    usage::Usage,
};

use crate::given::{World, at, done, ending, job_with_callback, new_job};

fn usage() -> Usage {
    Usage { calls: 1, input_tokens: 10, output_tokens: 20, ..Usage::default() }
}

fn log() -> Vec<LogLine> {
    vec![LogLine { at: at(1), level: LogLevel::Info, message: "half-way".to_owned() }]
}

#[tokio::test]
async fn what_a_stopped_run_cost_and_logged_is_kept_with_its_attempt_and_its_job() {
    for stop in ["cancel", "lose", "release"] {
        let world = World::new().await;
        let run = world.running(job_with_callback()).await;
        match stop {
            "cancel" => drop(world.cancel(run.job, at(2)).await.unwrap()),
            "lose" => drop(world.reap(at(60_000), 10).await.unwrap()),
            _ => world.release(run, at(2)).await.unwrap(),
        }
        let before = world.everything(run.job).await;
        world.leave(run, usage(), log()).await.unwrap();
        let mut after = before.clone();
        after.job.as_mut().unwrap().usage = usage();
        (after.attempts[0].usage, after.attempts[0].log) = (usage(), log());
        assert_eq!(world.everything(run.job).await, after, "{stop}");
    }
}

#[tokio::test]
async fn the_cost_is_added_to_that_of_the_other_runs() {
    let world = World::new().await;
    let lost = world.running(new_job()).await;
    world.reap(at(60_000), 10).await.unwrap();
    let run = world.claimed(at(60_001)).await.run;
    world.leave(lost, usage(), log()).await.unwrap();
    assert_eq!(world.get_job(run.job).await.state, State::Working, "it moves no job");
    let finish = Finish { usage: usage(), ..ending(done(), at(60_002)) };
    world.finish(run, finish).await.unwrap();
    let job = world.get_job(run.job).await;
    assert_eq!((job.usage.calls, job.usage.output_tokens), (2, 40));
    let logs = world.attempts(run.job).await.unwrap().into_iter().map(|attempt| attempt.log);
    assert_eq!(logs.collect::<Vec<_>>(), [log(), vec![]]);
}

#[tokio::test]
async fn nothing_is_kept_twice_nor_of_a_run_that_is_open_ended_itself_or_is_unknown() {
    let world = World::new().await;
    let open = world.running(new_job()).await;
    let ended = world.running(new_job()).await;
    let finish = Finish { usage: usage(), ..ending(done(), at(1)) };
    world.finish(ended, finish).await.unwrap();
    let stopped = world.running(new_job()).await;
    world.cancel(stopped.job, at(2)).await.unwrap();
    world.leave(stopped, Usage::default(), log()).await.unwrap();
    let unknown = Run { token: 9, ..open };
    let nobody = Run { job: crate::given::job_id(), token: 1 };
    for run in [open, ended, stopped, unknown, nobody] {
        let before = world.everything(run.job).await;
        world.leave(run, usage(), log()).await.unwrap();
        assert_eq!(world.everything(run.job).await, before);
    }
}
