//! kill -9 and stops at drawn moments, round after round on one data folder.
//!
//! `ROUGHNECK_ROUNDS` is how many rounds there are, and `ROUGHNECK_LONG=1` lets a stop outlast a lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use reqwest::StatusCode;
use roughneck_simulation::{Dice, again, seeds};
use roughneck_testkit::{
    eventually,
    ollama::{Config, FakeOllama},
    receiver::Receiver,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    client::http,
    host::{Host, LIMIT, Setup},
};

/// What cargo is told, to test what is in this file.
const THIS: &str = "--package roughneck-e2e rounds";

/// Jobs of one round.
const JOBS: usize = 12;

/// Longer than a lease.
const LONG: Duration = Duration::from_secs(70);

/// How a round ends; always with a kill.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Kill,
    /// It stands still for a while, and is killed in its sleep.
    StopAndKill(Duration),
    /// It stands still for a while and goes on, before it is killed.
    StopAndGoOn(Duration),
}

fn ending(dice: &mut Dice) -> Ending {
    let is_long = std::env::var("ROUGHNECK_LONG").is_ok_and(|text| text == "1");
    let stop = if is_long { LONG } else { Duration::from_millis(dice.between(10, 400)) };
    match dice.between(0, 4) {
        0 => Ending::StopAndKill(stop),
        1 => Ending::StopAndGoOn(stop),
        _ => Ending::Kill,
    }
}

/// All jobs that were ever wanted, by the ids that the client made, and those that were accepted.
#[derive(Default)]
struct Book {
    wanted: BTreeMap<String, Value>,
    accepted: BTreeSet<String>,
}

impl Book {
    /// Jobs of a round. Each fourth calls a model, so that it is under way for longer.
    fn want(&mut self, callback: &str) {
        for _ in 0..JOBS {
            let n = self.wanted.len();
            let id = format!("01K9Z4T8N6{n:016}");
            let job = if n.is_multiple_of(4) {
                let text = format!("Rain fell for {n} days. The bridge held. The mill did not.");
                json!({ "id": id, "kind": "summarize", "input": { "text": text }, "callback": callback })
            } else {
                json!({ "id": id, "kind": "echo", "input": { "n": n }, "callback": callback })
            };
            self.wanted.insert(id, job);
        }
    }

    /// Submits all at once that were not accepted yet, and returns when `enough` were, with the others
    /// still on their way.
    async fn submit(&self, host: &Host, enough: usize) -> JoinSet<Option<String>> {
        let accepted = watch::Sender::new(0);
        let mut seen = accepted.subscribe();
        let mut tasks = JoinSet::new();
        for (id, job) in self.wanted.iter().filter(|(id, _)| !self.accepted.contains(*id)) {
            let (id, body, accepted) = (id.clone(), job.to_string(), accepted.clone());
            let request = http().post(format!("{}/jobs", host.url)).body(body);
            tasks.spawn(async move {
                let response = request.send().await.ok()?;
                // 200 if it was accepted by a host that died before it could say so.
                assert!(matches!(response.status(), StatusCode::ACCEPTED | StatusCode::OK));
                accepted.send_modify(|count| *count += 1);
                Some(id)
            });
        }
        let enough = enough.min(tasks.len());
        tokio::time::timeout(LIMIT, seen.wait_for(|count| *count >= enough))
            .await
            .unwrap()
            .unwrap();
        tasks
    }

    async fn heard(&mut self, tasks: JoinSet<Option<String>>) {
        self.accepted.extend(tasks.join_all().await.into_iter().flatten());
    }

    /// Submits what was not accepted yet, and waits until all there is is done.
    async fn all_done(&mut self, host: &Host) {
        let tasks = self.submit(host, usize::MAX).await;
        self.heard(tasks).await;
        for id in &self.accepted {
            host.until(id, "done").await;
        }
    }
}

