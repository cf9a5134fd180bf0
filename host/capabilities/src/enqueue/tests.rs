use roughneck_jobs::{
    failure::Disposition,
    manifest::SubmitWish,
    mark::{Mark, Passed},
    ports::{runner::Standing, store::StoreError},
};

use super::*;
use crate::fake::{World, told};

fn world() -> World {
    World::new()
        .wants(|wanted| {
            wanted.submit = Some(SubmitWish { kinds: vec!["page".into(), "img-*".into()] });
        })
        .grant(|grant| grant.submit = vec!["page".into(), "img-small".into()])
}

async fn submitted(session: &mut Session, name: &str) -> String {
    let spec = session.child("page".into(), name.into(), b"{}".to_vec()).unwrap();
    session.submit(spec).await.unwrap()
}

async fn refused(session: &mut Session, kind: &str, name: &str, input: &[u8]) -> HostError {
    let spec = session.child(kind.into(), name.into(), input.to_vec()).unwrap();
    told(session.submit(spec).await)
}

#[tokio::test]
async fn a_child_is_submitted_as_it_was_built() {
    let world = world();
    let mut session = world.session();
    let input = br#"{"z": 1.0,"a":[ ]}"#.to_vec();
    let mut spec = session.child("page".into(), "https://a/1".into(), input).unwrap();
    spec.priority("low");
    spec.run_at_ms(1_800_000_000_000);
    session.submit(spec).await.unwrap();
    let wish = Wish {
        kind: "page".into(),
        name: "https://a/1".into(),
        input: r#"{"z": 1.0,"a":[ ]}"#.into(),
        priority: Some(Priority::LOW),
        run_at: Some(Millis(1_800_000_000_000)),
    };
    assert_eq!(world.relatives.wishes(), [wish]);
}

