use roughneck_jobs::{
    budget::{OverBudget, Renewal, Whose},
    clock::{Clock as _, Millis},
    failure::Disposition,
    manifest::LlmWish,
    model::{Message, Role, Tool, ToolCall},
    ports::runner::Standing,
    priority::Priority,
};
use serde_json::json;

use super::*;
use crate::fake::{World, told};

fn world() -> World {
    World::new().wants(|wanted| wanted.llm = Some(LlmWish { models: vec!["*".into()] }))
}

fn turn(text: &str) -> Message {
    Message {
        role: Role::User,
        text: text.to_owned(),
        images: Vec::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

fn ask(session: &mut Session, model: &str) -> Request {
    let mut request = session.llm_request(model.to_owned()).unwrap();
    request.push(turn("hello"));
    request
}

#[tokio::test]
async fn an_answer_is_shown_while_it_comes_and_paid_for_once() {
    let world = world();
    world.llm.answer(&["Hel", "lo"]);
    let mut session = world.session();
    let request = ask(&mut session, "default");
    let completion = session.complete(request).await.unwrap();
    assert_eq!(completion.text, "Hello");
    let seen = world.supervisor.seen();
    assert_eq!((seen.text.as_str(), seen.usage.calls), ("Hello", 1));
}

#[tokio::test]
async fn a_stream_is_pulled_piece_by_piece_and_finished() {
    let world = world();
    world.llm.answer(&["a", "b", "c"]);
    let mut session = world.session();
    let request = ask(&mut session, "default");
    let mut stream = session.open_stream(request).await.unwrap();
    assert_eq!(session.next_piece(&mut stream).await.unwrap().as_deref(), Some("a"));
    assert_eq!(world.supervisor.seen().usage.calls, 0);
    let completion = session.finish(stream).await.unwrap();
    assert_eq!(completion.text, "abc");
    let seen = world.supervisor.seen();
    assert_eq!((seen.text.as_str(), seen.usage.calls), ("abc", 1));
}

#[tokio::test]
async fn the_lane_is_told_whether_the_guest_sees_pieces() {
    let world = world();
    let mut session = world.session();
    let request = ask(&mut session, "default");
    session.complete(request).await.unwrap();
    let request = ask(&mut session, "default");
    drop(session.open_stream(request).await.unwrap());
    let told: Vec<Delivery> = world.llm.calls().iter().map(|call| call.delivery).collect();
    assert_eq!(told, [Delivery::Whole, Delivery::Pieces]);
}

#[tokio::test]
async fn the_kind_s_context_length_applies_unless_the_guest_sets_one() {
    let world = world().num_ctx(8192);
    let mut session = world.session();
    let request = ask(&mut session, "default");
    session.complete(request).await.unwrap();
    let mut request = ask(&mut session, "default");
    request.set_option("ollama.num_ctx", "16384");
    session.complete(request).await.unwrap();
    let calls = world.llm.calls();
    assert_eq!(calls[0].options["num_ctx"], json!(8192));
    assert_eq!(calls[1].options["num_ctx"], json!(16_384));
}

#[tokio::test]
async fn setters_become_clamped_options_of_ollama() {
    let world = world();
    let mut session = world.session();
    let mut request = ask(&mut session, "default");
    request.temperature(9.0);
    request.seed(u64::MAX);
    request.max_output_tokens(0);
    request.stop(vec!["END".into()]);
    request.response_schema(r#"{"type":"object"}"#.into());
    session.complete(request).await.unwrap();
    let call = &world.llm.calls()[0];
    let expected = json!({
        "temperature": 2.0, "seed": i64::MAX, "num_predict": 1, "stop": ["END"],
    });
    assert_eq!(serde_json::Value::Object(call.options.clone()), expected);
    assert_eq!(call.response_schema.as_deref(), Some(r#"{"type":"object"}"#));
    assert_eq!(call.plugin, "probe");
    assert_eq!((call.rank, call.priority), (Millis(7), Priority::HIGH), "of the job");
}

#[tokio::test]
async fn the_model_must_be_in_the_manifest_and_in_the_grant() {
    let wants = |models: &[&str]| {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        World::new().wants(|wanted| wanted.llm = Some(LlmWish { models }))
    };
    let narrow = wants(&["small:*"]);
    let mut session = narrow.session();
    let request = ask(&mut session, "huge:70b");
    let error = told(session.complete(request).await);
    assert_eq!(error.code, "model-not-granted");
    assert!(error.message.contains("`huge:70b`; add it to `llm.models`"), "{error}");

    let ungranted = wants(&["*"]).grant(|grant| grant.models = vec!["small:*".into()]);
    let mut session = ungranted.session();
    let request = ask(&mut session, "huge:70b");
    let error = told(session.complete(request).await);
    assert!(error.message.contains("add it to `models` under [grants.probe]"), "{error}");
    assert!(ungranted.llm.calls().is_empty());
}

#[tokio::test]
async fn an_alias_is_allowed_by_the_name_it_stands_for() {
    let world = world().grant(|grant| grant.models = vec!["small:*".into()]);
    world.llm.alias("default", "small:1b");
    world.llm.alias("other", "huge:70b");
    let mut session = world.session();
    let request = ask(&mut session, "default");
    assert!(session.complete(request).await.is_ok());
    let request = ask(&mut session, "other");
    assert_eq!(told(session.complete(request).await).code, "model-not-granted");
}

#[tokio::test]
async fn the_first_mistake_of_a_request_is_told_when_it_is_sent() {
    type Mistake = fn(&mut Request);
    let table: [(Mistake, &str, &str); 10] = [
        (|r| r.temperature(f32::NAN), "invalid-request", "not a number"),
        (|r| r.set_option("ollama.num_gpu", "1"), "option-not-allowed", "allowed are"),
        (|r| r.response_schema("[]".into()), "invalid-request", "not a JSON object"),
        (
            |r| r.response_schema(format!("{{\"a\":\"{}\"}}", "x".repeat(256 << 10))),
            "invalid-request",
            "the response schema has at most 262144 bytes",
        ),
        (
            |r| r.push(Message { images: vec![Vec::new(); 65], ..turn("x") }),
            "invalid-request",
            "a message has at most 64 images",
        ),
        (
            |r| {
                let call =
                    ToolCall { id: "1".into(), name: "t".into(), arguments_json: "{}".into() };
                r.push(Message { tool_calls: vec![call; 65], ..turn("x") });
            },
            "invalid-request",
            "a message has at most 64 tool calls",
        ),
        (|r| r.stop(vec![String::new(); 17]), "invalid-request", "at most 16 stop"),
        (|r| (0..1000).for_each(|_| r.push(turn("x"))), "invalid-request", "at most 1000 messages"),
        (|r| r.push(turn(&"x".repeat(33 << 20))), "request-too-large", "one request"),
        (
            |r| {
                r.tool(Tool {
                    name: "t".into(),
                    description: String::new(),
                    parameters_schema: "no".into(),
                });
            },
            "invalid-request",
            "the schema of a tool",
        ),
    ];
    for (mistake, code, sentence) in table {
        let world = world();
        let mut session = world.session();
        let mut request = ask(&mut session, "default");
        mistake(&mut request);
        request.temperature(f32::NAN);
        let error = told(session.complete(request).await);
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(sentence), "{error}");
        assert!(world.llm.calls().is_empty());
    }
}

#[tokio::test]
async fn a_request_without_a_message_or_a_model_is_refused() {
    let world = world();
    let mut session = world.session();
    let empty = session.llm_request("default".into()).unwrap();
    assert!(told(session.complete(empty).await).message.contains("at least one message"));
    let nameless = ask(&mut session, "");
    assert!(told(session.complete(nameless).await).message.contains("1 to 256 bytes"));
}

#[tokio::test]
async fn an_unavailable_ollama_is_remembered_until_it_answers_again() {
    for failure in [
        LlmError::Unavailable { url: "http://o".into(), why: "refused".into() },
        LlmError::Unwell { url: "http://o".into(), why: "no token".into() },
    ] {
        let world = world();
        let mut session = world.session();
        let request = ask(&mut session, "default");
        world.llm.fail(failure);
        let error = told(session.complete(request).await);
        assert_eq!((error.code.as_str(), error.retryable), ("ollama-unavailable", true));
        assert_eq!(session.withheld().unwrap().code, "ollama-unavailable");
        world.llm.answer(&["back"]);
        let request = ask(&mut session, "default");
        session.complete(request).await.unwrap();
        assert_eq!(session.withheld(), None);
    }
}

#[tokio::test]
async fn a_budget_without_room_is_told_with_its_renewal_and_remembered() {
    let over = |whose, renewal| {
        LlmError::OverBudget(OverBudget {
            whose,
            limit: 100,
            spent: 70,
            reserved: 20,
            needs: 50,
            renewal,
        })
    };
    let kind = Whose::Kind("probe".into());
    let now = World::new().clock.now();
    for (failure, code, retryable, retry_after_ms) in [
        (over(kind.clone(), Renewal::At(now.plus_ms(5_000))), "over-budget", true, Some(5_000)),
        (over(kind.clone(), Renewal::Soon), "over-budget", true, None),
        (over(kind, Renewal::Never), "over-budget", false, None),
        (over(Whose::Job, Renewal::Never), "job-over-budget", false, None),
    ] {
        let world = world();
        let mut session = world.session();
        let request = ask(&mut session, "default");
        world.llm.fail(failure);
        let error = told(session.complete(request).await);
        assert_eq!((error.code.as_str(), error.retryable), (code, retryable));
        assert_eq!(error.retry_after_ms, retry_after_ms);
        let why = session.withheld().unwrap();
        assert_eq!((why.code.as_str(), why.retry_after_ms), (code, retry_after_ms));
        let disposition = if retryable { Disposition::Retry } else { Disposition::Fail };
        assert_eq!(why.disposition, disposition);
    }
}

#[tokio::test]
async fn a_model_that_may_not_be_asked_ends_the_job_if_the_guest_fails_for_it() {
    let world = world();
    let mut session = world.session();
    let request = ask(&mut session, "default");
    world.llm.fail(LlmError::CloudDisabled { model: "kimi:cloud".into() });
    let error = told(session.complete(request).await);
    assert_eq!((error.code.as_str(), error.retryable), ("cloud-disabled", false));
    let failure = session.withheld().unwrap();
    assert_eq!((failure.code.as_str(), failure.disposition), ("cloud-disabled", Disposition::Fail));
    world.llm.answer(&["here"]);
    let request = ask(&mut session, "default");
    session.complete(request).await.unwrap();
    assert_eq!(session.withheld(), None, "another model would do");
}

#[tokio::test]
async fn a_call_goes_on_the_account_of_its_kind_and_its_job() {
    let world = world().limits(|limits| limits.job_tokens_max = Some(9));
    let mut session = world.session();
    let request = ask(&mut session, "default");
    session.complete(request).await.unwrap();
    let payer = &world.llm.calls()[0].payer;
    assert_eq!((payer.kind.as_str(), payer.caller.as_deref()), ("probe", None));
    assert_eq!(payer.job.map(|job| (job.spent, job.max)), Some((0, Some(9))));
}

#[tokio::test]
async fn a_call_goes_on_the_account_of_whom_its_job_is_for() {
    let world = world().caller("alice");
    let mut session = world.session();
    let request = ask(&mut session, "default");
    session.complete(request).await.unwrap();
    assert_eq!(world.llm.calls()[0].payer.caller.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_job_from_before_its_kind_was_renamed_pays_from_the_account_of_the_kind() {
    let world = world();
    let mut session = world.session_of("old-probe");
    let request = ask(&mut session, "default");
    session.complete(request).await.unwrap();
    assert_eq!(world.llm.calls()[0].payer.kind, "probe");
}

#[tokio::test]
async fn errors_of_ollama_keep_their_code_and_advice() {
    let table = [
        (LlmError::Refused { status: 503, message: "busy".into() }, "ollama-busy", true),
        (LlmError::Refused { status: 400, message: "no".into() }, "ollama-refused", false),
        (LlmError::Full { waiting_max: 512 }, "lane-full", true),
        (LlmError::BrokenOff("eof".into()), "ollama-broke-off", true),
        (
            LlmError::NotInstalled { model: "x".into(), hint: String::new() },
            "model-not-installed",
            false,
        ),
    ];
    for (failure, code, retryable) in table {
        let world = world();
        let mut session = world.session();
        let request = ask(&mut session, "default");
        world.llm.fail(failure);
        let error = told(session.complete(request).await);
        assert_eq!((error.code.as_str(), error.retryable), (code, retryable));
        assert_eq!(session.withheld(), None);
    }
}

#[tokio::test]
async fn a_run_that_loses_its_job_while_it_streams_shows_nothing_more() {
    let world = world();
    world.llm.answer(&["a", "b"]);
    let mut session = world.session();
    let request = ask(&mut session, "default");
    let mut stream = session.open_stream(request).await.unwrap();
    session.next_piece(&mut stream).await.unwrap();
    world.supervisor.stand(Standing::Fenced);
    assert_eq!(told(session.finish(stream).await).code, "fenced");
    let seen = world.supervisor.seen();
    assert_eq!((seen.text.as_str(), seen.usage.calls), ("a", 0));
}

#[tokio::test]
async fn a_guest_cannot_wait_for_the_lane_that_it_holds_itself() {
    let world = world();
    world.llm.answer(&["a"]);
    let mut session = world.session();
    let request = ask(&mut session, "default");
    let mut stream = session.open_stream(request).await.unwrap();
    let second = ask(&mut session, "default");
    let error = told(session.complete(second).await);
    assert_eq!(error.code, "stream-open");
    assert!(error.message.contains("finish or drop it"), "{error}");
    while session.next_piece(&mut stream).await.unwrap().is_some() {}
    let third = ask(&mut session, "default");
    assert!(session.complete(third).await.is_ok(), "a stream that ended still holds the lane");
    let fourth = ask(&mut session, "default");
    drop(session.open_stream(fourth).await.unwrap());
    let last = ask(&mut session, "default");
    assert!(session.complete(last).await.is_ok());
}

#[tokio::test]
async fn a_stream_that_broke_stays_broken_and_frees_the_lane() {
    let world = world();
    world.llm.answer(&["a"]);
    world.llm.break_off();
    let mut session = world.session();
    let request = ask(&mut session, "default");
    let mut stream = session.open_stream(request).await.unwrap();
    session.next_piece(&mut stream).await.unwrap();
    assert_eq!(
        told(session.next_piece(&mut stream).await.map_err(Refusal::from)).code,
        "ollama-broke-off"
    );
    let request = ask(&mut session, "default");
    assert!(session.complete(request).await.is_ok());
    assert_eq!(told(session.finish(stream).await).code, "ollama-broke-off");
}

#[tokio::test]
async fn everything_a_message_holds_is_charged() {
    let bare = turn("");
    let call = ToolCall { id: "12".into(), name: "345".into(), arguments_json: "{}".into() };
    let id = Message { tool_call_id: Some("x".repeat(33 << 20)), ..turn("") };
    assert_eq!(request::held_bytes(&bare), size_of::<Message>());
    let images = Message { images: vec![vec![1, 2, 3], Vec::new()], ..turn("") };
    let expected = size_of::<Message>() + 2 * size_of::<Vec<u8>>() + 3;
    assert_eq!(request::held_bytes(&images), expected);
    let calls = Message { tool_calls: vec![call], ..turn("") };
    assert_eq!(request::held_bytes(&calls), size_of::<Message>() + size_of::<ToolCall>() + 7);

    let world = world();
    let mut session = world.session();
    let mut request = ask(&mut session, "default");
    request.push(id);
    assert_eq!(told(session.complete(request).await).code, "request-too-large");
}

#[tokio::test]
async fn a_request_that_was_a_mistake_holds_nothing_and_reads_nothing_more() {
    let world = world();
    let mut session = world.session();
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut request = ask(&mut session, "default");
        request.push(turn(&"x".repeat(31 << 20)));
        request.stop(vec![String::new(); 17]);
        request.push(turn(&"x".repeat(31 << 20)));
        kept.push(request);
    }
    let mut request = ask(&mut session, "default");
    request.push(turn(&"x".repeat(31 << 20)));
    assert!(session.complete(request).await.is_ok(), "the mistakes fill the run's pool");
}

#[tokio::test]
async fn what_is_set_again_takes_the_place_of_what_was() {
    let world = world();
    let mut session = world.session();
    let mut request = ask(&mut session, "default");
    for word in ["first", "last"] {
        request.stop(vec![word.repeat(5 << 20)]);
    }
    let schema = format!(r#"{{"title":"{}"}}"#, "x".repeat(200 << 10));
    (0..200).for_each(|_| request.response_schema(schema.clone()));
    session.complete(request).await.unwrap();
    assert_eq!(world.llm.calls()[0].options["stop"], json!(["last".repeat(5 << 20)]));
}

#[tokio::test]
async fn a_request_is_counted_until_its_answer_is_whole() {
    let world = world();
    let mut session = world.session();
    let large = |session: &mut Session| {
        let mut request = ask(session, "default");
        request.push(turn(&"x".repeat(31 << 20)));
        request
    };
    let request = large(&mut session);
    let mut stream = session.open_stream(request).await.unwrap();
    let _second = large(&mut session);
    let third = large(&mut session);
    while session.next_piece(&mut stream).await.unwrap().is_some() {}
    let error = told(session.complete(third).await);
    assert!(error.message.contains("the requests of a run"), "{error}");
    let third = large(&mut session);
    assert!(session.complete(third).await.is_ok());
}

#[tokio::test]
async fn pieces_of_a_stream_cost_no_calls() {
    let world = world().limits(|limits| limits.host_calls_max = 3);
    world.llm.answer(&["a", "b", "c", "d", "e", "f"]);
    let mut session = world.session();
    let request = ask(&mut session, "default");
    let mut stream = session.open_stream(request).await.unwrap();
    let mut text = String::new();
    while let Some(piece) = session.next_piece(&mut stream).await.unwrap() {
        text.push_str(&piece);
    }
    assert_eq!(text, "abcdef");
    assert!(session.finish(stream).await.is_ok());
}
