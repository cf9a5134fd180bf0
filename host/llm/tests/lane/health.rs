//! An Ollama that is there and does not do its work.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use roughneck_jobs::{
    clock::Millis,
    model::{Health, LlmError},
    ports::{
        gateway::{CallRoute, Gateway as _, Place},
        llm::Llm as _,
    },
    priority::Priority,
};
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, Page, Reply},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    gateway::{Visitor, chat, client_call, header, text},
    stage::{QWEN, SOON, Stage, call, failed, with_context},
};

/// One that is found out in a moment, and asked again in another one.
async fn impatient(change: impl FnOnce(&mut Config)) -> Stage {
    let quick = |config: &mut Config| {
        config.first_byte = Duration::from_millis(300);
        config.pulse_min = Duration::from_millis(200);
        config.breaker.pause_ms = 50;
        change(config);
    };
    Stage::with(ollama::Config::instant(), quick).await
}

impl Stage {
    async fn until_down(&self) -> String {
        let mut found = None;
        let is_down = async || {
            found = match self.lane.health() {
                Health::Down { reason } => Some(reason),
                Health::Unknown | Health::OnTrial { .. } | Health::Up { .. } => None,
            };
            found.is_some()
        };
        eventually("the lane is down", SOON, is_down).await.unwrap();
        found.unwrap()
    }

