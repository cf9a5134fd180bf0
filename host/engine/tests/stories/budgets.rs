//! Token budgets: what is counted, what is remembered, and who waits.

use std::{collections::BTreeMap, time::Duration};

use prometheus_client::{encoding::text, registry::Registry};
use roughneck_jobs::{
    budget::{Answer, Balance, Demand, Limits, Payer, Prompt, Renewal},
    clock::Clock as _,
    failure::{Failure, code},
    ports::{
        budgets::{Budgets as _, Reservation},
        spending::Spending as _,
    },
    state::State,
    usage::Usage,
};

use crate::world::{Act, World};

/// The day of the worlds.
const DATE: &str = "2027-01-15";
const DAY: Duration = Duration::from_secs(86_400);

fn limits() -> Limits {
    Limits {
        kinds: BTreeMap::from([("act".to_owned(), 1_000)]),
        caller_default: Some(500),
        ..Limits::default()
    }
}

/// 100 tokens: 16 of the text, 64 of the template and 20 of the answer.
fn hundred() -> Demand {
    demand(16, Answer::Limited(20))
}

fn demand(text_bytes: u64, answer: Answer) -> Demand {
    Demand { prompt: Prompt { text_bytes, ..Prompt::default() }, answer }
}

fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

impl World {
    fn reserve(&self, demand: Demand) -> Box<dyn Reservation> {
        self.budgets.reserve(&Payer::of("act"), &|| demand).unwrap()
    }

    fn spend(&self, tokens: u64) {
        self.reserve(hundred()).settle(&usage(tokens, 0));
    }

