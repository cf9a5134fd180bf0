use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// What a call takes, at most.
const CALL_MS: u64 = 60_000;

fn call(swap: Option<Swap>, rank: i64, priority: Priority, ticket: u64) -> Waiting {
    Waiting { swap, rank: Millis(rank), priority, ticket }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Used for so long, and just now not for too long to linger.
fn loaded(quantum_age: Duration) -> Loaded {
    Loaded { quantum_age, idle: Duration::MAX }
}

/// Who is next, if the lane does not linger.
fn chosen(waiting: Vec<Waiting>, quantum_age: Duration) -> Option<Choice> {
    match next(waiting, loaded(quantum_age), &SwapCost::default())? {
        Next::Call(choice) => Some(choice),
        Next::Linger(left) => panic!("lingers for {left:?}"),
    }
}

#[test]
fn the_loaded_runner_keeps_the_turn_for_its_quantum_and_a_quarter_when_one_is_urgent() {
    let cost = SwapCost::default();
    let (full, part) = (120, 30);
    assert_eq!(quantum(&cost, Swap::Model), secs(full));
    let loaded = |ticket| call(None, 9, Priority::HIGH, ticket);
    let other = |priority| call(Some(Swap::Model), 3, priority, 5);
    let urgent = other(Priority::URGENT);
    let normal = other(Priority::NORMAL);
    let better = call(None, 8, Priority::LOW, 7);
    let late = call(Some(Swap::Model), 10, Priority::URGENT, 6);
    // Who waits, for how long the quantum has lasted, and who is next.
    let table = [
        (vec![], 0, None),
        (vec![normal], 0, Some((5, Reason::Drained, false))),
        (vec![loaded(2), loaded(1)], 999, Some((1, Reason::Loaded, false))),
        (vec![normal, loaded(2), loaded(1)], full - 1, Some((1, Reason::Loaded, true))),
        (vec![normal, loaded(1), better], full - 1, Some((7, Reason::Loaded, true))),
        (vec![normal, loaded(1)], full, Some((5, Reason::Quantum, false))),
        (vec![urgent, loaded(1)], part - 1, Some((1, Reason::Loaded, true))),
        (vec![urgent, loaded(1)], part, Some((5, Reason::Urgent, false))),
        (vec![urgent, loaded(1)], full, Some((5, Reason::Quantum, false))),
        (vec![late, loaded(1)], full, Some((1, Reason::Loaded, false))),
        (vec![late, normal, loaded(1)], part, Some((1, Reason::Loaded, true))),
    ];
    for (waiting, age, expected) in table {
        let choice = chosen(waiting.clone(), secs(age))
            .map(|choice| (choice.ticket, choice.reason, choice.passes_over));
        assert_eq!(choice, expected, "{waiting:?} at {age} s");
    }
}

#[test]
fn the_lane_lingers_for_a_tenth_of_the_swap_before_it_makes_way() {
    let cost = SwapCost::default();
    let next = |swap, priority, idle_ms, quantum_age| {
        let idle = Duration::from_millis(idle_ms);
        next([call(swap, 0, priority, 0)], Loaded { quantum_age, idle }, &cost).unwrap()
    };
    let linger = |left_ms| Next::Linger(Duration::from_millis(left_ms));
    let goes = Next::Call(call(None, 0, Priority::HIGH, 0).chosen(Reason::Drained));
    let (model, options) = (Some(Swap::Model), Some(Swap::Options));
    for (swap, priority, idle_ms, quantum_age, expected) in [
        (model, Priority::HIGH, 0, secs(0), linger(1000)),
        (model, Priority::HIGH, 300, secs(0), linger(700)),
        (model, Priority::HIGH, 1000, secs(0), goes),
        (options, Priority::HIGH, 0, secs(0), linger(500)),
        (Some(Swap::Cold), Priority::HIGH, 0, secs(0), goes),
        (model, Priority::URGENT, 0, secs(0), goes),
        (model, Priority::HIGH, 0, Duration::from_millis(119_900), linger(100)),
        (model, Priority::HIGH, 0, secs(120), goes),
    ] {
        assert_eq!(next(swap, priority, idle_ms, quantum_age), expected, "{swap:?} {idle_ms}");
    }
}

#[test]
fn a_quantum_is_as_long_as_its_swap_is_dear() {
    let mut cost = SwapCost::default();
    assert_eq!(quantum(&cost, Swap::Options), secs(60));
    cost.learn(Swap::Model, secs(25));
    assert_eq!(quantum(&cost, Swap::Model), secs(300));
    cost.learn(Swap::Options, Duration::from_millis(200));
    assert_eq!(quantum(&cost, Swap::Options), QUANTUM_MIN);
}

/// A call of a simulated day.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at_ms: u64,
    key: usize,
    priority: Priority,
    takes_ms: u64,
}