    fn pulses_counted(&self, outcome: &str) -> f64 {
        let series = format!(r#"roughneck_upstream_probe_seconds_count{{outcome="{outcome}"}}"#);
        self.metric(&series).unwrap()
    }

    /// What was asked for by the host itself and is no load.
    fn pulses(&self) -> Vec<Value> {
        let asked = self.bodies("/api/generate").into_iter();
        let asked = asked.map(|body| serde_json::from_str::<Value>(&body).unwrap());
        asked.filter(|body| body.pointer("/options/num_predict") == Some(&json!(1))).collect()
    }
}

#[tokio::test]
async fn an_ollama_that_accepts_and_does_not_answer_is_found_out_by_one_token_and_so_is_its_recovery()
 {
    let stage = impatient(|_| {}).await;
    let roomy = || with_context(QWEN, 8192);
    stage.ask(roomy()).await.unwrap();
    assert_eq!(stage.metric("roughneck_upstream_breaker_open"), Some(0.0));
    let rung = stage.witness.rung();
    stage.ollama.faults().mute(true);

    let error = failed(stage.ask(roomy()).await);
    assert_eq!(
        error,
        LlmError::BrokenOff("Ollama sent nothing of its answer for 300ms".to_owned())
    );
    let reason = stage.until_down().await;
    for words in ["accepts connections and does not answer", "restart Ollama"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(stage.metric("roughneck_upstream_breaker_open"), Some(1.0));
    assert_eq!(stage.metric("roughneck_upstream_up"), Some(1.0), "it says what it has");
    // What needs it waits elsewhere; it is accepted all the same.
    let error = failed(stage.ask(roomy()).await);
    assert!(matches!(error, LlmError::Unwell { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!((error.code(), error.to_string()), ("ollama-unavailable", reason));
    stage.lane.resolve(QWEN).await.unwrap();

    stage.ollama.faults().mute(false);
    stage.until_up().await;
    assert_eq!(stage.witness.rung(), rung + 1, "jobs may go");
    stage.ask(roomy()).await.unwrap();
    assert!(stage.pulses_counted("silent") >= 1.0 && stage.pulses_counted("answered") == 1.0);
    assert_eq!(stage.metric("roughneck_upstream_breaker_open"), Some(0.0));
    assert_eq!(stage.ollama.loads().len(), 1, "no pulse has loaded anything");
    let pulse = &stage.pulses()[0];
    assert_eq!(pulse["options"], json!({"num_ctx": 8192, "num_predict": 1}));
    let keep = pulse["keep_alive"].as_str().unwrap().trim_end_matches('s');
    assert!(
        (200..=300).contains(&keep.parse::<u64>().unwrap()),
        "it expires when it would have: {keep}"
    );
}

#[tokio::test]
async fn clients_wait_for_an_ollama_that_is_ill_and_are_told_so_at_last() {
    let stage = impatient(|config| config.away_patience = Duration::from_millis(400)).await;
    stage.ask(call(QWEN)).await.unwrap();
    stage.ollama.faults().mute(true);
    failed(stage.ask(call(QWEN)).await);
    let reason = stage.until_down().await;
    for route in [CallRoute::Chat, CallRoute::ChatCompletions] {
        let (reply, visitor) = stage.send(route, &chat(QWEN, true)).await;
        assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("10")));
        let said = text(reply).await;
        assert!(said.contains(&reason) && said.starts_with("{\"error\":"), "{said}");
        assert!(visitor.ended().is_empty(), "there was no job yet");
    }
}

#[tokio::test]
async fn clients_that_wait_for_an_ollama_that_is_ill_are_answered_when_it_recovers() {
    let stage = impatient(|config| config.away_patience = SOON).await;
    stage.ask(call(QWEN)).await.unwrap();
    stage.ollama.faults().mute(true);
    failed(stage.ask(call(QWEN)).await);
    stage.until_down().await;
    let recovers = async {
        let asked = async || stage.pulses().len() >= 3;
        eventually("it is asked again and again", SOON, asked).await.unwrap();
        stage.ollama.faults().mute(false);
    };
    let body = chat(QWEN, false);
    let ((reply, _), ()) = tokio::join!(stage.send(CallRoute::Chat, &body), recovers);
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn those_who_wait_already_wait_on_until_the_patience_is_over() {
    let stage =
        Arc::new(impatient(|config| config.away_patience = Duration::from_millis(400)).await);
    stage.ask(call(QWEN)).await.unwrap();
    stage.ollama.faults().mute(true);
    // The second one waits for its turn while the first one waits for an answer.
    let ask = |stage: &Arc<Stage>| {
        let stage = Arc::clone(stage);
        tokio::spawn(async move { stage.send(CallRoute::Chat, &chat(QWEN, false)).await })
    };
    let first = ask(&stage);
    let asked = async || stage.bodies("/api/chat").len() == 2;
    eventually("the first is sent", SOON, asked).await.unwrap();
    let second = ask(&stage);
    assert_eq!(first.await.unwrap().0.status, 502);
    let (reply, visitor) = second.await.unwrap();
    assert_eq!((reply.status, visitor.ended()), (503, vec!["ollama-unavailable".to_owned()]));
    assert_eq!(stage.bodies("/api/chat").len(), 2, "it was never sent");
    let errors = r#"roughneck_requests_total{model="qwen3:4b",outcome="error"}"#;
    assert_eq!(stage.metric(errors), Some(1.0));
}

#[tokio::test]
async fn a_restart_of_ollama_costs_no_client_its_call_that_still_waits() {
    let stage = Arc::new(Stage::with(ollama::Config::instant(), |_| {}).await);
    stage.ollama.script([Reply::Stall { after_tokens: 1 }]);
    let ask = |stage: &Arc<Stage>| {
        let stage = Arc::clone(stage);
        tokio::spawn(async move { stage.send(CallRoute::Chat, &chat(QWEN, false)).await })
    };
    let runs = ask(&stage);
    let asked = async || stage.bodies("/api/chat").len() == 1;
    eventually("the first is sent", SOON, asked).await.unwrap();
    let waiting = [ask(&stage), ask(&stage), ask(&stage)];
    let depth = r#"roughneck_queue_depth{priority="high"}"#;
    let wait = async || stage.metric(depth) == Some(3.0);
    eventually("the others wait", SOON, wait).await.unwrap();

    stage.ollama.stop_listening().await;
    assert_eq!(runs.await.unwrap().0.status, 502, "it was being answered");
    let is_open = async || stage.metric("roughneck_upstream_breaker_open") == Some(1.0);
    eventually("the lane is stopped", SOON, is_open).await.unwrap();
    eventually("the others wait again", SOON, wait).await.unwrap();
    stage.ollama.listen_again().await.unwrap();
    for waits in waiting {
        let (reply, visitor) = waits.await.unwrap();
        assert_eq!((reply.status, visitor.ended().len()), (200, 1));
    }
    let ok = r#"roughneck_requests_total{model="qwen3:4b",outcome="ok"}"#;
    assert_eq!((stage.metric(ok), stage.metric(depth)), (Some(3.0), Some(0.0)));
}

#[tokio::test]
async fn a_client_whose_call_finds_ollama_away_waits_for_as_long_as_it_would_have() {
    for (patience, status) in [(Duration::from_millis(300), 503), (SOON, 200)] {
        let change = |config: &mut Config| {
            config.away_patience = patience;
            config.embedder = Some("nomic-embed-text".to_owned());
        };
        let stage = Stage::with(ollama::Config::instant(), change).await;
        let embeds = json!({"model": "nomic-embed-text", "input": "hello"});
        for (route, body) in [(CallRoute::Chat, chat(QWEN, false)), (CallRoute::Embed, embeds)] {
            let call = client_call(route, Bytes::from(body.to_string()));
            let admitted = stage.lane.admit(call).await.map_err(|reply| reply.status).unwrap();
            stage.ollama.stop_listening().await;
            let visitor = Visitor::of(&stage);
            let place = Place { rank: Millis(0), priority: Priority::HIGH };
            let asked_at = Instant::now();
            let returns = async {
                let down = async || matches!(stage.lane.health(), Health::Down { .. });
                eventually("the host knows", SOON, down).await.unwrap();
                if status == 200 {
                    stage.ollama.listen_again().await.unwrap();
                }
            };
            let run = admitted.run(place, Arc::clone(&visitor) as _);
            let (reply, ()) = tokio::join!(run, returns);
            assert_eq!(reply.status, status, "{route:?}");
            if status == 503 {
                assert!(asked_at.elapsed() >= patience, "{route:?}");
                assert_eq!(visitor.ended(), ["ollama-unavailable"]);
                stage.ollama.listen_again().await.unwrap();
            }
            stage.until_up().await;
        }
    }
}

#[tokio::test]
async fn those_who_wait_for_an_ollama_that_is_away_are_counted_and_limited() {
    let body = chat(QWEN, false);
    let bytes = body.to_string().len();
    // By number, by bytes, and not at all if one is too large that nobody is beside.
    for (waiting_max, waiting_bytes_max, may_wait) in
        [(2, usize::MAX, 2), (512, 3 * bytes - 1, 2), (512, 1, 1)]
    {
        let change = |config: &mut Config| {
            config.away_patience = SOON;
            (config.waiting_max, config.waiting_bytes_max) = (waiting_max, waiting_bytes_max);
        };
        let stage = Arc::new(Stage::with(ollama::Config::instant(), change).await);
        stage.ollama.stop_listening().await;
        stage.lane.look().await;
        let waiting: Vec<_> = (0..may_wait)
            .map(|_| {
                let (stage, body) = (Arc::clone(&stage), body.clone());
                tokio::spawn(async move { stage.send(CallRoute::Chat, &body).await.0.status })
            })
            .collect();
        let depth = || stage.metric(r#"roughneck_queue_depth{priority="high"}"#);
        let wait = async || depth() == Some(f64::from(may_wait));
        eventually("they wait", SOON, wait).await.unwrap();
        let all = f64::from(may_wait) * bytes as f64;
        assert_eq!(stage.metric("roughneck_queue_bytes"), Some(all));

        let (reply, _) = stage.send(CallRoute::Chat, &body).await;
        assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("10")));
        let full =
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#;
        assert_eq!(text(reply).await, full);

        stage.ollama.listen_again().await.unwrap();
        for waits in waiting {
            assert_eq!(waits.await.unwrap(), 200);
        }
        assert_eq!((depth(), stage.metric("roughneck_queue_bytes")), (Some(0.0), Some(0.0)));
    }
}

#[tokio::test]
async fn an_ollama_that_is_restarted_is_tried_at_once() {
    let rests_long = |config: &mut Config| {
        config.breaker.pause_ms = 3_600_000;
        config.look_every = Duration::from_millis(30);
    };
    let stage = impatient(rests_long).await;
    stage.ask(call(QWEN)).await.unwrap();
    stage.ollama.faults().mute(true);
    failed(stage.ask(call(QWEN)).await);
    stage.until_down().await;
    stage.ollama.stop_listening().await;
    stage.ollama.faults().mute(false);
    stage.ollama.listen_again().await.unwrap();
    let tries = async || matches!(stage.lane.health(), Health::OnTrial { .. });
    eventually("the next call tries", SOON, tries).await.unwrap();
    stage.ask(call(QWEN)).await.unwrap();
    stage.until_up().await;
}

#[tokio::test]
async fn where_failures_follow_each_other_and_nothing_is_loaded_one_call_tries() {
    let stage = impatient(|config| config.breaker.pause_ms = 300).await;
    stage.ollama.faults().fail_next(5);
    for model in [QWEN, "fast", QWEN] {
        let error = failed(stage.ask(call(model)).await);
        assert!(matches!(error, LlmError::Refused { status: 500, .. }), "{error:?}");
    }
    let tries = async || matches!(stage.lane.health(), Health::OnTrial { .. });
    eventually("the next call tries", SOON, tries).await.unwrap();
    failed(stage.ask(call(QWEN)).await);
    assert!(tries().await, "another model may tell more");
    failed(stage.ask(call("fast")).await);
    let reason = stage.until_down().await;
    assert!(reason.contains("the call that tried has failed, too: status 500"), "{reason}");
    assert!(stage.pulses().is_empty(), "nothing is loaded that could be asked");

    eventually("the next call tries", SOON, tries).await.unwrap();
    stage.ask(call(QWEN)).await.unwrap();
    assert!(matches!(stage.lane.health(), Health::Up { .. }));
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_refused_in_ollama_s_words_and_stops_no_other() {
    let stage = impatient(|config| config.breaker.pause_ms = 3_600_000).await;
    stage.ollama.faults().break_model("llama3.2:3b", true);
    let chat = async |model| {
        let (reply, _) = stage.send(CallRoute::Chat, &chat(model, false)).await;
        let status = reply.status;
        (status, text(reply).await)
    };
    let died = r#"{"error":"llama runner process has terminated: simulated fault"}"#;
    assert_eq!(chat(QWEN).await.0, 200);
    for _ in 0..3 {
        assert_eq!(chat("fast").await, (500, died.to_owned()));
    }
    let loads = stage.bodies("/api/generate").len();
    assert_eq!(chat(QWEN).await.0, 200, "it waits for nothing");
    assert_eq!(chat("fast").await, (500, died.to_owned()));
    assert_eq!(chat(QWEN).await.0, 200);
    assert_eq!(stage.bodies("/api/generate").len(), loads + 1, "it was not put out");
    let error = failed(stage.ask(call("fast")).await);
    assert!(matches!(error, LlmError::Unwell { .. }), "a job waits: {error:?}");
    assert!(matches!(stage.lane.health(), Health::Up { .. }));
    assert_eq!(stage.metric("roughneck_upstream_breaker_open"), Some(0.0));
}

#[tokio::test]
async fn an_ollama_that_cannot_load_the_only_model_that_is_asked_for_is_not_said_to_be_well() {
    let stage = impatient(|config| config.breaker.pause_ms = 200).await;
    stage.ollama.faults().break_model(QWEN, true);
    for _ in 0..3 {
        failed(stage.ask(call(QWEN)).await);
    }
    let said = async |words: &str| {
        let says = async || match stage.lane.health() {
            Health::OnTrial { reason } => reason.contains(words),
            Health::Unknown | Health::Up { .. } | Health::Down { .. } => false,
        };
        eventually("it is said", SOON, says).await.unwrap();
    };
    let died = "status 500: llama runner process has terminated";
    said(&format!("3 calls in a row have failed, the last one: {died}")).await;
    failed(stage.ask(call(QWEN)).await);
    said(&format!("the call that tried has failed, too: {died}")).await;
    // Others may go, of which nobody knows whether they could be loaded.
    stage.ask(call("fast")).await.unwrap();
    assert!(matches!(stage.lane.health(), Health::Up { .. }));
}

#[tokio::test]
async fn a_model_that_could_not_be_loaded_is_tried_again() {
    let stage = impatient(|_| {}).await;
    let faults = stage.ollama.faults();
    faults.break_model(QWEN, true);
    for _ in 0..3 {
        failed(stage.ask(call(QWEN)).await);
    }
    faults.break_model(QWEN, false);
    let answers = async || stage.ask(call(QWEN)).await.is_ok();
    eventually("it is loaded", SOON, answers).await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_at_fault_itself_does_not_make_ollama_ill() {
    let stage = impatient(|_| {}).await;
    stage.ask(call(QWEN)).await.unwrap();
    let too_large = r#"{"error":"model requires more system memory (9.1 GiB) than is available"}"#;
    let nonsense = r#"{"error":"\"m\" does not support tools"}"#;
    for (status, body) in [(500, too_large), (400, nonsense), (500, too_large), (503, nonsense)] {
        stage.ollama.script([Reply::Status(status, body.to_owned())]);
        failed(stage.ask(call(QWEN)).await);
    }
    stage.ask(call(QWEN)).await.unwrap();
    assert!(stage.pulses().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_after_a_long_silence_makes_the_host_ask_and_one_that_leaves_soon_does_not()
 {
    let stage = impatient(|config| config.first_byte = SOON).await;
    stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
    for (silence, pulses) in [(Duration::ZERO, 0.0), (Duration::from_millis(300), 1.0)] {
        stage.ollama.script([Reply::Stall { after_tokens: 0 }]);
        let before = stage.bodies("/api/chat").len();
        let asked_at = Instant::now();
        let body = chat(QWEN, true);
        let leaves =
            async || stage.bodies("/api/chat").len() > before && asked_at.elapsed() >= silence;
        tokio::select! {
            _ = stage.send(CallRoute::Chat, &body) => panic!("nobody answers"),
            left = eventually("it is time to leave", SOON, leaves) => left.unwrap(),
        }
        // Whatever follows, it follows before the next call.
        let (reply, _) = stage.send(CallRoute::Chat, &chat(QWEN, false)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(stage.pulses_counted("answered"), pulses, "after {silence:?}");
    }
}

#[tokio::test]
async fn what_answers_and_is_not_ollama_has_answered_nobody() {
    let stage = Stage::new().await;
    let html = |status| Page { status, r#type: "text/html", body: "<html>login</html>" };
    let empty = Page { status: 204, r#type: "text/plain", body: "" };
    for page in [html(200), html(302), empty] {
        for (route, stream) in [
            (CallRoute::Chat, false),
            (CallRoute::Chat, true),
            (CallRoute::ChatCompletions, false),
            (CallRoute::ChatCompletions, true),
        ] {
            stage.ollama.faults().intercept(Some(page));
            let (reply, visitor) = stage.send(route, &chat(QWEN, stream)).await;
            let case = format!("{} {} {stream}", page.status, route.path());
            assert_eq!(reply.status, 502, "{case}");
            let said = text(reply).await;
            assert!(said.contains("what answers is not Ollama (status "), "{case}: {said}");
            assert_eq!(visitor.ended(), ["ollama-broke-off"], "{case}");
            // One that is answered in between, or the host would look whether Ollama is well.
            stage.ollama.faults().intercept(None);
            assert_eq!(stage.send(route, &chat(QWEN, stream)).await.0.status, 200, "{case}");
        }
    }
}
