//! Which models and calls share what Ollama keeps loaded.

use std::time::Duration;

use roughneck_jobs::ports::{gateway::CallRoute, llm::Llm as _};
use roughneck_llm::Config;
use roughneck_testkit::{
    eventually,
    ollama::{self, Model},
};
use serde_json::{Value, json};

use crate::{
    gateway::{chat, header},
    stage::{QWEN, SOON, Stage, call, with_context},
};

const COPY: &str = "copy:latest";
const TERSE: &str = "terse:latest";
const ROOMY: &str = "roomy:latest";

/// The usual models, and some that are made of the weights of the first: a copy, one with other words and parameters for
/// sampling, and one with another context.
fn library() -> ollama::Config {
    let mut simulated = ollama::Config::instant();
    let qwen = simulated.models.first().unwrap().clone();
    let made = |name: &str, parameters: Value| Model {
        digest: name.repeat(8),
        parameters: parameters.as_object().unwrap().clone(),
        ..qwen.alias(name)
    };
    simulated.models.extend([
        qwen.alias(COPY),
        made(TERSE, json!({"temperature": 0.5, "stop": ["never said"]})),
        made(ROOMY, json!({"num_ctx": 8192})),
    ]);
    simulated
}

fn often(config: &mut Config) {
    config.look_every = Duration::from_millis(20);
}

async fn stage() -> Stage {
    let stage = Stage::with(library(), often).await;
    stage.until_known().await;
    stage
}

