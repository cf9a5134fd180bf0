//! Calls that cost tokens: when they are refused, limited, stopped and settled.

use std::sync::{Arc, Mutex};

use roughneck_jobs::{
    budget::{Answer, Demand, OverBudget, Payer, Renewal, Sheet, Whose},
    clock::Clock as _,
    model::LlmError,
    ports::{
        budgets::{Budgets, Reservation},
        gateway::CallRoute,
    },
    usage::Usage,
};
use roughneck_testkit::{eventually, ollama};
use serde_json::{Value, json};

use crate::{
    gateway::{header, text},
    stage::{QWEN, SOON, Stage, Witness, call, failed},
};

/// Lets calls through and writes down what happens to them.
#[derive(Default)]
pub(crate) struct Purse {
    is_empty: bool,
    /// What an answer may have, and after which it is stopped.
    answer_max: u64,
    said: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Coin {
    answer_max: u64,
    counted: u64,
    said: Arc<Mutex<Vec<String>>>,
}

fn over() -> OverBudget {
    OverBudget {
        whose: Whose::Caller("alice".to_owned()),
        limit: 100,
        spent: 100,
        reserved: 0,
        needs: 10,
        renewal: Renewal::At(Witness::default().now().plus_ms(90_000)),
    }
}

impl Budgets for Purse {
    fn reserve(
        &self,
        payer: &Payer,
        demand: &dyn Fn() -> Demand,
    ) -> Result<Box<dyn Reservation>, OverBudget> {
        let Demand { prompt, answer } = demand();
        self.say(format!("{} wants {answer:?} after {}", payer.kind, prompt.text_bytes));
        if self.is_empty {
            return Err(over());
        }
        let said = Arc::clone(&self.said);
        Ok(Box::new(Coin { answer_max: self.answer_max, counted: 0, said }))
    }

    fn sheet(&self) -> Sheet {
        Sheet::default()
    }
}

impl Purse {
    pub(crate) fn of(answer_max: u64) -> Arc<Self> {
        Arc::new(Self { answer_max, ..Self::default() })
    }

    fn empty() -> Arc<Self> {
        Arc::new(Self { is_empty: true, ..Self::default() })
    }

    fn say(&self, word: String) {
        self.said.lock().unwrap().push(word);
    }

    /// All that was said after the demand.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().iter().skip(1).cloned().collect()
    }
}

impl Coin {
    fn say(&self, word: impl Into<String>) {
        self.said.lock().unwrap().push(word.into());
    }
}

impl Reservation for Coin {
    fn answer_max(&self) -> Option<u64> {
        Some(self.answer_max)
    }
    fn sent(&mut self) {
        self.say("sent");
    }
    fn token(&mut self) -> Result<(), OverBudget> {
        self.counted += 1;
        if self.counted < self.answer_max { Ok(()) } else { Err(over()) }
    }
    fn gave_way(&mut self) {
        self.counted = 0;
        self.say("gave way");
    }
    fn refused(&mut self) {
        self.say("refused");
    }
    fn settle(&mut self, usage: &Usage) {
        self.say(format!("{} and {}", usage.input_tokens, usage.output_tokens));
    }
}

impl Drop for Coin {
    fn drop(&mut self) {
        self.say(format!("dropped after {}", self.counted));
    }
}

async fn stage(purse: &Arc<Purse>) -> Stage {
    Stage::with_budgets(ollama::Config::instant(), Arc::clone(purse) as _, |_| {}).await
}