    /// How the budget of the kind stands.
    fn balance(&self) -> Balance {
        let balances = self.budgets.sheet().balances;
        balances.into_iter().find(|balance| balance.whose.subject() == "act").unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_under_an_older_name_of_a_kind_binds_its_calls() {
    let kinds = BTreeMap::from([("old-act".to_owned(), 150)]);
    let mut world = World::with_budgets([], Limits { kinds, ..Limits::default() }).await;
    world.spend(60);
    assert_eq!((world.balance().limit, world.balance().spent), (150, 60));
    assert!(world.budgets.reserve(&Payer::of("act"), &hundred).is_err());
    world.restart().await;
    assert_eq!(world.balance().spent, 60);
}

#[test]
fn sixty_four_calls_at_once_never_reserve_more_than_there_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::with_budgets([], limits()));
    let world = &world;
    let granted: Vec<_> = std::thread::scope(|scope| {
        let call = || world.budgets.reserve(&Payer::of("act"), &hundred).ok();
        let calls: Vec<_> = (0..64).map(|_| scope.spawn(call)).collect();
        calls.into_iter().filter_map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(granted.len(), 10);
    assert_eq!((world.balance().reserved, world.balance().remaining()), (1_000, 0));
    drop(granted);
    assert_eq!((world.balance().reserved, world.balance().spent), (0, 0), "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn a_call_pays_for_what_the_model_has_done_however_it_ends() {
    let world = World::with_budgets([], limits()).await;
    let mut whole = world.reserve(hundred());
    whole.sent();
    whole.settle(&usage(30, 7));
    drop(whole);
    assert_eq!((world.balance().spent, world.balance().reserved), (37, 0));
    let mut untold = world.reserve(demand(400, Answer::None));
    untold.sent();
    untold.settle(&usage(0, 0));
    assert_eq!(world.balance().spent, 137, "a prompt that nobody counts is estimated");
    let mut thoughtful = world.reserve(hundred());
    (0..9).for_each(|_| thoughtful.token().unwrap());
    thoughtful.settle(&usage(10, 4));
    assert_eq!(world.balance().spent, 156, "what came counts, whatever the figures say");
    let mut refused = world.reserve(hundred());
    refused.sent();
    refused.refused();
    drop(refused);
    drop(world.reserve(hundred()));
    assert_eq!(world.balance().spent, 156, "what did not run is free");
    let mut broken = world.reserve(demand(40, Answer::Watched));
    broken.sent();
    (0..5).for_each(|_| broken.token().unwrap());
    drop(broken);
    assert_eq!(world.balance().spent, 171, "ten of the prompt, and five that came");
}

#[tokio::test(start_paused = true)]
async fn an_answer_goes_on_while_there_are_tokens_and_is_stopped_at_the_last() {
    let world = World::with_budgets([], limits()).await;
    let mut first = world.reserve(demand(36, Answer::Watched));
    assert_eq!(first.answer_max(), Some(900));
    first.sent();
    let stopped = (1..).find_map(|n| first.token().err().map(|over| (n, over)));
    let (tokens, over) = stopped.unwrap();
    assert_eq!(tokens, 900, "with the mark of its end there would be one too many");
    assert_eq!(over.renewal, Renewal::Never);
    drop(first);
    assert!(world.balance().spent <= 1_000);
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_limit_needs_nothing_beyond_it() {
    let world = World::with_budgets([], limits()).await;
    let mut all = world.reserve(demand(16, Answer::Limited(920)));
    for _ in 0..920 {
        all.token().unwrap();
    }
    assert!(all.token().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_is_written_behind_and_read_by_the_next_host() {
    let mut world = World::with_budgets([], limits()).await;
    world.spend(30);
    world.spend(12);
    assert_eq!(world.store.spent_on(DATE).await.unwrap(), []);
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(world.store.spent_on(DATE).await.unwrap()[0].tokens, 42);
    // One that stops writes down the last of it.
    world.spend(8);
    world.restart().await;
    assert_eq!(world.balance().spent, 50);
    world.spend(1);
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(world.store.spent_on(DATE).await.unwrap()[0].tokens, 51);
}

#[tokio::test(start_paused = true)]
async fn a_new_day_begins_with_the_whole_budget_and_old_days_are_forgotten() {
    let world = World::with_budgets([], limits()).await;
    world.spend(90);
    world.pass(Duration::from_secs(3)).await;
    assert!(
        world.budgets.reserve(&Payer::of("act"), &|| demand(16, Answer::Limited(880))).is_err()
    );
    world.time.jump(DAY);
    assert_eq!(world.balance().spent, 0);
    world.spend(7);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.store.spent_on("2027-01-16").await.unwrap()[0].tokens, 7);
    assert_eq!(world.store.spent_on(DATE).await.unwrap()[0].tokens, 90);
    world.time.jump(31 * DAY);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.store.spent_on(DATE).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_job_over_budget_waits_without_an_attempt_until_the_renewal_and_then_runs() {
    let renewed_in = Duration::from_secs(6 * 3600);
    let over = "the token budget of the kind `act` is used up";
    let failure = Failure {
        retry_after_ms: Some(renewed_in.as_millis() as u64),
        ..Failure::retry(code::OVER_BUDGET, over)
    };
    let world = World::with_budgets([Act::Postpone(failure)], limits()).await;
    let id = world.submit(r#"{"kind":"act"}"#).await;
    world.until(id, State::Scheduled).await;
    let (waiting, renewed_at) = (world.row(id), world.time.now().plus_ms(6 * 3_600_000));
    assert_eq!((waiting.attempt, waiting.reason.as_deref()), (0, Some(over)));
    assert!(renewed_at.since_ms(waiting.run_at) < 1_000, "{:?}", waiting.run_at);
    world.until(id, State::Done).await;
    assert!(world.time.now() >= waiting.run_at);
    assert_eq!(world.row(id).attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn operators_see_their_own_budgets_and_no_names_of_clients() {
    let world = World::with_budgets([], limits()).await;
    let payer = Payer { caller: Some("mallory".to_owned()), ..Payer::of("act") };
    let mut call = world.budgets.reserve(&payer, &hundred).unwrap();
    call.settle(&usage(60, 0));
    let too_much = || demand(16, Answer::Limited(450));
    assert!(world.budgets.reserve(&payer, &too_much).is_err());
    world.pass(Duration::from_secs(3)).await;
    let mut registry = Registry::default();
    world.budgets.register(&mut registry);
    let mut page = String::new();
    text::encode(&mut page, &registry).unwrap();
    for line in [
        r#"roughneck_budget_limit_tokens{scope="kind",subject="act"} 1000"#,
        r#"roughneck_budget_remaining_tokens{scope="kind",subject="act"} 940"#,
        r#"roughneck_budget_refusals_total{scope="caller",outcome="refused"} 1"#,
        r#"roughneck_budget_refusals_total{scope="kind",outcome="waits"} 0"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!page.contains("mallory"), "{page}");
}