/// A call that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ran {
    index: usize,
    began_ms: u64,
    swapped: bool,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let priorities = vec![Priority::BULK, Priority::LOW, Priority::NORMAL, Priority::URGENT];
    // Often at the same moment, and mostly for one key, which is then never drained.
    let one = (0..40_u64, select(vec![0, 0, 0, 0, 1, 2]), select(priorities), 0..=CALL_MS);
    vec(one, 1..60).prop_map(|calls| {
        let mut at_ms = 0;
        let mut arrive = |(gap, key, priority, takes_ms): (u64, usize, Priority, u64)| {
            at_ms += gap.saturating_sub(20) * 1000;
            Arrival { at_ms, key, priority, takes_ms }
        };
        calls.into_iter().map(&mut arrive).collect()
    })
}

fn rank(arrival: &Arrival) -> Millis {
    arrival.priority.rank(Millis(arrival.at_ms as i64))
}

/// Runs all of them, one at a time. A swap takes what it is expected to take.
fn run(arrivals: &[Arrival]) -> Vec<Ran> {
    let cost = SwapCost::default();
    let swap_ms = cost.of(Swap::Model).as_millis() as u64;
    let mut left: Vec<usize> = (0..arrivals.len()).collect();
    let (mut now, mut loaded, mut began, mut idle_since) = (0, None, 0, None);
    let mut ran = Vec::new();
    while !left.is_empty() {
        let waiting = left.iter().filter(|index| arrivals[**index].at_ms <= now).map(|index| {
            let arrival = arrivals[*index];
            let swap = (loaded != Some(arrival.key)).then_some(Swap::Model);
            call(swap, rank(&arrival).0, arrival.priority, *index as u64)
        });
        let usage = Loaded {
            quantum_age: Duration::from_millis(now - began),
            idle: idle_since.map_or(Duration::MAX, |since| Duration::from_millis(now - since)),
        };
        let comes = left.iter().map(|index| arrivals[*index].at_ms).filter(|at| *at > now).min();
        let choice = match next(waiting, usage, &cost) {
            Some(Next::Call(choice)) => choice,
            Some(Next::Linger(left)) => {
                let over = now + left.as_millis() as u64;
                now = comes.map_or(over, |comes| comes.min(over));
                continue;
            }
            None => {
                now = comes.unwrap();
                continue;
            }
        };
        let index = choice.ticket as usize;
        left.retain(|other| *other != index);
        let swapped = loaded != Some(arrivals[index].key);
        ran.push(Ran { index, began_ms: now, swapped });
        if swapped {
            now += swap_ms;
            (loaded, began) = (Some(arrivals[index].key), now);
        }
        now += arrivals[index].takes_ms;
        idle_since = Some(now);
    }
    ran
}

