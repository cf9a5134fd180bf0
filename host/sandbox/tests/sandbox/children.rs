//! Children, with a guest that submits them and waits for them.

use roughneck_jobs::{
    failure::Failure,
    grant::Grant,
    ports::{catalog::Catalog as _, runner::Outcome},
};
use serde_json::json;

use crate::{
    kin::{id, over},
    world::{Folder, World},
};

fn granted(submit: &[&str]) -> Folder {
    let mut folder = Folder::without_cache().published("fixtures/family");
    let submit = submit.iter().map(ToString::to_string).collect();
    folder.grants.insert("family".to_owned(), Grant { submit, ..Grant::default() });
    folder
}

fn world() -> World {
    granted(&["family-*"]).load()
}

#[tokio::test]
async fn a_guest_waits_for_its_children_and_gets_their_results_in_its_next_run() {
    let world = world();
    let input = r#"{"children": 3, "fail": [1]}"#;
    let outcome = world.run("family-gather", input).await;
    assert_eq!(outcome, Outcome::Awaits(world.relatives.ids()));
    let wishes = world.relatives.wishes();
    assert_eq!(wishes.len(), 3);
    assert_eq!((&*wishes[2].kind, &*wishes[2].name), ("family-leaf", "leaf 2"));
    assert_eq!(wishes[2].input, r#"{"n":2,"work":0,"fail":false}"#);
    world.relatives.end_all(|wish| match &*wish.name {
        "leaf 1" => Err(Failure::fatal("withered", "it was told to")),
        "leaf 2" => Ok("2".to_owned()),
        _ => Ok("0".to_owned()),
    });
    let gathered = world.done("family-gather", input).await;
    assert_eq!(gathered, json!({ "results": [0, 2], "failures": ["withered"] }));
    assert_eq!(world.relatives.wishes().len(), 3, "the second run has the same children");
    assert!(world.metrics().contains(r#"outcome="waiting"} 1"#));
}

#[tokio::test]
async fn a_guest_submits_a_thousand_children_and_takes_their_results() {
    let world = world();
    let input = r#"{"children": 1000}"#;
    let outcome = world.run("family-gather", input).await;
    assert_eq!(outcome, Outcome::Awaits(world.relatives.ids()));
    world.relatives.end_all(|wish| Ok(wish.name.trim_start_matches("leaf ").to_owned()));
    let gathered = world.done("family-gather", input).await;
    let results = gathered["results"].as_array().unwrap();
    assert_eq!(results.len(), 1_000);
    assert!(results.iter().enumerate().all(|(n, result)| *result == json!(n)));
}

#[tokio::test]
async fn a_plugin_that_may_not_submit_what_it_wants_is_refused_with_the_missing_line() {
    for folder in [Folder::without_cache().published("fixtures/family"), granted(&["family-leaf"])]
    {
        let world = folder.load();
        let refused = world.plugins.refused();
        assert_eq!(refused[0].code, "not-granted");
        let remedy = "under [grants.family] in roughneck.toml: `submit = [\"family-*\"]`";
        assert!(refused[0].message.contains(remedy), "{}", refused[0].message);
    }
}

#[tokio::test]
async fn a_guest_reads_what_its_job_needs() {
    let world = world();
    let needs = [
        over(id(1), "fetch", Ok(r#"{"title":"x"}"#.to_owned())),
        over(id(2), "login", Err(Failure::fatal("broken", "it broke"))),
    ];
    *world.relatives.needs.lock().unwrap() = needs.to_vec();
    let seen = world.done("family-needs", "{}").await;
    let expected = json!([
        { "name": "fetch", "state": "done", "output": { "title": "x" }, "failure": null },
        { "name": "login", "state": "failed", "output": null, "failure": "broken" },
    ]);
    assert_eq!(seen, expected);
}