fn chat(more: &Value) -> Value {
    let mut body = json!({"model": QWEN, "messages": [{"role": "user", "content": "hello"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// With a limit that Anthropic's surface insists on and no answer here reaches.
fn long(stream: bool) -> Value {
    chat(&json!({"stream": stream, "max_tokens": 1000}))
}

#[tokio::test]
async fn a_client_over_budget_is_refused_before_there_is_a_job_in_the_form_of_its_surface() {
    let stage = stage(&Purse::empty()).await;
    for (route, shape) in [
        (CallRoute::Chat, r#"{"error":"the token budget of the caller `alice` has no room until "#),
        (CallRoute::Embed, r#"{"error":"the token budget"#),
        (CallRoute::ChatCompletions, r#"{"error":{"message":"the token budget"#),
        (CallRoute::Responses, r#"{"error":{"message":"the token budget"#),
        (CallRoute::Messages, r#"{"type":"error","error":{"type":"rate_limit_error","message":"#),
    ] {
        let body = chat(&json!({"input": "hello", "max_tokens": 1000}));
        let (reply, visitor) = stage.send(route, &body).await;
        assert_eq!(reply.status, 429, "{}", route.path());
        assert_eq!(header(&reply, "retry-after"), Some("90"));
        assert_eq!(header(&reply, "x-roughneck-code"), Some("over-budget"));
        let text = text(reply).await;
        assert!(text.starts_with(shape), "{text}");
        assert!(visitor.ended().is_empty(), "there was no job yet");
    }
    assert!(stage.bodies("/api/chat").is_empty());
    // Whoever asks nothing of a model spends nothing.
    let (reply, _) = stage.send(CallRoute::Generate, &json!({"model": QWEN})).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_answer_that_ends_by_itself_is_settled_with_its_figures() {
    for (route, stream) in [
        (CallRoute::Chat, true),
        (CallRoute::Chat, false),
        (CallRoute::ChatCompletions, true),
        (CallRoute::ChatCompletions, false),
        (CallRoute::Messages, true),
    ] {
        let purse = Purse::of(10_000);
        let stage = stage(&purse).await;
        stage.ollama.script([ollama::Reply::Text("one two three".to_owned())]);
        let (reply, _) = stage.send(route, &long(stream)).await;
        assert_eq!(reply.status, 200);
        text(reply).await;
        let said = purse.said();
        // Anthropic's surface tells an estimate of the prompt.
        let prompt = if route == CallRoute::Messages { "" } else { "5" };
        assert_eq!((said.len(), said[0].as_str()), (3, "sent"), "{said:?}");
        assert!(said[1].starts_with(prompt) && said[1].ends_with(" and 4"), "{said:?}");
    }
}

#[tokio::test]
async fn an_answer_that_uses_up_its_tokens_is_stopped_and_says_why() {
    let words = || ollama::Reply::Text("word ".repeat(50));
    for (route, end) in [
        (
            CallRoute::Chat,
            "{\"error\":\"the answer was stopped: the token budget of the caller `alice`",
        ),
        (
            CallRoute::ChatCompletions,
            "data: {\"error\":{\"message\":\"the answer was stopped: the token budget",
        ),
        (
            CallRoute::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"",
        ),
    ] {
        let purse = Purse::of(5);
        let stage = stage(&purse).await;
        stage.ollama.script([words()]);
        let (reply, visitor) = stage.send(route, &long(true)).await;
        let text = text(reply).await;
        assert_eq!(text.matches("word").count(), 5, "{text}");
        assert!(text.contains(end) && text.contains("the answer was stopped"), "{text}");
        assert_eq!(visitor.ended(), ["over-budget"]);
        assert_eq!(purse.said(), ["sent", "dropped after 5"]);
        // What is loaded is still loaded, and the lane is free.
        stage.ollama.script([ollama::Reply::Text("x".to_owned())]);
        assert_eq!(stage.send(route, &long(true)).await.0.status, 200);
        assert_eq!(stage.bodies("/api/generate").len(), 1, "it was loaded once");
    }
    let purse = Purse::of(5);
    let stage = stage(&purse).await;
    stage.ollama.script([words()]);
    let (reply, _) = stage.send(CallRoute::Chat, &long(false)).await;
    assert_eq!((reply.status, header(&reply, "retry-after")), (429, Some("90")));
    assert!(text(reply).await.contains("the answer was stopped"));
}

#[tokio::test]
async fn only_an_answer_that_passes_in_one_piece_is_given_a_limit() {
    let purse = Purse::of(7);
    let stage = stage(&purse).await;
    for body in [chat(&json!({})), chat(&json!({"max_tokens": 3})), chat(&json!({"stream": true}))]
    {
        stage.send(CallRoute::ChatCompletions, &body).await;
    }
    let sent = stage.bodies("/v1/chat/completions");
    assert!(sent[0].starts_with(r#"{"max_tokens":7,"#), "{}", sent[0]);
    assert_eq!(sent[1], chat(&json!({"max_tokens": 3})).to_string());
    assert!(!sent[2].contains("max_tokens"), "{}", sent[2]);
}

#[tokio::test]
async fn what_ollama_refuses_is_free_and_a_client_that_leaves_has_paid_for_what_came() {
    let purse = Purse::of(10_000);
    let stage = stage(&purse).await;
    stage.ollama.script([ollama::Reply::Status(400, r#"{"error":"no"}"#.to_owned())]);
    stage.send(CallRoute::Chat, &chat(&json!({}))).await;
    assert_eq!(purse.said(), ["sent", "refused", "dropped after 0"]);

    let purse = Purse::of(10_000);
    let stage = self::stage(&purse).await;
    stage.ollama.script([ollama::Reply::Stall { after_tokens: 3 }]);
    let (reply, _) = stage.send(CallRoute::Chat, &chat(&json!({"stream": true}))).await;
    let roughneck_jobs::ports::gateway::ReplyBody::Stream(mut stream) = reply.body else {
        panic!("it streams")
    };
    futures_util::StreamExt::next(&mut stream).await.unwrap().unwrap();
    drop(stream);
    let settled = async || purse.said().iter().any(|word| word.starts_with("dropped after"));
    eventually("the call is settled", SOON, settled).await.unwrap();
}

#[tokio::test]
async fn a_plugin_s_call_is_refused_limited_and_settled_as_well() {
    let empty = stage(&Purse::empty()).await;
    let error = failed(empty.ask(call(QWEN)).await);
    // When it is renewed depends on when that was.
    let LlmError::OverBudget(told) = error else { panic!("{error:?}") };
    assert_eq!(
        OverBudget { renewal: Renewal::Never, ..told },
        OverBudget { renewal: Renewal::Never, ..over() }
    );

    let purse = Purse::of(9);
    let stage = stage(&purse).await;
    stage.ollama.script([ollama::Reply::Text("one two three".to_owned())]);
    stage.ask(call(QWEN)).await.unwrap();
    assert_eq!(purse.said()[..2], ["sent", "6 and 4"]);
    assert!(stage.bodies("/api/chat")[0].contains(r#""options":{"num_predict":9}"#));
    let options = json!({"num_predict": 4}).as_object().unwrap().clone();
    let named = roughneck_jobs::model::Call { options, ..call(QWEN) };
    stage.ask(named).await.unwrap();
    assert!(stage.bodies("/api/chat")[1].contains(r#""options":{"num_predict":4}"#));
    let said = purse.said.lock().unwrap().clone();
    assert_eq!(said[0], format!("test wants {:?} after {}", Answer::Whole, "Say hello".len() + 16));
    assert!(said.contains(&format!("test wants {:?} after 25", Answer::Limited(4))), "{said:?}");
}