#[tokio::test]
async fn no_kill_and_no_stop_loses_a_job_or_a_webhook() {
    let rounds = std::env::var("ROUGHNECK_ROUNDS").ok().and_then(|text| text.parse().ok());
    for seed in seeds(1..2).unwrap() {
        println!("{}", again(seed, THIS));
        tell(seed, rounds.unwrap_or(8)).await;
    }
}

async fn tell(seed: u64, rounds: u32) {
    let ollama = FakeOllama::start(quick()).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    // So few slots that one which is lost is missed.
    let setup = Setup::new(&ollama.url()).more_config("[classes]\nio = 2\nollama = 1\n");
    let (mut dice, mut book) = (Dice::new(seed), Book::default());
    for round in 0..rounds {
        let host = setup.start();
        if round % 2 == 0 {
            // A third loss would make a job poison.
            book.all_done(&host).await;
        }
        book.want(&receiver.url());
        let enough = usize::try_from(dice.between(1, 1 + JOBS as u64)).unwrap();
        let tasks = book.submit(&host, enough).await;
        end(host, ending(&mut dice)).await;
        book.heard(tasks).await;
    }
    let host = setup.start();
    book.all_done(&host).await;
    assert_eq!(book.accepted.len(), book.wanted.len());
    let told = check_jobs(&host, &book).await;
    check_webhooks(&receiver, &told).await;
    host.signal("TERM");
    assert_eq!(host.wait().await.code(), Some(0));
}

/// A model that answers a summary in part of a second.
fn quick() -> Config {
    let mut config = Config::demo();
    for model in &mut config.models {
        model.load_time = Duration::from_millis(20);
        model.decode_tokens_per_s = Some(200.0);
    }
    config
}

async fn end(host: Host, ending: Ending) {
    match ending {
        Ending::Kill => {}
        Ending::StopAndKill(stop) => {
            host.signal("STOP");
            pass(stop).await;
        }
        Ending::StopAndGoOn(stop) => {
            host.signal("STOP");
            pass(stop).await;
            host.signal("CONT");
            assert_eq!(host.get("/healthz").await["status"], "ok");
        }
    }
    host.kill_9().await;
}

/// The host stands still for so long: there is no condition to wait for.
async fn pass(duration: Duration) {
    tokio::time::timeout(duration, std::future::pending::<()>()).await.unwrap_err();
}

/// Every job is done once, whatever was lost before. Returns the webhooks that tell it.
async fn check_jobs(host: &Host, book: &Book) -> BTreeSet<String> {
    let (mut told, mut lost) = (BTreeSet::new(), 0);
    for id in &book.accepted {
        let what = format!("the webhook of job {id} is delivered");
        let delivered = async || host.job(id).await["deliveries"][0]["state"] == "delivered";
        eventually(&what, LIMIT, delivered).await.unwrap();
        let job = host.job(id).await;
        let attempts = job["attempts"].as_array().unwrap();
        let (last, before) = attempts.split_last().unwrap();
        assert_eq!(last["outcome"], "done", "{job:#}");
        assert!(before.iter().all(|one| one["outcome"] == "lost"), "{job:#}");
        assert_eq!((&job["attempt"], &job["losses"]), (&json!(1), &json!(before.len())), "{job:#}");
        lost += before.len();
        let deliveries = job["deliveries"].as_array().unwrap();
        assert_eq!(deliveries.len(), 1, "{job:#}");
        told.insert(deliveries[0]["id"].as_str().unwrap().to_owned());
    }
    println!("{} jobs were done; {lost} runs were lost", book.accepted.len());
    assert!(lost > 0, "no kill met a run");
    assert_eq!(told.len(), book.accepted.len());
    told
}

/// Every webhook arrived, and none that no job knows of.
async fn check_webhooks(receiver: &Receiver, told: &BTreeSet<String>) {
    let received = receiver.deliveries();
    let ids: BTreeSet<String> = received
        .iter()
        .map(|delivery| delivery.headers["webhook-id"].to_str().unwrap().to_owned())
        .collect();
    println!("{} webhooks were received for {} ends", received.len(), told.len());
    assert_eq!(&ids, told);
}