proptest! {
    #[test]
    fn the_choice_is_one_of_those_who_wait_and_the_order_they_are_told_in_does_not_matter(
        ranks in vec((any::<Option<bool>>(), 0..5_i64, 0..=100_u64), 0..20),
        age in 0..200_u64,
    ) {
        let waiting: Vec<Waiting> = ranks
            .iter()
            .zip(0..)
            .map(|((swap, rank, level), ticket)| {
                let swap = swap.map(|other| if other { Swap::Model } else { Swap::Options });
                call(swap, *rank, Priority::new(*level).unwrap(), ticket)
            })
            .collect();
        let choice = chosen(waiting.clone(), secs(age));
        let reversed = waiting.iter().rev().copied().collect();
        prop_assert_eq!(chosen(reversed, secs(age)), choice);
        prop_assert_eq!(choice.is_none(), waiting.is_empty());
        if let Some(choice) = choice {
            prop_assert!(waiting.iter().any(|one| one.ticket == choice.ticket));
        }
    }

    #[test]
    fn calls_for_one_runner_run_in_the_order_of_their_ranks(
        arrivals in arrivals(),
        loaded in any::<bool>(),
        age in 0..200_u64,
    ) {
        let mut waiting: Vec<Waiting> = arrivals
            .iter()
            .zip(0..)
            .map(|(one, ticket)| {
                call((!loaded).then_some(Swap::Model), rank(one).0, one.priority, ticket)
            })
            .collect();
        let mut order = Vec::new();
        while let Some(choice) = chosen(waiting.clone(), secs(age)) {
            order.push((arrivals[choice.ticket as usize], choice.ticket));
            waiting.retain(|one| one.ticket != choice.ticket);
        }
        prop_assert!(order.is_sorted_by_key(|(arrival, ticket)| (rank(arrival), *ticket)));
        prop_assert_eq!(order.len(), arrivals.len());
    }

    /// The bound of the module's documentation, and closer: of the calls that are ranked before it each
    /// takes its time, and only those that need a swap begin a quantum, whose end the last call overruns.
    #[test]
    fn nothing_waits_longer_than_for_the_calls_ranked_before_it_and_the_quanta_they_begin(
        arrivals in arrivals(),
    ) {
        let cost = SwapCost::default();
        let quantum_ms = quantum(&cost, Swap::Model).as_millis() as u64;
        let swap_ms = cost.of(Swap::Model).as_millis() as u64;
        for one in run(&arrivals) {
            let own = &arrivals[one.index];
            let is_before = |index: usize, other: &Arrival| {
                (rank(other), index) < (rank(own), one.index) && other.at_ms <= one.began_ms
            };
            let before = arrivals.iter().enumerate().filter(|(index, other)| is_before(*index, other));
            let keys: Vec<usize> = before.map(|(_, other)| other.key).collect();
            // The first key is loaded again only after another one was.
            let rare = keys.iter().filter(|key| **key != 0).count() as u64;
            let loads = 2 * rare + 2;
            let bound_ms = keys.len() as u64 * CALL_MS + loads * (swap_ms + quantum_ms + CALL_MS);
            prop_assert!(one.began_ms.saturating_sub(own.at_ms) <= bound_ms, "{one:?} {own:?}");
        }
    }

    #[test]
    fn the_first_in_rank_waits_for_a_quantum_at_most_and_an_urgent_one_for_a_quarter(
        arrivals in arrivals(),
    ) {
        let cost = SwapCost::default();
        let quantum_ms = quantum(&cost, Swap::Model).as_millis() as u64;
        let ran = run(&arrivals);
        let mut loaded_ms = 0;
        for (place, one) in ran.iter().enumerate() {
            if one.swapped {
                loaded_ms = one.began_ms + cost.of(Swap::Model).as_millis() as u64;
                continue;
            }
            // Whoever is passed over by a call for what is loaded.
            let passed = ran[place..].iter().map(|later| (later, &arrivals[later.index])).filter(
                |(later, other)| {
                    other.at_ms <= one.began_ms
                        && (rank(other), later.index) < (rank(&arrivals[one.index]), one.index)
                },
            );
            let first = passed.min_by_key(|(later, other)| (rank(other), later.index));
            if let Some((_, first)) = first {
                let urgent = first.priority == Priority::URGENT;
                let limit_ms = if urgent { quantum_ms / 4 } else { quantum_ms };
                prop_assert!(one.began_ms - loaded_ms < limit_ms, "{one:?} before {first:?}");
            }
        }
    }

    #[test]
    fn the_same_calls_run_in_the_same_order(arrivals in arrivals()) {
        let ran = run(&arrivals);
        prop_assert_eq!(ran.len(), arrivals.len());
        prop_assert_eq!(run(&arrivals), ran);
    }
}
