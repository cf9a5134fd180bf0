//! The lane against a simulated Ollama, over real connections.
#![expect(clippy::unwrap_used, reason = "clippy exempts tests, but not the functions they share")]

mod budgets;
mod cloud;
mod errands;
mod figures;
mod gateway;
mod health;
mod keeping;
mod objections;
mod others;
mod patience;
mod pinned;
mod preemption;
mod questions;
mod runners;
mod signs;
mod stage;
mod unloads;

use std::{sync::Arc, time::Duration};

use roughneck_jobs::{
    clock::Millis,
    model::{Call, Health, LlmError},
    ports::{budgets::Unlimited, llm::Llm as _, runner::Supervisor},
};
use roughneck_llm::{Config, Lane};
use roughneck_testkit::{
    eventually,
    ollama::{self, LoadOutcome, Pace, Reply},
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use stage::{QWEN, SOON, Stage, call, failed, with_context};

#[tokio::test]
async fn an_answer_streams_in_pieces_and_its_cost_is_exact() {
    let simulated = ollama::Config { pace: Pace::Skipped, ..ollama::Config::demo() };
    let stage = Stage::with(simulated, |_| {}).await;
    stage.ollama.script([Reply::Text("one two three".to_owned())]);
    let (pieces, completion) = stage.ask(call(QWEN)).await.unwrap();

    assert_eq!(pieces.len(), 3);
    assert_eq!(completion.text, "one two three");
    assert_eq!(completion.finish_reason, "stop");
    assert_eq!(completion.model, QWEN);
    assert_eq!(completion.model_digest.map(|digest| digest.len()), Some(64));
    let usage = completion.usage;
    // Two words and four tokens of template; three words and the end of the sequence.
    assert_eq!((usage.calls, usage.input_tokens, usage.output_tokens), (1, 6, 4));
    let token_ns = Duration::from_secs_f64(1.0 / 35.0).as_nanos();
    assert_eq!(u128::from(usage.generate_ns), 4 * token_ns);
    assert!(usage.prompt_ns > 0 && usage.load_ns > 0 && usage.first_token_ns > 0, "{usage:?}");

    for (series, value) in [
        (r#"roughneck_tokens_total{model="qwen3:4b",type="input"}"#, 6.0),
        (r#"roughneck_tokens_total{model="qwen3:4b",type="output"}"#, 4.0),
        (r#"roughneck_tokens_total{model="qwen3:4b",type="estimated"}"#, 0.0),
        (r#"roughneck_requests_total{model="qwen3:4b",outcome="ok"}"#, 1.0),
        (r#"roughneck_requests_total{model="qwen3:4b",outcome="error"}"#, 0.0),
        (r#"roughneck_upstream_ttft_seconds_count{model="qwen3:4b"}"#, 1.0),
        (r#"roughneck_model_swaps_total{reason="cold",choice="drained"}"#, 1.0),
        (r#"roughneck_queue_wait_seconds_count{priority="normal"}"#, 1.0),
        (r#"roughneck_queue_depth{priority="normal"}"#, 0.0),
        ("roughneck_swaps_avoided_total", 0.0),
        ("roughneck_request_duration_seconds_count", 1.0),
        ("roughneck_upstream_up", 1.0),
        ("roughneck_inflight", 0.0),
    ] {
        assert_eq!(stage.metric(series), Some(value), "{series}");
    }
}

#[tokio::test]
async fn a_schema_reaches_ollama_unchanged() {
    let stage = Stage::new().await;
    let schema = r#"{"type":"object","properties":{"zebra":{"type":"string"},"apple":{"type":"string"}},"required":["zebra","apple"]}"#;
    let asked = Call { response_schema: Some(schema.to_owned()), ..call(QWEN) };
    let (_, completion) = stage.ask(asked).await.unwrap();

    let bodies = stage.bodies("/api/chat");
    assert!(bodies[0].contains(&format!(r#""format":{schema}"#)), "{}", bodies[0]);
    let zebra = completion.text.find("zebra").unwrap();
    assert!(zebra < completion.text.find("apple").unwrap(), "{}", completion.text);
}

#[tokio::test]
async fn concurrent_calls_never_meet_in_ollama() {
    let stage = Stage::new().await;
    let ask = |model| stage.ask(call(model));
    let (a, b, c) = tokio::join!(ask(QWEN), ask("fast"), ask(QWEN));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(stage.ollama.in_flight_max(), 1);
    assert_eq!(stage.bodies("/api/chat").len(), 3);
}

#[tokio::test]
async fn among_those_who_wait_the_loaded_model_goes_first_and_then_the_rank() {
    let stage = Arc::new(Stage::with(ollama::Config::instant(), |it| it.waiting_max = 3).await);
    stage.ollama.script([Reply::Stall { after_tokens: 1 }]);
    let mut holds = stage.open(call(QWEN)).await.unwrap();
    holds.next().await.unwrap().unwrap();
    let depth = r#"roughneck_queue_depth{priority="normal"}"#;
    let mut tasks = JoinSet::new();
    for (waiting, (model, rank)) in [("fast", 1), (QWEN, 3), (QWEN, 2)].into_iter().enumerate() {
        let asks = Arc::clone(&stage);
        let ranked = Call { rank: Millis(rank), ..call(model) };
        tasks.spawn(async move { asks.ask(ranked).await.map(drop) });
        let waits = async || stage.metric(depth) == Some((waiting + 1) as f64);
        eventually("it waits", SOON, waits).await.unwrap();
    }
    let error = failed(stage.ask(call(QWEN)).await);
    assert_eq!((error.code(), error.is_retryable()), ("lane-full", true), "{error}");
    drop(holds);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }

    let chats = stage.bodies("/api/chat");
    let models: Vec<bool> = chats.iter().map(|body| body.contains(QWEN)).collect();
    assert_eq!(models, [true, true, true, false]);
    assert_eq!(stage.metric("roughneck_swaps_avoided_total"), Some(2.0));
    assert_eq!(stage.metric(depth), Some(0.0));
}

#[tokio::test]
async fn a_model_is_loaded_once_for_a_runner_key_and_again_for_another() {
    let stage = Stage::new().await;
    for _ in 0..2 {
        stage.ask(with_context(QWEN, 4096)).await.unwrap();
    }
    assert_eq!(stage.ollama.loads().len(), 1);
    stage.ask(with_context(QWEN, 8192)).await.unwrap();

    let contexts: Vec<u64> = stage.ollama.loads().iter().map(|load| load.context_length).collect();
    assert_eq!(contexts, [4096, 8192]);
    // Every load is the host's own request, and the jobs are told.
    let load = |num_ctx| {
        format!(r#"{{"model":"{QWEN}","options":{{"num_ctx":{num_ctx}}},"stream":false}}"#)
    };
    assert_eq!(stage.bodies("/api/generate"), [load(4096), load(8192)]);
    assert_eq!(stage.witness.loading(), [true, false, true, false]);
    assert_eq!(
        stage.metric(r#"roughneck_model_swaps_total{reason="options",choice="drained"}"#),
        Some(1.0)
    );
}

#[tokio::test]
async fn a_model_that_is_loaded_already_is_not_loaded_again_after_a_restart_of_the_host() {
    let stage = Stage::new().await;
    stage.ask(call(QWEN)).await.unwrap();
    let ports = stage::ports(&stage.witness, Arc::new(Unlimited));
    let config = Config::new(stage.ollama.url());
    let restarted = Lane::start(config, ports, &stage.shutdown).unwrap();
    let supervisor = Arc::clone(&stage.witness) as Arc<dyn Supervisor>;
    restarted.open(call(QWEN), supervisor).await.unwrap();
    assert_eq!(stage.bodies("/api/generate").len(), 1);
}

#[tokio::test]
async fn dropping_an_answer_makes_the_client_leave_and_frees_the_lane() {
    let stage = Stage::new().await;
    stage.ollama.script([Reply::Stall { after_tokens: 2 }]);
    let mut answer = stage.open(call(QWEN)).await.unwrap();
    answer.next().await.unwrap().unwrap();
    answer.next().await.unwrap().unwrap();
    drop(answer);

    let left = async || stage.ollama.log().iter().any(|request| request.client_left);
    eventually("the client leaves", SOON, left).await.unwrap();
    stage.ask(call(QWEN)).await.unwrap();
    let cancelled = r#"roughneck_requests_total{model="qwen3:4b",outcome="cancelled"}"#;
    assert_eq!(stage.metric(cancelled), Some(1.0));
    let estimated = r#"roughneck_tokens_total{model="qwen3:4b",type="estimated"}"#;
    assert_eq!(stage.metric(estimated), Some(2.0));
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_its_model_loads_does_not_abort_the_load() {
    let mut simulated = ollama::Config::instant();
    simulated.models[0].load_time = Duration::from_millis(700);
    let stage = Arc::new(Stage::with(simulated, |_| {}).await);
    let caller = Arc::clone(&stage);
    let waiter = tokio::spawn(async move { caller.open(call(QWEN)).await.map(drop) });
    let begun = async || stage.witness.loading() == [true] && stage.ollama.loads().len() == 1;
    eventually("the load begins", SOON, begun).await.unwrap();
    waiter.abort();
    assert!(waiter.await.unwrap_err().is_cancelled());

    // The next call waits for that load, and needs none of its own.
    stage.ask(call(QWEN)).await.unwrap();
    let loads: Vec<LoadOutcome> = stage.ollama.loads().iter().map(|load| load.outcome).collect();
    assert_eq!(loads, [LoadOutcome::Loaded]);
    assert_eq!(stage.ollama.in_flight_max(), 1);
}

#[tokio::test]
async fn while_ollama_is_away_calls_fail_at_once_and_its_return_rings_the_bell() {
    let stage = Stage::new().await;
    let rung = stage.witness.rung();
    assert_eq!(rung, 1, "found at the start");
    stage.ollama.stop_listening().await;

    let error = failed(stage.ask(call(QWEN)).await);
    assert!(matches!(error, LlmError::Unavailable { .. }), "{error}");
    assert!(
        error.to_string().starts_with(&format!("Ollama at {} ", stage.ollama.url())),
        "{error}"
    );
    assert_eq!(stage.lane.health(), Health::Down { reason: error.to_string() });
    assert_eq!(stage.metric("roughneck_upstream_up"), Some(0.0));
    assert_eq!(stage.lane.resolve("whatever").await.unwrap().name, "whatever", "at its word");

    stage.ollama.listen_again().await.unwrap();
    let again = async || stage.witness.rung() > rung;
    eventually("the bell rings", SOON, again).await.unwrap();
    stage.until_up().await;
    stage.ask(call(QWEN)).await.unwrap();
}

#[tokio::test]
async fn a_model_that_is_not_installed_is_refused_after_a_second_look() {
    let stage = Stage::new().await;
    let looks = stage.bodies("/api/tags").len();
    let sentence = "the model `qwen3:4` is not installed in Ollama; run `ollama pull qwen3:4`; \
                    did you mean `qwen3:4b`?";
    assert_eq!(stage.lane.resolve("qwen3:4").await.unwrap_err().to_string(), sentence);
    assert_eq!(stage.bodies("/api/tags").len(), looks + 1);
    assert_eq!(failed(stage.ask(call("qwen3:4")).await).to_string(), sentence);
    assert!(stage.bodies("/api/chat").is_empty());
    let rejected = r#"roughneck_requests_total{model="other",outcome="rejected"}"#;
    assert_eq!(stage.metric(rejected), Some(1.0));

    assert_eq!(stage.lane.resolve("fast").await.unwrap().name, "llama3.2:3b");
    for newest in ["default", "Default", "default:latest"] {
        assert!(stage.lane.resolve(newest).await.unwrap().digest.is_some(), "{newest}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_how_and_frees_the_lane() {
    let quick = |config: &mut Config| {
        config.stall = Duration::from_millis(100);
        // Nobody asks for a token in between, who would get the next scripted reply.
        config.breaker.failures = u32::MAX;
    };
    let stage = Stage::with(ollama::Config::instant(), quick).await;
    let message = "the runner died".to_owned();
    for (reply, outcome, said) in [
        (Reply::MidStreamError { after_tokens: 2, message }, "error", "the runner died"),
        (Reply::Truncate { after_tokens: 2 }, "truncated", "Ollama's stream ended before done"),
        (Reply::Disconnect { after_tokens: 2 }, "truncated", ""),
        (
            Reply::Stall { after_tokens: 2 },
            "timeout",
            "Ollama sent nothing of its answer for 100ms",
        ),
    ] {
        let series = format!(r#"roughneck_requests_total{{model="qwen3:4b",outcome="{outcome}"}}"#);
        let before = stage.metric(&series).unwrap_or_default();
        stage.ollama.script([reply]);
        let mut answer = stage.open(call(QWEN)).await.unwrap();
        let mut pieces = 0;
        let error = loop {
            match answer.next().await {
                Ok(piece) => pieces += usize::from(piece.is_some()),
                Err(error) => break error,
            }
        };
        assert_eq!(pieces, 2, "{error}");
        assert!(matches!(error, LlmError::BrokenOff(_)), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(answer.next().await, Ok(None), "the stream is over");
        assert_eq!(stage.metric(&series), Some(before + 1.0), "{series}");
    }
    stage.ask(call(QWEN)).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_trickles_without_a_whole_piece_is_given_up_later_than_one_that_is_silent() {
    let quick = |config: &mut Config| config.stall = Duration::from_millis(100);
    let why = "Ollama sent no whole piece of its answer for 400ms";
    for drop in ["x", "\n"] {
        let stage = Stage::with(ollama::Config::instant(), quick).await;
        stage.ollama.faults().drip(Some(drop));
        let began_at = Instant::now();
        let error = timeout(SOON, stage.ask(call(QWEN))).await.expect("it is given up");
        assert_eq!(failed(error), LlmError::BrokenOff(why.to_owned()), "{drop:?}");
        assert!(began_at.elapsed() >= Duration::from_millis(400));
    }
}

#[tokio::test]
async fn an_ollama_that_never_begins_to_answer_is_given_up() {
    let impatient = |config: &mut Config| config.first_byte = Duration::from_millis(300);
    let stage = Stage::with(ollama::Config::instant(), impatient).await;
    stage.ollama.script([Reply::Stall { after_tokens: 0 }]);
    let error = failed(stage.ask(call(QWEN)).await);
    assert_eq!(
        error,
        LlmError::BrokenOff("Ollama sent nothing of its answer for 300ms".to_owned())
    );
}

#[tokio::test]
async fn a_refusal_carries_the_words_of_ollama() {
    let stage = Stage::unwatched().await;
    stage.ask(call(QWEN)).await.unwrap();
    stage.until_looked().await;
    stage.ollama.faults().refuse(true);
    let error = failed(stage.ask(call(QWEN)).await);
    assert!(
        matches!(&error, LlmError::Refused { status: 503, message } if message.contains("busy"))
    );
    assert!(error.is_retryable());
    stage.ollama.faults().refuse(false);

    // Ollama is well, so nobody asks it what it has loaded.
    stage.ask(call(QWEN)).await.unwrap();
    let looks = stage.bodies("/api/ps").len();
    let nonsense = r#"{"error":"\"m\" does not support tools"}"#.to_owned();
    stage.ollama.script([Reply::Status(400, nonsense)]);
    let error = failed(stage.ask(call(QWEN)).await);
    assert!(matches!(&error, LlmError::Refused { status: 400, .. }), "{error:?}");
    stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(stage.bodies("/api/ps").len(), looks);

    let missing = r#"{"error":"model 'qwen3:4b' not found"}"#.to_owned();
    stage.ollama.script([Reply::Status(404, missing)]);
    let error = failed(stage.ask(call(QWEN)).await);
    let hint = "; installed: llama3.2:3b, nomic-embed-text:latest".to_owned();
    assert_eq!(error, LlmError::NotInstalled { model: QWEN.to_owned(), hint });
}
