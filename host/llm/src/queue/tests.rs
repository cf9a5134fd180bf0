use std::{future::Future, pin::pin, task::Poll};

use serde_json::Map;

use super::*;
use crate::{
    breaker::Pulse, broken::Broken, config::Config, model_id::known_by, modelfile::Modelfile,
    preempt::Past, swap::Swap,
};

fn key(model: &str) -> RunnerKey {
    RunnerKey::of(&crate::resolve::named(model, model), None, &Map::new(), None)
}

fn seat(model: &str, rank: i64) -> Seat {
    Seat { key: key(model), rank: Millis(rank), priority: Priority::NORMAL }
}

fn queue(waiting_max: usize) -> Queue {
    with_turns(1, waiting_max)
}

fn with_turns(turns: usize, waiting_max: usize) -> Queue {
    let site = if turns == 1 { Site::Here } else { Site::Cloud };
    Queue::new(site, Room { turns, waiting_max }, Arc::new(Metrics::new()), None)
}

/// The turn, if it is granted already: no test waits.
fn granted(ticket: Ticket) -> Option<Turn> {
    let mut turn = pin!(ticket.turn());
    let waker = std::task::Waker::noop();
    match turn.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

async fn take(queue: &Queue, seat: Seat) -> Turn {
    queue.line_up(seat).unwrap().turn().await
}

/// A lane whose turn is taken, with `model` loaded.
fn busy(model: &str) -> (Queue, Turn) {
    let queue = queue(8);
    let mut turn = granted(queue.line_up(seat(model, 0)).unwrap()).unwrap();
    turn.loaded(model, key(model), Swap::Cold, Duration::from_secs(10));
    (queue, turn)
}

#[tokio::test]
async fn a_free_lane_is_taken_at_once_and_handed_over_by_rank() {
    let queue = queue(8);
    let turn = take(&queue, seat("a", 0)).await;
    let [third, second, fourth] = [2, 1, 2].map(|rank| queue.line_up(seat("a", rank)).unwrap());
    let places = [&second, &third, &fourth].map(|ticket| queue.position(ticket.number()));
    assert_eq!((places, queue.len()), ([Some(1), Some(2), Some(3)], 3));

    drop(turn);
    assert_eq!(queue.position(second.number()), None, "it does not wait any more");
    let turn = granted(second).unwrap();
    assert_eq!(queue.position(third.number()), Some(1));
    drop(turn);
    let turn = granted(third).unwrap();
    drop(turn);
    drop(granted(fourth).unwrap());
    assert_eq!(queue.len(), 0);
    drop(take(&queue, seat("a", 9)).await);
}

#[tokio::test]
async fn whoever_has_the_turn_next_knows_what_ollama_was_told_to_let_go_of() {
    let (queue, turn) = busy("a");
    queue.let_go(&key("a"));
    assert!(queue.resident().is_some(), "the one who has the turn is not told");
    drop(turn);
    assert_eq!(queue.resident(), None);
    let mut turn = take(&queue, seat("a", 1)).await;
    assert!(turn.residency().is_doubtful(Instant::now()));
    turn.loaded("a", key("a"), Swap::Cold, Duration::from_secs(10));
    drop(turn);
    queue.let_go(&key("b"));
    assert!(queue.resident().is_some());
    queue.let_go(&key("a"));
    assert_eq!(queue.resident(), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_for_what_is_loaded_goes_before_one_of_better_rank() {
    let (queue, turn) = busy("a");
    let other = queue.line_up(seat("b", 1)).unwrap();
    let loaded = queue.line_up(seat("a", 2)).unwrap();
    assert!(queue.wants(&key("b")) && !queue.wants(&key("c")));
    drop(turn);
    let turn = granted(loaded).unwrap();
    assert_eq!(turn.reason, Reason::Loaded);
    drop(turn);
    assert_eq!(other.turn().await.reason, Reason::Drained);
}

#[tokio::test(start_paused = true)]
async fn the_lane_lingers_for_whoever_asks_again_and_then_makes_way() {
    let (queue, turn) = busy("a");
    let began_at = Instant::now();
    let other = queue.line_up(seat("b", 1)).unwrap();
    drop(turn);
    let lingers = Duration::from_secs(1);
    tokio::time::advance(lingers / 2).await;
    let again = granted(queue.line_up(seat("a", 2)).unwrap()).unwrap();
    assert_eq!(again.reason, Reason::Loaded);
    drop(again);
    let _later: Vec<Ticket> = (3..10).map(|n| queue.line_up(seat("b", n)).unwrap()).collect();
    assert_eq!(queue.line_up(seat("a", 0)).unwrap_err(), Full { waiting_max: 8 });
    assert_eq!(other.turn().await.reason, Reason::Drained);
    assert_eq!(began_at.elapsed().as_millis(), 1500, "from the end of the last call");
}

#[tokio::test]
async fn where_nobody_knows_what_is_loaded_the_rank_decides() {
    let (queue, mut turn) = busy("a");
    let other = queue.line_up(seat("b", 1)).unwrap();
    let _loaded = queue.line_up(seat("a", 2)).unwrap();
    turn.residency().doubt();
    drop(turn);
    assert_eq!(granted(other).unwrap().reason, Reason::Drained);
}

#[tokio::test]
async fn one_who_leaves_is_passed_over_and_frees_the_place() {
    let (queue, turn) = busy("a");
    let leaves = queue.line_up(seat("a", 1)).unwrap();
    let stays = queue.line_up(seat("a", 2)).unwrap();
    drop(leaves);
    assert_eq!((queue.len(), queue.position(stays.number())), (1, Some(1)));
    drop(turn);
    assert!(granted(stays).is_some());
}

#[tokio::test]
async fn a_turn_that_was_granted_and_not_taken_goes_to_the_next() {
    let (queue, turn) = busy("a");
    let leaves = queue.line_up(seat("a", 1)).unwrap();
    let stays = queue.line_up(seat("a", 2)).unwrap();
    drop(turn);
    assert_eq!(queue.len(), 1, "the first was chosen");
    drop(leaves);
    drop(granted(stays).unwrap());

    // And with nobody else there, the lane is free.
    let turn = take(&queue, seat("a", 3)).await;
    let leaves = queue.line_up(seat("a", 4)).unwrap();
    drop(turn);
    drop(leaves);
    assert!(granted(queue.line_up(seat("a", 5)).unwrap()).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_turn_is_lost_or_doubled_among_many_who_come_and_leave() {
    let queue = self::queue(512);
    let holders = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for n in 0..400_i64 {
        let (queue, holders) = (queue.clone(), Arc::clone(&holders));
        tasks.push(tokio::spawn(async move {
            let ticket = queue.line_up(seat(["a", "b"][n as usize % 2], n)).unwrap();
            tokio::task::yield_now().await;
            if n % 3 == 0 {
                return;
            }
            let turn = ticket.turn().await;
            assert_eq!(holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
            holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            drop(turn);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(queue.len(), 0);
    assert!(granted(queue.line_up(seat("a", 0)).unwrap()).is_some());
}

#[tokio::test]
async fn a_full_queue_refuses_until_somebody_leaves() {
    let queue = queue(1);
    let _turn = take(&queue, seat("a", 0)).await;
    let waits = queue.line_up(seat("a", 1)).unwrap();
    assert_eq!(queue.line_up(seat("a", 0)).unwrap_err(), Full { waiting_max: 1 });
    drop(waits);
    assert!(queue.line_up(seat("a", 0)).is_ok());
    assert!(self::queue(0).line_up(seat("a", 0)).is_ok(), "a free lane needs no place to wait");
}

#[tokio::test]
async fn where_nothing_is_loaded_there_may_be_many_turns_and_the_rank_decides_who_has_the_next() {
    let queue = with_turns(2, 2);
    let first = take(&queue, seat("a", 0)).await;
    assert_eq!((queue.quiet(), queue.doings().is_free), (None, false), "one is enough");
    let second = take(&queue, seat("b", 0)).await;
    let [later, sooner] = [2, 1].map(|rank| queue.line_up(seat("a", rank)).unwrap());
    assert_eq!(queue.line_up(seat("a", 0)).unwrap_err(), Full { waiting_max: 2 });
    assert!(queue.serves(&key("a")) && queue.serves(&key("b")));
    drop(second);
    assert!(!queue.serves(&key("b")));
    let sooner = granted(sooner).unwrap();
    drop(first);
    // What was granted and not taken is free again, and nobody is taken for being served.
    drop(later);
    drop(sooner);
    assert!(queue.quiet().is_some() && !queue.serves(&key("a")));
    let turns = [take(&queue, seat("a", 3)).await, take(&queue, seat("a", 4)).await];
    assert!(granted(queue.line_up(seat("a", 5)).unwrap()).is_none());
    drop(turns);
}

fn of(priority: Priority, seat: Seat) -> Seat {
    Seat { priority, ..seat }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_call_gives_way_once_the_planner_would_load_the_urgent_one_s_model() {
    let queue = queue(8);
    let bulk = of(Priority::BULK, seat("a", 5));
    let mut turn = granted(queue.line_up(bulk).unwrap()).unwrap();
    turn.loaded("a", key("a"), Swap::Cold, Duration::from_secs(10));
    turn.offer(Past::default());
    let began_at = Instant::now();
    let urgent = queue.line_up(of(Priority::URGENT, seat("b", 1))).unwrap();
    let _normal = queue.line_up(seat("a", 2)).unwrap();
    assert_eq!(turn.unless_wanted(None, std::future::pending::<()>()).await, None);
    assert_eq!(began_at.elapsed().as_secs(), 30, "a quarter of the quantum");

    let again = turn.give_way();
    assert_eq!(queue.position(again.number()), Some(2), "behind its betters, as it was");
    assert_eq!(granted(urgent).unwrap().reason, Reason::Urgent);
}

#[tokio::test(start_paused = true)]
async fn whoever_made_no_offer_or_took_it_back_is_left_in_peace() {
    for offers in [false, true] {
        let queue = queue(8);
        let bulk = of(Priority::BULK, seat("a", 5));
        let mut turn = granted(queue.line_up(bulk).unwrap()).unwrap();
        turn.loaded("a", key("a"), Swap::Cold, Duration::from_secs(10));
        if offers {
            turn.offer(Past::default());
            turn.settle();
        }
        let urgent = queue.line_up(of(Priority::URGENT, seat("a", 1))).unwrap();
        let work = tokio::time::sleep(Duration::from_secs(60));
        assert_eq!(turn.unless_wanted(None, work).await, Some(()), "{offers}");
        drop(turn);
        assert!(granted(urgent).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_way_keeps_its_place_even_in_a_full_queue() {
    let queue = queue(1);
    let turn = granted(queue.line_up(seat("a", 5)).unwrap()).unwrap();
    let better = queue.line_up(seat("a", 1)).unwrap();
    let again = turn.give_way();
    let turn = granted(better).unwrap();
    let equal = queue.line_up(seat("a", 5));
    assert_eq!(equal.unwrap_err(), Full { waiting_max: 1 });
    drop(turn);
    assert!(granted(again).is_some());
}

/// A queue with its breaker, and one call that has its turn.
fn guarded() -> (Queue, Arc<Circuit>, Turn) {
    let metrics = Arc::new(Metrics::new());
    let config = Config::new("http://o");
    let circuit = Arc::new(Circuit::new(&config, "http://o", Arc::clone(&metrics)));
    let queue = Queue::new(
        Site::Here,
        Room { turns: 1, waiting_max: 8 },
        metrics,
        Some(Arc::clone(&circuit)),
    );
    let turn = granted(queue.line_up(seat("a", 0)).unwrap()).unwrap();
    (queue, circuit, turn)
}

#[tokio::test]
async fn after_a_silence_the_turn_is_the_pulse_s_until_it_is_felt() {
    let (queue, circuit, mut turn) = guarded();
    turn.went_wrong(&Broken::silent(Duration::from_secs(1)));
    let waits = queue.line_up(seat("a", 1)).unwrap();
    drop(turn);
    assert_eq!(queue.len(), 1, "nobody goes before the pulse");
    let pulse = queue.vacant().unwrap();
    assert!(queue.vacant().is_none());
    circuit.felt(Pulse::Felt);
    drop(pulse);
    assert!(granted(waits).is_some());
}

#[tokio::test]
async fn the_silence_before_an_answer_in_one_piece_is_no_failure_but_asks_for_a_pulse() {
    let (queue, circuit, mut turn) = guarded();
    for _ in 0..4 {
        turn.expects_silence();
        turn.went_wrong(&Broken::silent(Duration::from_secs(1)));
        drop(turn);
        assert!(circuit.pulse_at().is_some());
        circuit.felt(Pulse::Unasked);
        assert!(circuit.admits(), "so many failures would have stopped the lane");
        turn = granted(queue.line_up(seat("a", 1)).unwrap()).unwrap();
    }
}

#[tokio::test]
async fn who_waits_outside_takes_up_room_in_the_queue() {
    let (queue, turn) = busy("a");
    let outside = [(); 7].map(|()| queue.wait_outside(Priority::HIGH).unwrap());
    let inside = queue.line_up(seat("a", 0)).unwrap();
    assert_eq!(queue.wait_outside(Priority::HIGH).unwrap_err(), Full { waiting_max: 8 });
    assert_eq!(queue.line_up(seat("a", 0)).unwrap_err(), Full { waiting_max: 8 });
    drop(outside);
    assert!(queue.line_up(seat("a", 0)).is_ok());
    drop((inside, turn));
}

#[tokio::test]
async fn who_has_room_outside_has_it_inside_whoever_else_has_come() {
    let (queue, elsewhere) = (queue(1), self::queue(1));
    let turn = take(&queue, seat("a", 0)).await;
    let outside = queue.wait_outside(Priority::HIGH).unwrap();
    let came_back = turn.place().again();
    let of_another_queue = elsewhere.wait_outside(Priority::HIGH).unwrap();
    let refused = queue.move_in(seat("a", 1), Some(of_another_queue)).unwrap_err();
    assert_eq!(refused, Full { waiting_max: 1 });
    let inside = queue.move_in(seat("a", 2), Some(outside)).unwrap();
    drop(came_back);
    assert_eq!(queue.line_up(seat("a", 3)).unwrap_err(), Full { waiting_max: 1 });
    drop(inside);
    assert!(queue.line_up(seat("a", 3)).is_ok(), "it has left no room behind that is taken");
    drop(turn);
}

#[tokio::test]
async fn one_model_that_is_let_go_of_again_and_again_is_remembered_once() {
    let (queue, turn) = busy("a");
    for model in ["b", "c", "b", "c", "b"] {
        queue.let_go(&key(model));
    }
    assert_eq!(queue.lock().let_go.len(), 2);
    drop(turn);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_is_a_sign_only_after_a_silence_longer_than_first_tokens_take() {
    for (first_token_s, waits_s, asks) in
        [(1, 9, false), (1, 10, true), (8, 23, false), (8, 24, true)]
    {
        let (_queue, circuit, mut turn) = guarded();
        turn.first_token(Duration::from_secs(first_token_s));
        turn.asks();
        tokio::time::advance(Duration::from_secs(waits_s)).await;
        drop(turn);
        assert_eq!(circuit.pulse_at().is_some(), asks, "{first_token_s} s, {waits_s} s");
    }
    let (_queue, circuit, mut turn) = guarded();
    turn.asks();
    turn.hears();
    tokio::time::advance(Duration::from_secs(100)).await;
    drop(turn);
    assert_eq!(circuit.pulse_at(), None, "it had begun to answer");
}

#[tokio::test]
async fn what_ollama_was_asked_for_is_told_once_and_as_long_as_it_is_under_way() {
    let (queue, mut turn) = busy("a");
    let doings = queue.doings();
    assert_eq!((doings.turns, doings.is_free, queue.quiet()), (1, false, None));
    let asked = || queue.doings().asked.contains(&known_by("a"));
    assert!(doings.asked.contains(&known_by("a")) && asked(), "it may still load");
    turn.asks();
    drop(turn);
    assert!(asked());
    let doings = queue.doings();
    assert!(doings.asked.is_empty() && doings.left_at.is_some(), "{doings:?}");
    assert_eq!(queue.quiet(), Some(1));

    // Who asks nothing, and whom Ollama refuses at once, know nothing of what it is at.
    drop(take(&queue, seat("a", 0)).await);
    let mut turn = take(&queue, seat("a", 0)).await;
    turn.asks();
    turn.went_wrong(&LlmError::Refused { status: 400, message: "no".to_owned() }.into());
    drop(turn);
    assert_eq!(queue.doings().left_at, doings.left_at);
    let mut turn = take(&queue, seat("a", 0)).await;
    turn.asks();
    turn.went_well();
    drop(turn);
    assert_eq!(queue.doings().left_at, None);
}

#[tokio::test]
async fn a_look_that_a_turn_has_overtaken_is_not_believed() {
    let (queue, turn) = busy("a");
    drop(turn);
    let turns = queue.quiet().unwrap();
    let overtakes = take(&queue, seat("a", 0)).await;
    queue.observe(turns, Vec::new());
    drop(overtakes);
    queue.observe(turns, Vec::new());
    assert_eq!(queue.resident().map(|resident| resident.model).as_deref(), Some("a"));
    queue.observe(turns + 1, Vec::new());
    assert_eq!(queue.resident(), None);
}

#[tokio::test]
async fn a_call_that_lined_up_before_its_weights_were_known_is_seen_by_who_knows_them() {
    let made = Modelfile { weights: Some("w".to_owned()), ..Modelfile::default() };
    let learnt =
        |model| RunnerKey::of(&crate::resolve::named(model, model), Some(&made), &Map::new(), None);
    let (queue, turn) = busy("a");
    assert!(queue.serves(&learnt("a")) && !queue.wants(&learnt("a")));
    let waiting = queue.line_up(seat("b", 0)).unwrap();
    assert!(queue.wants(&learnt("b")) && !queue.wants(&learnt("c")));
    drop(waiting);
    let waiting = queue.line_up(Seat { key: learnt("c"), ..seat("c", 0) }).unwrap();
    assert!(queue.wants(&key("c")), "nor is it missed by who has forgotten them");
    assert!(queue.wants(&learnt("d")), "which a copy shares");
    drop((waiting, turn));
}