#[tokio::test]
async fn results_come_in_the_order_of_the_ids_and_failures_are_values() {
    let world = world();
    let mut session = world.session();
    let [a, b] = [submitted(&mut session, "a").await, submitted(&mut session, "b").await];
    world.relatives.end("a", Ok("1"));
    let broken = Failure::fatal("broken", "it broke");
    world.relatives.end("b", Err(broken.clone()));
    let ends = session.await_all(&[b, a]).await.unwrap();
    assert_eq!(ends, [Err(broken), Ok(b"1".to_vec())]);
    assert_eq!(session.await_all(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_guest_that_waits_for_open_children_is_stopped() {
    let world = world();
    let mut session = world.session();
    let [a, b] = [submitted(&mut session, "a").await, submitted(&mut session, "b").await];
    world.relatives.end("a", Ok("1"));
    let stopped = session.await_all(&[a, b.clone()]).await;
    assert_eq!(stopped, Err(Refusal::Awaits(vec![b.parse().unwrap()])));
}

#[tokio::test]
async fn a_name_is_one_child_in_this_run_and_in_the_next() {
    let world = world();
    let mut session = world.session();
    let first = submitted(&mut session, "a").await;
    assert_eq!(submitted(&mut session, "a").await, first);
    assert_eq!(submitted(&mut world.session(), "a").await, first);
    assert_eq!(world.relatives.wishes().len(), 1);
    let error = refused(&mut session, "page", "a", b"[]").await;
    assert_eq!(error.code, "child-name-taken");
    assert!(error.message.contains("another kind or input as `a`"), "{error}");
}

#[tokio::test]
async fn each_refusal_says_what_to_change() {
    let table: [(&str, &str, &[u8], &str, &str); 8] = [
        (
            "mail",
            "a",
            b"1",
            "kind-not-granted",
            "`submit.kinds` under [capabilities] in plugin.toml",
        ),
        ("img-large", "a", b"1", "kind-not-granted", "[grants.probe] in roughneck.toml"),
        ("", "a", b"1", "kind-not-granted", "in plugin.toml"),
        ("page", "", b"1", "invalid-child", "1 to 100 bytes"),
        ("page", "a\nb", b"1", "invalid-child", "none of them a control"),
        ("page", "a", b"{", "invalid-child", "`a` is not JSON"),
        ("page", "a", b"\"\xff\"", "invalid-child", "`a` is not JSON"),
        ("page", "a", b"", "invalid-child", "`a` is not JSON"),
    ];
    for (kind, name, input, code, sentence) in table {
        let world = world();
        let error = refused(&mut world.session(), kind, name, input).await;
        assert_eq!((error.code.as_str(), error.retryable), (code, false), "{kind} {name:?}");
        assert!(error.message.contains(sentence), "{error}");
        assert!(world.relatives.wishes().is_empty());
    }
}

#[tokio::test]
async fn a_priority_that_is_none_is_told_when_the_child_is_submitted() {
    let world = world();
    let mut session = world.session();
    let mut spec = session.child("page".into(), "a".into(), b"1".to_vec()).unwrap();
    spec.priority("soon");
    spec.run_at_ms(5);
    let error = told(session.submit(spec).await);
    assert!(error.message.contains("`soon` is no priority: use urgent"), "{error}");
}

#[tokio::test]
async fn what_the_queue_refuses_has_a_code_and_an_advice() {
    let passed = Passed { mark: Mark::Jobs, level: 4, limit: 4 };
    let id: JobId = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB".parse().unwrap();
    let unknown =
        NotSubmitted::UnknownKind { kind: "page".into(), suggestion: Some("pages".into()) };
    let table = [
        (unknown, "unknown-kind", false, "did you mean `pages`?"),
        (NotSubmitted::TooDeep { depth: 17, depth_max: 16 }, "too-deep", false, "`depth-max`"),
        (NotAccepted::InputTooLarge { bytes: 5 }.into(), "input-too-large", false, "5 bytes"),
        (NotAccepted::InputTooDeep.into(), "invalid-child", false, "100 levels"),
        (NotAccepted::TooLate.into(), "invalid-child", false, "a year"),
        (NotSubmitted::Taken(id), "unique-key-taken", true, "01K9Z4T8N6Q0V5W3X2Y1R7S9AB"),
        (StoreError::Full(passed).into(), "intake-full", true, "takes no new jobs now"),
        (StoreError::Fenced.into(), "fenced", false, "lost its job"),
        (StoreError::Closed.into(), "stopping", true, "the host stops"),
        (StoreError::Dead.into(), "store-failed", true, "see the host's log"),
    ];
    for (refusal, code, retryable, sentence) in table {
        let world = world();
        world.relatives.refuse(refusal);
        let error = refused(&mut world.session(), "page", "a", b"1").await;
        assert_eq!((error.code.as_str(), error.retryable), (code, retryable));
        assert!(error.message.contains(sentence), "{error}");
    }
}

#[tokio::test]
async fn the_children_of_a_run_are_bounded() {
    let world = world().limits(|limits| limits.host_calls_max = 1_000_000);
    let mut session = world.session();
    for n in 0..CHILDREN_MAX {
        submitted(&mut session, &n.to_string()).await;
    }
    let error = refused(&mut session, "page", "one more", b"1").await;
    assert_eq!(error.code, "too-many-children");
    let many = vec![String::new(); CHILDREN_MAX + 1];
    assert_eq!(told(session.await_all(&many).await).code, "too-many-children");
}

#[tokio::test]
async fn unsent_children_hold_no_more_than_other_requests() {
    let world = world();
    let mut session = world.session();
    let input = vec![b'1'; 2 * INPUT_BYTES_MAX];
    let spec = session.child("page".into(), "a".into(), input).unwrap();
    assert_eq!(told(session.submit(spec).await).code, "request-too-large");
}

#[tokio::test]
async fn a_guest_waits_for_its_own_children_each_of_them_once() {
    let world = world();
    let mut session = world.session();
    let a = submitted(&mut session, "a").await;
    let stranger = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB".to_owned();
    for (ids, code, sentence) in [
        (vec!["x".to_owned()], "invalid-child", "`x` is not the id"),
        (vec![a.clone(), a.clone()], "invalid-child", "is named twice"),
        (vec![a.clone(), stranger], "not-a-child", "is not a child of this job"),
    ] {
        let error = told(session.await_all(&ids).await);
        assert_eq!(error.code, code);
        assert!(error.message.contains(sentence), "{error}");
    }
    world.relatives.end("a", Ok("1"));
    world.relatives.withhold();
    assert_eq!(told(session.await_all(&[a]).await).code, "results-too-large");
}

#[tokio::test]
async fn a_run_that_was_cancelled_submits_nothing() {
    let world = world();
    let mut session = world.session();
    world.supervisor.stand(Standing::Cancelled);
    assert_eq!(refused(&mut session, "page", "a", b"1").await.code, "cancelled");
    assert!(world.relatives.wishes().is_empty());
    let failure = child::failure(&Dependency {
        name: "a".into(),
        job: "01K9Z4T8N6Q0V5W3X2Y1R7S9AB".parse().unwrap(),
        state: State::Cancelled,
        output: None,
        output_bytes: 0,
        failure: None,
    });
    assert_eq!(failure.disposition, Disposition::Cancel);
}
