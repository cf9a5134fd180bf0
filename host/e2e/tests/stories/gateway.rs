//! Clients of Ollama's surface: what they see of their jobs, and what others see of them.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode, header::LOCATION};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama, Reply},
    receiver::{Receiver, verify},
};
use serde_json::{Value, json};

use crate::{
    client::http,
    host::{Host, LIMIT, Setup},
};

const MODEL: &str = "qwen3:4b";

/// Clients that wait hear of it soon.
const SOON: &str = "\n[ollama]\nquiet-for = \"50ms\"\n";

/// An Ollama whose answers take half a second.
fn slow() -> Config {
    let mut config = Config { answer_words: 30, ..Config::demo() };
    for model in &mut config.models {
        model.load_time = Duration::ZERO;
        model.decode_tokens_per_s = Some(60.0);
    }
    config
}

fn question(text: &str) -> Value {
    json!({ "model": MODEL, "messages": [{ "role": "user", "content": text }] })
}

/// A client's answer in pieces, as far as it was read.
struct Chat {
    response: Response,
    read: Vec<u8>,
    job: String,
}

impl Host {
    /// Asks in a chat and returns once the answer begins, or the first sign of life.
    async fn chat(&self, text: &str, headers: &[(&'static str, &'static str)]) -> Chat {
        let mut request = http().post(format!("{}/api/chat", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(question(text).to_string()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let job = response.headers()["x-roughneck-job-id"].to_str().unwrap().to_owned();
        Chat { response, read: Vec::new(), job }
    }

    /// Asks in a chat, to come back for the answer, and returns the path of the job.
    async fn chat_later(&self, text: &str) -> String {
        let request = http().post(format!("{}/api/chat", self.url));
        let request = request.header("prefer", "respond-async").body(question(text).to_string());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    /// Waits until the job of a client, which is written down in the background, is in the state.
    async fn sees(&self, id: &str, state: &str) -> Value {
        let path = format!("/jobs/{id}");
        let what = format!("the job {id} of a client is {state}");
        let reached = eventually(&what, LIMIT, async || {
            self.send(Method::GET, &path, "").await.1["state"] == state
        });
        if let Err(late) = reached.await {
            panic!("{late}; it is {:#}", self.send(Method::GET, &path, "").await.1);
        }
        self.job(id).await
    }
}

impl Chat {
    /// The next piece, or none at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.unwrap();
            self.read.extend_from_slice(&chunk.unwrap()?);
        }
    }

    /// Reads until the model has said something.
    async fn word(&mut self) {
        loop {
            let piece = self.next().await.unwrap();
            if piece["message"]["content"].as_str().is_some_and(|text| !text.is_empty()) {
                return;
            }
        }
    }

    /// The last piece of the stream.
    async fn last(&mut self) -> Value {
        let mut last = Value::Null;
        while let Some(piece) = self.next().await {
            last = piece;
        }
        last
    }
}

/// What Ollama was asked, in its order.
fn asked(ollama: &FakeOllama) -> Vec<String> {
    let log = ollama.log();
    let chats = log.iter().filter(|one| one.path == "/api/chat");
    let bodies = chats.map(|one| serde_json::from_slice::<Value>(&one.body).unwrap());
    bodies.map(|body| body["messages"][0]["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_chat_is_a_job_to_look_at_and_costs_what_its_last_piece_says() {
    let ollama = FakeOllama::start(slow()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let mut chat = host.chat("tell me about mills", &[]).await;
    chat.word().await;
    let job = host.sees(&chat.job, "working").await;
    assert_eq!((&job["kind"], &job["class"]), (&json!("ollama.call"), &json!("client")), "{job:#}");
    assert_eq!(job["priority"], "high", "{job:#}");
    let all = host.get("/jobs?state=working").await;
    assert_eq!(all["jobs"][0]["id"], chat.job.as_str(), "{all:#}");

    let last = chat.last().await;
    assert_eq!(last["done"], true, "{last}");
    let job = host.sees(&chat.job, "done").await;
    let usage = &job["usage"];
    assert_eq!(usage["calls"], 1, "{job:#}");
    assert_eq!(usage["input_tokens"], last["prompt_eval_count"], "{job:#}");
    assert_eq!(usage["output_tokens"], last["eval_count"], "{job:#}");
    assert_eq!(job["output"]["done_reason"], "stop", "{job:#}");
    for (r#type, count) in [("input", "prompt_eval_count"), ("output", "eval_count")] {
        let line = format!("roughneck_tokens_total{{model=\"{MODEL}\",type=\"{type}\"}}");
        assert_eq!(host.metric(&line).await, last[count].as_f64(), "{line}");
    }
}

#[tokio::test]
async fn the_job_of_a_chat_is_there_for_whoever_knows_its_id_and_works_from_the_first_word_on() {
    let ollama = FakeOllama::start(slow()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    host.chat("are you there?", &[]).await.last().await;
    for path in ["", "/events", "/artifacts"] {
        let mut chat = host.chat("tell me about mills", &[]).await;
        let request = http().get(format!("{}/jobs/{}{path}", host.url, chat.job));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(host.job(&chat.job).await["state"], "working", "{path}");
        chat.word().await;
    }
}

#[tokio::test]
async fn cancelling_its_job_ends_a_client_s_stream_with_an_error() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 3 }]);
    let host = Setup::new(&ollama.url()).start();
    let mut chat = host.chat("tell me about mills", &[]).await;
    chat.word().await;
    host.sees(&chat.job, "working").await;
    let (status, job) = host.send(Method::DELETE, &format!("/jobs/{}", chat.job), "").await;
    assert_eq!((status, &job["state"]), (StatusCode::OK, &json!("cancelled")), "{job:#}");
    let last = chat.last().await;
    assert_eq!(last, json!({ "error": "request canceled: the job was cancelled" }));
    // The lane is free for the next one.
    assert_eq!(host.chat("and rivers?", &[]).await.last().await["done"], true);
    assert_eq!(host.job(&chat.job).await["state"], "cancelled");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_job_with_it() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 3 }]);
    let host = Setup::new(&ollama.url()).more_config(SOON).start();
    let mut running = host.chat("the first", &[]).await;
    running.word().await;
    let waiting = host.chat("the second", &[]).await;
    assert_eq!(waiting.response.headers()["x-queue-position"], "1");
    host.sees(&waiting.job, "queued").await;
    let (running, waiting) = {
        let jobs = (running.job.clone(), waiting.job.clone());
        drop((waiting, running));
        jobs
    };
    for id in [&running, &waiting] {
        let job = host.sees(id, "cancelled").await;
        assert!(job.to_string().contains("the client left"), "{job:#}");
    }
    eventually("Ollama sees the client leave", LIMIT, async || {
        ollama.log().iter().any(|one| one.path == "/api/chat" && one.client_left)
    })
    .await
    .unwrap();
    assert_eq!(asked(&ollama), ["the first"]);
}

