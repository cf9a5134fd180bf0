//! Clients as their users install them, first straight at a simulated Ollama and then through the host: what they see
//! must be the same. The scripts are in `host/e2e/clients`; `host/docs/clients.md` records what they saw.

mod record;
mod runtime;
mod script;
mod server;

use std::fmt::Write as _;

use runtime::Runtime;
use script::{Answer, Script};
use server::{Busy, Server};

/// In this order: the last one leaves the server with something to clear away.
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
    "midstream-error",
    "queue-full",
    "cancel",
];

/// What is asked while another call holds the lane, so that signs of life come before the answer.
const WAITING: [&str; 2] = ["chat", "stream"];

/// What a client sees otherwise through the host, on purpose: `default` is among the models, and upstream lets half an
/// answer pass for a whole one.
const DIFFERENCES: [(&str, &str, &str); 8] = [
    ("PyPI ollama", "list", LISTED),
    ("npm ollama", "list", LISTED),
    (
        "PyPI langchain-ollama",
        "list",
        "Available local models: qwen3:4b, llama3.2:3b, nomic-embed-text:latest, default",
    ),
    ("PyPI openai", "list", LISTED),
    ("npm openai", "list", LISTED),
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

const LISTED: &str = "qwen3:4b, llama3.2:3b, nomic-embed-text:latest, default";

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
    let direct = answers(runtime, script, &Server::direct().await).await;
    let mut wrong = String::new();
    for answer in direct.iter().filter(|answer| answer.ok == Some(false)) {
        let _infallible = writeln!(wrong, "{} directly: {}", answer.check, answer.saw);
    }
    let through = answers(runtime, script, &Server::behind_host().await).await;
    wrong.push_str(&differences(&direct, &through));
    wrong.push_str(&while_it_waits(runtime, script, &direct).await);
    assert!(wrong.is_empty(), "{}:\n{wrong}", direct[0].client);
    record::check(&direct, &DIFFERENCES);
}

/// What a client sees of `server`.
async fn answers(runtime: Runtime, script: &str, server: &Server) -> Vec<Answer> {
    let mut client = Script::start(runtime, script, server.url());
    let mut answers = Vec::new();
    for check in CHECKS {
        let busy = match check {
            "cancel" => server.stall(),
            "midstream-error" => server.break_off(),
            "queue-full" => server.fill().await,
            _ => Busy::Not,
        };
        let answer = client.ask(check).await;
        server.rest(busy).await;
        answers.extend(answer);
    }
    client.end().await;
    assert!(server.has_kept_pins().await);
    answers
}

/// What a client sees otherwise that has to wait, a line each.
async fn while_it_waits(runtime: Runtime, script: &str, direct: &[Answer]) -> String {
    // A sign of life is a chunk to some clients.
    let said = |answer: &Answer| match answer.saw.split_once(" chunks: ") {
        Some((_, said)) => said.to_owned(),
        None => answer.saw.clone(),
    };
    let server = Server::with_signs_of_life().await;
    let mut client = Script::start(runtime, script, server.url());
    let mut wrong = String::new();
    for check in WAITING {
        let held = server.hold().await;
        let (answer, ()) = tokio::join!(client.ask(check), server.release_once_waited(held));
        let Some(answer) = answer else { continue };
        let expected = direct.iter().find(|known| known.check == check).map(said).unwrap();
        if said(&answer) != expected {
            let _infallible = writeln!(
                wrong,
                "{check} while it waits: {}\n    should be: {expected}",
                answer.saw
            );
        }
    }
    client.end().await;
    wrong
}

/// What is other than it should be, a line each.
fn differences(direct: &[Answer], through: &[Answer]) -> String {
    let checks = |answers: &[Answer]| -> Vec<String> {
        answers.iter().map(|answer| answer.check.clone()).collect()
    };
    assert_eq!(checks(direct), checks(through), "a client offers the same, whoever it asks");
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
