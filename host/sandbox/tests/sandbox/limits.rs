//! Every limit bites, and says which it was.

use std::{sync::Arc, time::Duration};

use roughneck_capabilities::CALL_BYTES_MAX;
use roughneck_jobs::{
    failure::Disposition,
    job::LogLevel,
    ports::runner::{Outcome, Runner, Standing},
};

use crate::world::{Folder, Mood, SOON, World};

/// A guest that spins is to be stopped by something else than its CPU limit.
const ENDLESS_CPU: (&str, &str) = ("cpu = \"500ms\"", "cpu = \"1h\"");

#[tokio::test]
async fn a_guest_that_hogs_memory_is_stopped_by_its_memory_limit() {
    let world = World::new();
    let failure = world.failed("hog", "{}").await;
    assert_eq!((failure.code.as_str(), failure.disposition), ("out-of-memory", Disposition::Retry));
    assert!(failure.message.contains("33554432 bytes; raise `limits.memory`"), "{failure:?}");
    let metrics = world.metrics();
    assert!(
        metrics.contains("roughneck_sandbox_runs_total{outcome=\"out-of-memory\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_guest_that_computes_for_ever_is_stopped_by_its_cpu_limit() {
    let world = World::new();
    let failure = world.failed("spin", "{}").await;
    assert_eq!((failure.code.as_str(), failure.disposition), ("cpu-limit", Disposition::Retry));
    assert!(failure.message.contains("500 ms; raise `limits.cpu`"), "{failure:?}");
}

#[tokio::test]
async fn a_guest_that_computes_for_ever_is_stopped_by_its_timeout() {
    let world = Folder::fixture(&[ENDLESS_CPU, ("timeout = \"1h\"", "timeout = \"100ms\"")]).load();
    let failure = world.failed("spin", "{}").await;
    assert_eq!((failure.code.as_str(), failure.disposition), ("timeout", Disposition::Retry));
    assert!(failure.message.contains("100 ms; raise the kind's `timeout`"), "{failure:?}");
}

#[tokio::test]
async fn a_guest_that_waits_in_a_host_call_is_stopped_by_its_timeout() {
    let world = Folder::fixture(&[("timeout = \"2s\"", "timeout = \"100ms\"")]).load();
    world.llm.is(Mood::Silent);
    let failure = world.failed("slow-llm", r#"{"prompt": "x"}"#).await;
    assert_eq!(failure.code, "timeout");
}

#[tokio::test]
async fn waiting_is_not_charged_as_cpu() {
    let world = Folder::fixture(&[("timeout = \"2s\"", "timeout = \"1s\"")]).load();
    world.llm.is(Mood::Silent);
    world.failed("slow-llm", r#"{"prompt": "x"}"#).await;
    let metrics = world.metrics();
    let (_, rest) = metrics.split_once("roughneck_sandbox_guest_cpu_seconds_total ").unwrap();
    let seconds: f64 = rest.lines().next().unwrap().parse().unwrap();
    assert!(seconds > 0.0 && seconds < 0.5, "{seconds} s of CPU for a wait of 1 s");
}

#[tokio::test]
async fn what_the_host_computes_for_a_guest_is_charged_to_it() {
    let world = World::new();
    world.llm.is(Mood::Costly);
    assert_eq!(world.failed("llm", r#"{"prompt": "x"}"#).await.code, "cpu-limit");
}

#[tokio::test]
async fn a_guest_that_can_never_start_fails_for_good() {
    let world = Folder::fixture(&[("memory = \"32MiB\"", "memory = \"64KiB\"")]).load();
    let failure = world.failed("noop", "{}").await;
    assert_eq!((failure.code.as_str(), failure.disposition), ("out-of-memory", Disposition::Fail));
    assert!(failure.message.contains("to start than its limit of 65536 bytes"), "{failure:?}");
}

#[tokio::test]
async fn what_one_call_carries_is_bounded() {
    let changes =
        [("memory = \"32MiB\"", "memory = \"1GiB\""), ("cpu = \"500ms\"", "cpu = \"1h\"")];
    let world = Folder::fixture(&changes).load();
    let prompt = |bytes: usize| format!(r#"{{"prompt": "{}"}}"#, "x".repeat(bytes));
    let told = world.failed("llm", &prompt(CALL_BYTES_MAX - 1000)).await;
    assert_eq!(told.code, "request-too-large");
    let stopped = world.failed("llm", &prompt(CALL_BYTES_MAX + 1)).await;
    assert_eq!(stopped.code, "trapped", "{stopped:?}");
}

#[tokio::test]
async fn host_calls_past_the_budget_end_the_run_for_good() {
    let world = World::new();
    let done = world.done("many-calls", r#"{"calls": 900}"#).await;
    assert_eq!(done["calls"], 900);
    let failure = world.failed("many-calls", r#"{"calls": 1001}"#).await;
    assert_eq!(
        (failure.code.as_str(), failure.disposition),
        ("host-call-limit", Disposition::Fail)
    );
    assert!(failure.message.contains("limit of 1000; raise `limits.host-calls`"), "{failure:?}");
}

#[tokio::test]
async fn a_result_must_be_json_within_the_output_limit() {
    let world = World::new();
    let done = world.done("big-output", r#"{"bytes": 65536}"#).await;
    assert_eq!(done.as_str().unwrap().len(), 65_534);
    for (kind, input, sentence) in [
        ("big-output", r#"{"bytes": 65537}"#, "limit of 65536; raise `limits.output`"),
        ("bad-utf8-json", "{}", "the result is not JSON"),
    ] {
        let failure = world.failed(kind, input).await;
        assert_eq!(
            (failure.code.as_str(), failure.disposition),
            ("invalid-output", Disposition::Fail)
        );
        assert!(failure.message.contains(sentence), "{failure:?}");
    }
}

#[tokio::test]
async fn a_flooded_log_is_cut_and_the_job_goes_on() {
    let world = World::new();
    let done = world.done("flood-log", r#"{"lines": 500, "line_bytes": 100}"#).await;
    assert_eq!(done["lines"], 500);
    let log = world.supervisor.seen().log;
    let last = log.last().unwrap();
    assert_eq!(last.level, LogLevel::Warn);
    assert!(last.message.contains("limit of 16384 bytes"), "{}", last.message);
    assert!(log.iter().map(|line| line.message.len()).sum::<usize>() < 17_000);
}

#[tokio::test]
async fn a_trap_says_what_wasm_said_and_where() {
    let failure = World::new().failed("trap", "{}").await;
    assert_eq!((failure.code.as_str(), failure.disposition), ("trapped", Disposition::Retry));
    assert!(
        failure.message.contains("the plugin crashed: wasm trap: wasm `unreachable`"),
        "{failure:?}"
    );
    assert!(failure.message.contains(", in "), "{failure:?}");
}

#[tokio::test]
async fn a_cancelled_a_fenced_and_an_overdue_run_is_stopped_while_it_computes() {
    for (standing, code) in [
        (Standing::Cancelled, "cancelled"),
        (Standing::Fenced, "fenced"),
        (Standing::Overdue, "deadline-passed"),
    ] {
        let world = Folder::fixture(&[ENDLESS_CPU]).load();
        let run = world.plugins.run(world.assignment("spin", "{}"), world.supervisor.clone());
        let cancel = async {
            world.supervisor.has_begun().await;
            world.supervisor.stand(standing);
        };
        let (outcome, ()) =
            tokio::time::timeout(SOON, async { tokio::join!(run, cancel) }).await.unwrap();
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.code, code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_run_stops_its_guest() {
    let world = Folder::fixture(&[ENDLESS_CPU]).load();
    let (plugins, supervisor) = (world.plugins.clone(), world.supervisor.clone());
    let assignment = world.assignment("spin", "{}");
    let run = tokio::spawn(async move { plugins.run(assignment, supervisor).await });
    world.supervisor.has_begun().await;
    run.abort();
    let ended = tokio::time::timeout(SOON, run).await.expect("the guest still runs");
    assert!(ended.unwrap_err().is_cancelled());
    assert_eq!(Arc::strong_count(&world.supervisor), 1, "the store outlives its run");
    assert_eq!(Arc::strong_count(&world.plugins), 1);
    let metrics = world.metrics();
    assert!(metrics.contains("roughneck_sandbox_runs_total{outcome=\"aborted\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_spinning_guest_lets_other_work_run() {
    let world = Folder::fixture(&[("cpu = \"500ms\"", "cpu = \"5s\"")]).load();
    let run = world.run("spin", "{}");
    let others = async {
        world.supervisor.has_begun().await;
        let mut beats = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..3 {
            beats.tick().await;
        }
    };
    // One thread: the other work ends before the guest's five seconds only if the guest yields.
    tokio::select! {
        biased;
        _ = run => panic!("the guest kept the thread to itself"),
        () = others => {}
    }
}

#[tokio::test]
async fn every_run_gets_an_instance_of_its_own_and_begins_once() {
    let world = World::new();
    for n in 1..=3 {
        assert_eq!(world.done("echo", r#"{"a": 1}"#).await["a"], 1);
        assert_eq!(world.supervisor.began(), n);
    }
    let failure = world.failed("trap", "{}").await;
    assert_eq!(failure.code, "trapped");
    assert_eq!(world.done("noop", "{}").await, serde_json::Value::Null);
}