#[tokio::test]
async fn a_killed_host_runs_no_client_s_job_again() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 3 }]);
    let setup = Setup::new(&ollama.url()).more_config(SOON);
    let host = setup.start();
    let mut running = host.chat("the first", &[]).await;
    running.word().await;
    let waiting = host.chat("the second", &[]).await;
    host.sees(&running.job, "working").await;
    host.sees(&waiting.job, "queued").await;
    host.kill_9().await;

    let host = setup.start();
    for id in [&running.job, &waiting.job] {
        let job = host.sees(id, "cancelled").await;
        assert!(job["reason"].as_str().is_some_and(|why| why.contains("host")), "{job:#}");
    }
    assert_eq!(host.chat("the third", &[]).await.last().await["done"], true);
    assert_eq!(asked(&ollama), ["the first", "the third"]);
    for id in [&running.job, &waiting.job] {
        assert_eq!(host.job(id).await["state"], "cancelled");
    }
}

#[tokio::test]
async fn a_host_that_stops_lets_a_running_client_have_its_answer() {
    let ollama = FakeOllama::start(slow()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let mut chat = host.chat("tell me about mills", &[]).await;
    chat.word().await;
    host.signal("TERM");
    assert_eq!(chat.last().await["done"], true);
    assert_eq!(host.wait().await.code(), Some(0));

    let host = setup.start();
    let job = host.job(&chat.job).await;
    assert_eq!(job["state"], "done", "{job:#}");
}

#[tokio::test]
async fn a_client_that_comes_back_later_finds_the_whole_answer() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let path = host.chat_later("tell me about mills").await;
    let job = host.until(path.trim_start_matches("/jobs/"), "done").await;
    let output = &job["output"];
    assert_eq!((&output["model"], &output["done"]), (&json!(MODEL), &json!(true)), "{job:#}");
    assert_eq!(output["message"]["role"], "assistant", "{job:#}");
    let whole = host.chat("tell me about mills", &[]).await;
    assert_eq!(output["message"]["content"], text(whole).await, "{job:#}");
    assert_eq!(job["usage"]["output_tokens"], output["eval_count"], "{job:#}");
}

