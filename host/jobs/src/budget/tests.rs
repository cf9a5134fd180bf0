use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::{
    clock::{Entropy, Millis},
    id::JobId,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const NOW: Millis = Millis(1_800_000_000_000);

struct Thrown(u128);
impl Entropy for Thrown {
    fn roll(&self) -> u128 {
        self.0
    }
}

fn job(n: u128, spent: u64, max: Option<u64>) -> PayingJob {
    PayingJob { id: JobId::at(NOW, &Thrown(n)), spent, max }
}

fn ledger(kind: Option<u64>, caller_default: Option<u64>, job: Option<u64>) -> Ledger {
    let kinds = kind.into_iter().map(|limit| ("draft".to_owned(), limit)).collect();
    let callers = BTreeMap::from([("alice".to_owned(), 5_000)]);
    Ledger::new(Limits { job, kinds, callers, caller_default }, TimeZone::UTC, NOW)
}

fn demand(text_bytes: u64, answer: Answer) -> Demand {
    Demand { prompt: Prompt { text_bytes, ..Prompt::default() }, answer }
}

/// 100 tokens, of which 64 are the template's.
fn hundred() -> Demand {
    demand(16, Answer::Limited(20))
}

fn balance(ledger: &mut Ledger, whose: &Whose, now: Millis) -> Balance {
    ledger.sheet(now).balances.into_iter().find(|balance| balance.whose == *whose).unwrap()
}

fn of_kind() -> Whose {
    Whose::Kind("draft".to_owned())
}

#[test]
fn what_is_reserved_is_gone_for_others_until_it_is_settled() {
    let mut ledger = ledger(Some(250), None, None);
    let payer = Payer::of("draft");
    let first = ledger.reserve(&payer, &hundred(), NOW).unwrap();
    let second = ledger.reserve(&payer, &hundred(), NOW).unwrap();
    let soon = ledger.reserve(&payer, &hundred(), NOW).unwrap_err();
    assert_eq!((soon.renewal, soon.reserved, soon.needs), (Renewal::Soon, 200, 100));
    ledger.settle(first, 30, NOW);
    let kept = balance(&mut ledger, &of_kind(), NOW);
    assert_eq!((kept.spent, kept.reserved, kept.remaining()), (30, 100, 120));
    ledger.settle(second, 140, NOW);
    let until = ledger.reserve(&payer, &hundred(), NOW).unwrap_err();
    assert_eq!(until.renewal, Renewal::At(ledger.day().ends_at));
    let never = ledger.reserve(&payer, &demand(16, Answer::Limited(200)), NOW).unwrap_err();
    assert_eq!(never.renewal, Renewal::Never);
}

#[test]
fn what_has_no_budget_is_not_counted() {
    let mut ledger = ledger(Some(10), None, None);
    for payer in [
        Payer::of("other"),
        Payer { caller: Some("bob".to_owned()), ..Payer::of("other") },
        Payer { job: Some(job(1, 1 << 40, None)), ..Payer::of("other") },
    ] {
        assert!(!ledger.limits().bind(&payer));
        assert!(ledger.reserve(&payer, &hundred(), NOW).is_ok(), "{payer:?}");
    }
    assert!(ledger.limits().bind(&Payer::of("draft")));
}

#[test]
fn a_caller_has_its_own_budget_or_that_of_all_and_one_without_a_name_only_that_of_the_anonymous() {
    for (caller, default, anonymous, limit) in [
        (Some("alice"), None, None, Some(5_000)),
        (Some("alice"), Some(7), None, Some(5_000)),
        (Some("bob"), Some(7), None, Some(7)),
        (Some("bob"), None, Some(9), None),
        (None, Some(7), None, None),
        (None, Some(7), Some(9), Some(9)),
    ] {
        let anonymous = anonymous.map(|limit| (ANONYMOUS.to_owned(), limit));
        let callers = [("alice".to_owned(), 5_000)].into_iter().chain(anonymous).collect();
        let limits = Limits { callers, caller_default: default, ..Limits::default() };
        assert_eq!(limits.of_caller(caller).map(|(_, limit)| limit), limit, "{caller:?}");
    }
}

#[test]
fn a_job_has_the_lower_of_both_limits_over_all_of_its_attempts() {
    for (operator, manifest, earlier, fits) in [
        (None, None, 1 << 40, true),
        (Some(1_000), None, 900, true),
        (Some(1_000), None, 901, false),
        (Some(1_000), Some(500), 401, false),
        (Some(100), Some(500), 1, false),
        (None, Some(500), 400, true),
    ] {
        let mut ledger = ledger(None, None, operator);
        let payer = Payer { job: Some(job(1, earlier, manifest)), ..Payer::of("draft") };
        let reserved = ledger.reserve(&payer, &hundred(), NOW);
        assert_eq!(reserved.is_ok(), fits, "{operator:?} {manifest:?} {earlier}");
        if let Err(over) = reserved {
            assert_eq!((over.whose, over.renewal), (Whose::Job, Renewal::Never));
        }
    }
    let mut ledger = ledger(None, None, Some(150));
    let payer = Payer { job: Some(job(1, 0, None)), ..Payer::of("draft") };
    let broken_off = ledger.reserve(&payer, &hundred(), NOW).unwrap();
    ledger.settle(broken_off, 60, NOW);
    // The store has heard nothing of it.
    assert_eq!(ledger.reserve(&payer, &hundred(), NOW).unwrap_err().spent, 60);
    let other = Payer { job: Some(job(2, 0, None)), ..Payer::of("draft") };
    assert!(ledger.reserve(&other, &hundred(), NOW).is_ok());
}

#[test]
fn an_answer_without_a_limit_gets_what_is_left_and_more_while_there_is_some() {
    let mut ledger = ledger(Some(3_000), None, None);
    let payer = Payer::of("draft");
    let mut grant = ledger.reserve(&payer, &demand(36, Answer::Watched), NOW).unwrap();
    assert_eq!(grant.answer(), 1_024);
    ledger.extend(&mut grant, NOW).unwrap();
    ledger.extend(&mut grant, NOW).unwrap();
    assert_eq!(grant.answer(), 2_900);
    let over = ledger.extend(&mut grant, NOW).unwrap_err();
    assert_eq!((over.renewal, over.needs), (Renewal::Never, 3_001), "all of it is its own");
    ledger.settle(grant, 2_800, NOW);
    let mut rest = ledger.reserve(&payer, &demand(36, Answer::Whole), NOW).unwrap();
    assert_eq!(rest.answer(), 100);
    assert_eq!(
        ledger.extend(&mut rest, NOW).unwrap_err().renewal,
        Renewal::At(ledger.day().ends_at)
    );
    ledger.settle(rest, 200, NOW);
    assert!(ledger.reserve(&payer, &demand(0, Answer::None), NOW).is_err());
}

#[test]
fn an_answer_of_a_job_of_one_call_ends_with_the_budget_of_the_job() {
    let mut ledger = ledger(None, None, Some(1_500));
    let mut grant = ledger.reserve(&Payer::of("draft"), &demand(36, Answer::Watched), NOW).unwrap();
    ledger.extend(&mut grant, NOW).unwrap();
    assert_eq!(grant.answer(), 1_400);
    assert_eq!(ledger.extend(&mut grant, NOW).unwrap_err().whose, Whose::Job);
}

#[test]
fn a_new_day_begins_with_nothing_spent_and_with_what_is_still_reserved() {
    let mut ledger = ledger(Some(250), Some(1_000), None);
    let payer = Payer { caller: Some("bob".to_owned()), ..Payer::of("draft") };
    let done = ledger.reserve(&payer, &hundred(), NOW).unwrap();
    ledger.settle(done, 100, NOW);
    let open = ledger.reserve(&payer, &hundred(), NOW).unwrap();
    let tomorrow = NOW.plus_ms(DAY_MS);
    let kept = balance(&mut ledger, &of_kind(), tomorrow);
    assert_eq!((kept.spent, kept.reserved), (0, 100));
    ledger.settle(open, 70, tomorrow);
    assert_eq!(balance(&mut ledger, &of_kind(), tomorrow).spent, 70);
    // The clock is set back: nothing comes back with it.
    assert_eq!(balance(&mut ledger, &of_kind(), NOW).spent, 70);
    assert_eq!(*ledger.day(), Day::of(NOW, &TimeZone::UTC));
    // Callers whom nobody has named are forgotten with their day.
    let later = ledger.sheet(NOW.plus_ms(3 * DAY_MS));
    assert!(!later.balances.iter().any(|one| one.whose.subject() == "bob"));
}

#[test]
fn what_is_spent_is_written_once_and_read_again() {
    let mut ledger = ledger(Some(250), None, None);
    assert_eq!(ledger.take_unwritten().1, []);
    let grant = ledger.reserve(&Payer::of("draft"), &hundred(), NOW).unwrap();
    assert_eq!(ledger.take_unwritten().1, [], "what is reserved is not spent");
    ledger.settle(grant, 90, NOW);
    let (date, spent) = ledger.take_unwritten();
    assert_eq!(date, "2027-01-15");
    assert_eq!(spent, [Spent { whose: of_kind(), tokens: 90 }]);
    assert_eq!(ledger.take_unwritten().1, []);
    ledger.put_back(&date, spent.clone());
    assert_eq!(ledger.take_unwritten().1, spent);
    let mut next = self::ledger(Some(250), None, None);
    let gone = Spent { whose: Whose::Kind("gone".to_owned()), tokens: 5 };
    next.load(spent.into_iter().chain([gone]).collect(), &|_| None);
    assert_eq!(balance(&mut next, &of_kind(), NOW).spent, 90);
}

#[test]
fn a_budget_under_an_older_name_of_a_kind_holds_for_the_kind_and_so_does_what_was_spent_under_it() {
    let of = |name: &str| Whose::Kind(name.to_owned());
    let limit = |name: &str, limit| (name.to_owned(), limit);
    let kinds = [limit("sketch", 250), limit("draft", 300), limit("gone", 7)].into();
    let mut ledger = Ledger::utc(Limits { kinds, ..Limits::default() }, NOW);
    let name_of = |name: &str| ["sketch", "draft"].contains(&name).then(|| "draft".to_owned());
    let spent = |name, tokens| Spent { whose: of(name), tokens };
    // The host was updated in the middle of the day, and counted on under the new name.
    ledger.load(vec![spent("draft", 90), spent("sketch", 60)], &name_of);
    let balances = ledger.sheet(NOW).balances;
    let told: Vec<_> = balances.iter().map(|of| (&of.whose, of.limit, of.spent)).collect();
    assert_eq!(told, [(&of("draft"), 250, 90), (&of("gone"), 7, 0)]);
    let payer = Payer::of("draft");
    assert!(ledger.limits().bind(&payer));
    ledger.reserve(&payer, &hundred(), NOW).unwrap();
    assert_eq!(ledger.reserve(&payer, &hundred(), NOW).unwrap_err().limit, 250);
}

#[test]
fn callers_beyond_the_many_share_one_account() {
    let mut ledger = ledger(None, Some(150), None);
    for n in 0..10_050 {
        let payer = Payer { caller: Some(format!("c{n}")), ..Payer::of("draft") };
        drop(ledger.reserve(&payer, &demand(0, Answer::None), NOW));
    }
    let sheet = ledger.sheet(NOW);
    assert!(sheet.balances.len() <= 10_001);
    let others = sheet.balances.iter().find(|one| one.whose.subject() == "others").unwrap();
    assert_eq!(others.reserved, 128, "two of them fit");
}

/// One step of a story.
#[derive(Clone, Debug)]
enum Step {
    Reserve { caller: u8, job: u8, bytes: u64, answer: Answer },
    Extend(usize),
    Settle { call: usize, used: f64 },
    Pass(u64),
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::None),
        (0..3_000_u64).prop_map(Answer::Limited),
        Just(Answer::Watched),
        Just(Answer::Whole),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..4_u8, 0..2_000_u64, answers())
            .prop_map(|(caller, job, bytes, answer)| Step::Reserve { caller, job, bytes, answer }),
        2 => any::<usize>().prop_map(Step::Extend),
        3 => (any::<usize>(), 0.0..1.0_f64).prop_map(|(call, used)| Step::Settle { call, used }),
        1 => (0..DAY_MS).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn no_story_spends_and_reserves_more_than_there_is(story in prop::collection::vec(steps(), 0..200)) {
        let mut ledger = ledger(Some(20_000), Some(6_000), Some(4_000));
        let (mut open, mut now) = (Vec::<Grant>::new(), NOW);
        for step in story {
            match step {
                Step::Reserve { caller, job: n, bytes, answer } => {
                    let caller = ["alice", "bob"].get(usize::from(caller)).map(|name| (*name).to_owned());
                    let job = (n > 0).then(|| job(n.into(), 0, None));
                    let payer = Payer { caller, job, ..Payer::of("draft") };
                    open.extend(ledger.reserve(&payer, &demand(bytes, answer), now));
                }
                Step::Extend(n) if !open.is_empty() => {
                    let n = n % open.len();
                    drop(ledger.extend(&mut open[n], now));
                }
                Step::Settle { call, used } if !open.is_empty() => {
                    let grant = open.swap_remove(call % open.len());
                    let used = (grant.tokens() as f64 * used) as u64;
                    ledger.settle(grant, used, now);
                }
                Step::Pass(ms) => now = now.plus_ms(ms),
                Step::Extend(_) | Step::Settle { .. } => {}
            }
            for one in ledger.sheet(now).balances {
                prop_assert!(one.spent + one.reserved <= one.limit, "{one:?}");
            }
            for grant in &open {
                prop_assert!(grant.tokens() <= 4_000, "{grant:?}");
            }
        }
        open.into_iter().for_each(|grant| ledger.settle(grant, 0, now));
        for one in ledger.sheet(now).balances {
            prop_assert_eq!(one.reserved, 0);
        }
    }

    #[test]
    fn no_extreme_overflows(limit in any::<u64>(), bytes in any::<u64>(), answer in any::<u64>(), spent in any::<u64>(), now in any::<i64>()) {
        let mut ledger = ledger(Some(limit), Some(limit), Some(limit));
        let payer = Payer { job: Some(job(1, spent, Some(limit))), caller: Some("bob".to_owned()), ..Payer::of("draft") };
        if let Ok(mut grant) = ledger.reserve(&payer, &demand(bytes, Answer::Limited(answer)), Millis(now)) {
            drop(ledger.extend(&mut grant, Millis(now)));
            ledger.settle(grant, spent, NOW);
        }
        drop(ledger.sheet(NOW));
    }
}
