//! Clients as their users install them, first straight at a simulated Ollama and then through the host: what they see
//! must be the same. The scripts are in `host/e2e/clients`; `host/docs/clients.md` records what they saw.

mod record;
mod runtime;
mod script;

use std::fmt::Write as _;

use roughneck_testkit::eventually;
use roughneck_testkit::ollama::{Config, FakeOllama, Reply};
use tempfile::TempDir;

use crate::host::{LIMIT, Setup};
use runtime::Runtime;
use script::{Answer, Script};

/// In this order: the last three leave a mark on the server.
const CHECKS: [&str; 15] = [
    "list",
    "show",
    "chat",
    "stream",
    "generate",
    "responses",
    "tools",
    "schema",
    "thinking",
    "images",
    "embed",
    "unknown-model",
    "cancel",
    "midstream-error",
    "queue-full",
];

/// What a client sees otherwise through the host, on purpose: upstream lets half an answer pass for a whole one.
const DIFFERENCES: [(&str, &str, &str); 3] = [
    (
        "PyPI openai",
        "midstream-error",
        "APIError: Ollama's stream ended before done (after 4 chunks)",
    ),
    (
        "npm openai",
        "midstream-error",
        "APIError: Ollama's stream ended before done (after 4 chunks)",
    ),
    (
        "PyPI anthropic",
        "midstream-error",
        "APIStatusError: {'type': 'error', 'error': {'type': 'api_error', 'message': \"Ollama's stream ended before \
         done\"}, 'request_id': 'req_…'} (after 3 chunks)",
    ),
];

#[tokio::test]
async fn the_python_client_of_ollama_sees_the_same_through_the_host() {
    compare(Runtime::Python, "ollama_client.py").await;
}

#[tokio::test]
async fn the_python_client_of_openai_sees_the_same_through_the_host() {
    compare(Runtime::Python, "openai_client.py").await;
}

#[tokio::test]
async fn the_python_client_of_anthropic_sees_the_same_through_the_host() {
    compare(Runtime::Python, "anthropic_client.py").await;
}

#[tokio::test]
async fn langchain_sees_the_same_through_the_host() {
    compare(Runtime::Python, "langchain_client.py").await;
}

#[tokio::test]
async fn the_javascript_client_of_ollama_sees_the_same_through_the_host() {
    compare(Runtime::Node, "ollama_client.js").await;
}

#[tokio::test]
async fn the_javascript_client_of_openai_sees_the_same_through_the_host() {
    compare(Runtime::Node, "openai_client.js").await;
}

async fn compare(runtime: Runtime, script: &str) {
    if let Some(sentence) = runtime.missing() {
        eprintln!("{sentence}");
        return;
    }
    let ollama = simulator().await;
    let direct = answers(runtime, script, &ollama, &ollama.url()).await;
    let mut wrong = String::new();
    for answer in direct.iter().filter(|answer| answer.ok == Some(false)) {
        let _infallible = writeln!(wrong, "{} directly: {}", answer.check, answer.saw);
    }
    let ollama = simulator().await;
    let no_plugins = TempDir::new().unwrap();
    let host = Setup::new(&ollama.url()).plugins(no_plugins.path()).start();
    let through = answers(runtime, script, &ollama, &host.url).await;
    wrong.push_str(&differences(&direct, &through));
    assert!(wrong.is_empty(), "{}:\n{wrong}", direct[0].client);
    record::check(&direct, &DIFFERENCES);
}

/// Nothing takes time, and answers are as short as they get.
async fn simulator() -> FakeOllama {
    FakeOllama::start(Config { answer_words: 1, ..Config::instant() }).await.unwrap()
}

/// What a client sees at `url`, behind which `ollama` is.
async fn answers(runtime: Runtime, script: &str, ollama: &FakeOllama, url: &str) -> Vec<Answer> {
    let mut client = Script::start(runtime, script, url);
    let mut answers = Vec::new();
    for check in CHECKS {
        before(check, ollama);
        let answer = client.ask(check).await;
        after(check, ollama).await;
        answers.extend(answer);
    }
    client.end().await;
    answers
}

fn before(check: &str, ollama: &FakeOllama) {
    let after_tokens = 3;
    match check {
        "cancel" => ollama.script([Reply::Stall { after_tokens }]),
        "midstream-error" => {
            let message = "simulated fault".to_owned();
            ollama.script([Reply::MidStreamError { after_tokens, message }]);
        }
        "queue-full" => ollama.faults().refuse(true),
        _ => {}
    }
}

async fn after(check: &str, ollama: &FakeOllama) {
    match check {
        "cancel" => {
            let left = async || ollama.log().iter().any(|request| request.client_left);
            eventually("Ollama sees the client leave", LIMIT, left).await.unwrap();
        }
        "queue-full" => ollama.faults().refuse(false),
        _ => {}
    }
}

/// What is other than it should be, a line each.
fn differences(direct: &[Answer], through: &[Answer]) -> String {
    let mut wrong = String::new();
    for (direct, through) in direct.iter().zip(through) {
        let meant = DIFFERENCES
            .iter()
            .find(|(client, check, _)| (*client, *check) == (&direct.client, &direct.check));
        let expected = meant.map_or(direct.saw.as_str(), |(_, _, saw)| *saw);
        if through.saw != expected {
            let _infallible = writeln!(
                wrong,
                "{} through the host: {}\n    should be: {expected}",
                through.check, through.saw
            );
        }
    }
    wrong
}