/// All that a chat says.
async fn text(mut chat: Chat) -> String {
    let mut text = String::new();
    while let Some(piece) = chat.next().await {
        text.push_str(piece["message"]["content"].as_str().unwrap());
    }
    text
}

#[tokio::test]
async fn a_script_of_foreman_is_told_by_its_webhook() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    let mut body = question("tell me about mills");
    body["state_webhook_url"] = json!(receiver.url());
    let (status, accepted) = host.send(Method::POST, "/jobs", &body.to_string()).await;
    assert_eq!((status, &accepted["state"]), (StatusCode::ACCEPTED, &json!("queued")));
    let id = accepted["job_id"].as_str().unwrap();
    let told = receiver.wait_for(1, LIMIT).await.unwrap();
    verify(&setup.secret(), &told[0].headers, &told[0].body).unwrap();
    let event: Value = serde_json::from_slice(&told[0].body).unwrap();
    assert!(event.to_string().contains(id), "{event:#}");
    let job = host.until(id, "done").await;
    assert_eq!(job["output"]["done"], true, "{job:#}");
    let artifacts = host.get(&format!("/jobs/{id}/artifacts")).await;
    let path = artifacts["artifacts"][0]["links"]["self"].as_str().unwrap();
    assert_eq!(path, format!("/jobs/{id}/artifacts/completion"));
    let words = host.get(path).await;
    assert!(words.as_str().unwrap().starts_with("[simulated]"), "{words}");
    assert_eq!(job["output"]["message"]["content"], words);
}

#[tokio::test]
async fn an_urgent_client_goes_before_jobs_that_nobody_waits_for() {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    ollama.script([Reply::Stall { after_tokens: 3 }]);
    let host = Setup::new(&ollama.url()).more_config(SOON).start();
    let mut first = host.chat("the first", &[]).await;
    first.word().await;
    let durable = [host.chat_later("durable one").await, host.chat_later("durable two").await];
    eventually("a durable call waits in the lane", LIMIT, async || {
        host.metric("roughneck_queue_depth{priority=\"normal\"}").await == Some(1.0)
    })
    .await
    .unwrap();
    let mut urgent = host.chat("urgent", &[("x-roughneck-priority", "urgent")]).await;
    assert_eq!(urgent.response.headers()["x-queue-position"], "1");
    drop(first);
    assert_eq!(urgent.last().await["done"], true);
    for path in durable {
        host.until(path.trim_start_matches("/jobs/"), "done").await;
    }
    assert_eq!(asked(&ollama), ["the first", "urgent", "durable one", "durable two"]);
}

#[tokio::test]
async fn sixteen_clients_at_once_are_served_one_after_another() {
    let mut config = Config { answer_words: 5, ..Config::instant() };
    for model in &mut config.models {
        model.decode_tokens_per_s = Some(400.0);
    }
    let ollama = FakeOllama::start(config).await.unwrap();
    let host = Setup::new(&ollama.url()).start();
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..16 {
        let request = http().post(format!("{}/api/chat", host.url));
        let mut body = question(&format!("question {n}"));
        body["stream"] = json!(n % 2 == 0);
        clients.spawn(async move {
            let response = request.body(body.to_string()).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let answer = response.text().await.unwrap();
            let last: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
            assert_eq!(last["done"], true, "{answer}");
        });
    }
    tokio::time::timeout(LIMIT, clients.join_all()).await.unwrap();
    assert_eq!(ollama.in_flight_max(), 1);
    assert_eq!(asked(&ollama).len(), 16);
}