impl Stage {
    /// How often Ollama has loaded, and how often the host believes that it had it load, for any reason and for these.
    fn loads(&self) -> (usize, [f64; 3]) {
        let swaps = ["cold", "model", "options"].map(|reason| {
            let series = format!(r#"roughneck_model_swaps_total{{reason="{reason}"}}"#);
            self.metric(&series).unwrap()
        });
        (self.ollama.loads().len(), swaps)
    }

    /// Waits until the host knows how the models are made. No call does, so it shows only in what it takes for one model: by
    /// all its names jobs are looked for when a client wants it unloaded, which here does not happen, as one wants it.
    async fn until_known(&self) {
        self.witness.backlog.lock().unwrap().insert(QWEN.to_owned());
        let unload = json!({"model": QWEN, "keep_alive": 0});
        let known = async || {
            let (reply, _) = self.send(CallRoute::Generate, &unload).await;
            assert_eq!(header(&reply, "x-roughneck-kept"), Some("true"));
            let names = self.witness.names.lock().unwrap();
            [COPY, TERSE, ROOMY].iter().all(|name| names.contains(*name))
        };
        eventually("the host knows how the models are made", SOON, known).await.unwrap();
        self.witness.backlog.lock().unwrap().clear();
    }

    /// The next host in front of the same Ollama.
    async fn anew(self) -> Self {
        let stage = Self { lane: self.restarted(often), ..self };
        stage.until_up().await;
        stage
    }

    async fn chat(&self, body: &Value) -> u16 {
        self.send(CallRoute::Chat, body).await.0.status
    }
}

fn shifting(model: &str, shift: Value) -> Value {
    let mut body = chat(model, false);
    body.as_object_mut().unwrap().insert("shift".to_owned(), shift);
    body
}

#[tokio::test]
async fn copies_and_models_with_other_words_share_the_runner_on_every_route() {
    let stage = stage().await;
    for _ in 0..2 {
        for model in [QWEN, COPY, TERSE] {
            stage.ask(call(model)).await.unwrap();
            assert_eq!(stage.chat(&chat(model, true)).await, 200);
            let (reply, _) = stage.send(CallRoute::ChatCompletions, &chat(model, false)).await;
            assert_eq!(reply.status, 200);
            stage.until_looked_twice().await;
        }
    }
    assert_eq!(stage.loads(), (1, [1.0, 0.0, 0.0]));
    assert_eq!(stage.external_all(), 0.0);
}

#[tokio::test]
async fn what_an_earlier_host_loaded_by_one_name_is_there_under_the_others() {
    let stage = stage().await;
    stage.ask(call(TERSE)).await.unwrap();
    let stage = stage.anew().await;
    stage.until_known().await;
    // It may have looked at what is loaded before.
    stage.until_looked_twice().await;
    for model in [QWEN, COPY] {
        stage.ask(call(model)).await.unwrap();
    }
    assert_eq!(stage.loads(), (1, [0.0, 0.0, 0.0]));
}

#[tokio::test]
async fn a_model_with_a_context_of_its_own_is_the_same_one_with_other_options() {
    let stage = stage().await;
    for (asked, loads) in [
        (call(QWEN), (1, [1.0, 0.0, 0.0])),
        (call(ROOMY), (2, [1.0, 0.0, 1.0])),
        (with_context(ROOMY, 8192), (2, [1.0, 0.0, 1.0])),
        (with_context(COPY, 8192), (2, [1.0, 0.0, 1.0])),
        (call(TERSE), (3, [1.0, 0.0, 2.0])),
        (with_context(ROOMY, 2048), (4, [1.0, 0.0, 3.0])),
        (call("fast"), (5, [1.0, 1.0, 3.0])),
        (call(ROOMY), (6, [1.0, 2.0, 3.0])),
    ] {
        let what = format!("{} {:?}", asked.model, asked.options);
        stage.ask(asked).await.unwrap();
        assert_eq!(stage.loads(), loads, "{what}");
    }
    let (reply, _) = stage.send(CallRoute::ChatCompletions, &chat(ROOMY, false)).await;
    assert_eq!((reply.status, stage.loads().0), (200, 6));
}

#[tokio::test]
async fn a_context_that_must_not_shift_is_loaded_for_by_the_host() {
    let stage = stage().await;
    for (body, loads) in [
        (chat(QWEN, false), (1, [1.0, 0.0, 0.0])),
        (shifting(COPY, json!(true)), (1, [1.0, 0.0, 0.0])),
        (shifting(QWEN, json!(false)), (2, [1.0, 0.0, 1.0])),
        (shifting(TERSE, json!(false)), (2, [1.0, 0.0, 1.0])),
        (shifting(QWEN, Value::Null), (3, [1.0, 0.0, 2.0])),
    ] {
        assert_eq!(stage.chat(&body).await, 200);
        assert_eq!(stage.loads(), loads, "{body}");
    }
    let asked = stage.bodies("/api/generate");
    let expected = [
        r#"{"model":"qwen3:4b","stream":false}"#,
        r#"{"model":"qwen3:4b","shift":false,"stream":false}"#,
        r#"{"model":"qwen3:4b","stream":false}"#,
    ];
    assert_eq!(asked, expected);
    assert_eq!(stage.chat(&shifting(QWEN, json!("no"))).await, 400);
}

#[tokio::test]
async fn a_model_that_is_not_shown_is_one_of_its_own_until_it_is() {
    let often = |config: &mut Config| config.poll_every = Duration::from_millis(20);
    let stage = Stage::with(library(), often).await;
    stage.until_known().await;
    stage.ollama.faults().forbid_show(true);
    let late = json!({"model": "late", "from": QWEN, "system": "Be late.", "stream": false});
    assert_eq!(stage.direct("/api/create", &late).await.0, 200);
    stage.ask(call(QWEN)).await.unwrap();
    stage.ask(call("late")).await.unwrap();
    assert_eq!(stage.loads(), (1, [1.0, 1.0, 0.0]), "a load is asked for that is none");

    stage.ollama.faults().forbid_show(false);
    let is_one = async || {
        let before = stage.loads();
        for model in ["late", QWEN] {
            stage.ask(call(model)).await.unwrap();
        }
        stage.loads() == before
    };
    eventually("a later look tells how it is made", SOON, is_one).await.unwrap();
    assert_eq!(stage.ollama.loads().len(), 1);
}

#[tokio::test]
async fn no_call_waits_for_a_model_to_be_shown() {
    let stage = stage().await;
    stage.ollama.faults().mute_show(true);
    let late = json!({"model": "late", "from": QWEN, "system": "Be late.", "stream": false});
    assert_eq!(stage.direct("/api/create", &late).await.0, 200);
    let patience = Config::new("").question_timeout / 2;
    let asked = tokio::time::timeout(patience, stage.ask(call("late"))).await;
    asked.unwrap().unwrap();
    let at_once = async {
        let stage = stage.anew().await;
        stage.ask(call(QWEN)).await.unwrap();
        stage
    };
    let stage = tokio::time::timeout(patience, at_once).await.unwrap();
    assert_eq!(stage.ollama.loads().len(), 1);
}

#[tokio::test]
async fn a_name_that_is_pulled_anew_is_another_model() {
    let stage = stage().await;
    stage.ask(call(QWEN)).await.unwrap();
    let other = json!({"model": QWEN, "from": "llama3.2:3b", "stream": false});
    assert_eq!(stage.direct("/api/create", &other).await.0, 200);
    stage.lane.look().await;
    stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(stage.loads(), (2, [1.0, 1.0, 0.0]));
    stage.ask(call(COPY)).await.unwrap();
    assert_eq!(stage.loads(), (3, [1.0, 2.0, 0.0]), "the copy is what the name was");
}

#[tokio::test]
async fn a_model_that_is_made_anew_while_it_is_loaded_is_no_sign_of_others() {
    let stage = stage().await;
    stage.ask(call(TERSE)).await.unwrap();
    stage.until_looked_twice().await;
    let other = json!({"model": TERSE, "from": "llama3.2:3b", "stream": false});
    assert_eq!(stage.direct("/api/create", &other).await.0, 200);
    let shown = stage.bodies("/api/show").len();
    stage.lane.look().await;
    let learnt = async || stage.bodies("/api/show").len() > shown;
    eventually("it is asked how it is made now", SOON, learnt).await.unwrap();
    stage.until_looked_twice().await;
    assert_eq!(stage.external_all(), 0.0);
    stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(stage.loads(), (1, [1.0, 0.0, 0.0]), "what is loaded has the same weights");
}

#[tokio::test]
async fn jobs_of_what_is_loaded_are_those_that_need_no_load() {
    let stage = stage().await;
    for (asked, preferred) in [
        (call(COPY), vec![COPY, QWEN, TERSE]),
        // What the calls name themselves, those of the next job may as well.
        (with_context(QWEN, 2048), vec![COPY, QWEN, TERSE]),
        (call(ROOMY), vec![ROOMY]),
    ] {
        stage.ask(asked).await.unwrap();
        // Aliases and names without a tag mean the same.
        let mut models = stage.lane.preference().unwrap().models;
        models.retain(|name| name.contains(':'));
        assert_eq!(models.into_iter().collect::<Vec<_>>(), preferred);
    }
}

#[tokio::test]
async fn a_model_is_not_unloaded_while_a_job_waits_for_its_weights() {
    let stage = stage().await;
    stage.ask(call(QWEN)).await.unwrap();
    let unload = json!({"model": COPY, "keep_alive": 0});
    stage.witness.backlog.lock().unwrap().insert(ROOMY.to_owned());
    let (reply, _) = stage.send(CallRoute::Generate, &unload).await;
    assert_eq!(header(&reply, "x-roughneck-kept"), Some("true"));
    stage.ask(call(TERSE)).await.unwrap();
    assert_eq!(stage.loads(), (1, [1.0, 0.0, 0.0]));

    stage.witness.backlog.lock().unwrap().clear();
    let (reply, _) = stage.send(CallRoute::Generate, &unload).await;
    assert_eq!(header(&reply, "x-roughneck-kept"), None);
    stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(stage.loads(), (2, [2.0, 0.0, 0.0]), "by whichever name, it is gone");
}
