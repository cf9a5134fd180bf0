//! What does not wait for the lane.

use std::time::Duration;

use futures_util::future::join_all;
use roughneck_jobs::ports::gateway::PassRoute;
use roughneck_llm::Config;
use roughneck_testkit::ollama;
use serde_json::json;

use crate::{
    gateway::text,
    stage::{QWEN, Stage},
};

/// So many may be asked at once.
const AT_ONCE: usize = 64;

#[tokio::test]
async fn whoever_only_looks_is_limited_in_number_and_waits_no_longer_than_the_host() {
    let quick = |config: &mut Config| config.question_timeout = Duration::from_millis(300);
    let stage = Stage::with(ollama::Config::instant(), quick).await;
    let routes = [PassRoute::Tags, PassRoute::Ps, PassRoute::Models, PassRoute::Show];
    let body = json!({"model": QWEN});
    let ask = |route: PassRoute| stage.pass(route, "POST", &body);
    stage.ollama.faults().hang(true);
    let mut asking: Vec<_> =
        routes.into_iter().cycle().take(AT_ONCE).map(|route| Box::pin(ask(route))).collect();
    for asks in &mut asking {
        assert!(futures_util::poll!(asks).is_pending());
    }
    for route in routes {
        let refused = ask(route).await;
        assert_eq!(refused.status, 503);
        let said = text(refused).await;
        assert!(said.contains("maximum pending requests exceeded"), "{said}");
    }
    for silent in join_all(asking).await {
        assert_eq!(silent.status, 503);
        let said = text(silent).await;
        assert!(said.contains("it does not answer in time"), "{said}");
    }
    stage.ollama.faults().hang(false);
    assert_eq!(ask(PassRoute::Show).await.status, 200);
}
