//! The one function that moves a job from state to state.
//!
//! State and event in, new state and its consequences out. No clock, no IO. The store calls it
//! inside the transaction that writes the move, so what it refuses never happens.

use crate::state::State;

/// The part of a job that its moves depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where it is.
    pub state: State,
    /// Attempts begun and not given back: 0 before the first, 1 during it.
    pub attempt: u32,
    /// Runs lost with their host.
    pub losses: u32,
    /// Losses the job may have before it is held to be poison.
    pub losses_max: u32,
}

/// What happened to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its time has come.
    Due,
    /// A dispatcher gave it a slot.
    Claimed,
    /// As many jobs of its concurrency key run as may.
    Parked,
    /// One of them has ended.
    Unparked,
    /// The run waits for its model to be loaded.
    ModelLoading,
    /// The model answers.
    ModelReady,
    /// The run returned a result.
    Succeeded,
    /// The attempt failed and the retry policy grants another one after this delay.
    FailedForNow {
        /// Milliseconds until the next attempt.
        delay_ms: u64,
    },
    /// The attempt failed and there is no other one.
    FailedForGood,
    /// The run could not do its work for a reason that is not the job's, such as a missing Ollama.
    Postponed {
        /// Milliseconds until the job may run again.
        delay_ms: u64,
    },
    /// The host that ran it died, or its lease expired.
    Lost,
    /// The host that runs it stops and gives it back.
    Released,
    /// The run ends, and another one begins when children of the job are over.
    AwaitsChildren {
        /// How many of them are not.
        open: u32,
    },
    /// Somebody cancelled it, or the plugin said that it should be.
    Cancelled,
    /// Somebody wants it to run again although it failed or was cancelled.
    Retried,
    /// The same, and jobs that it needs are not over.
    RetriedBlocked,
    /// What it waited for is over.
    Unblocked {
        /// Milliseconds until its time comes; 0 if it has come.
        delay_ms: u64,
    },
    /// A job that it needs ended without a result.
    DependencyFailed,
    /// It was not over at its deadline.
    DeadlinePassed,
}

/// The consequences of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The new state.
    pub state: State,
    /// The new count of attempts.
    pub attempt: u32,
    /// The new count of losses.
    pub losses: u32,
    /// For [`State::Scheduled`]: milliseconds until it is due.
    pub delay_ms: u64,
}

/// A move that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {} cannot take the event {event:?}", state.as_str())]
pub struct Refused {
    /// Where the job is.
    pub state: State,
    /// What it was told.
    pub event: Event,
}

/// Decides the move that `event` causes.
///
/// An attempt is counted when it begins, and given back by a loss, a release, a postponement or a wait for
/// children: none is the plugin's fault. A loss has a budget of its own; a job that kills its host again and again
/// ends among the dead letters.
///
/// A retry on request gives all attempts and all losses back: whoever asks for it has mended what was broken.
///
/// # Errors
/// [`Refused`] if the state does not allow the event. Of the terminal states, `failed` and `cancelled`
/// allow a retry on request and nothing else, and `done` allows nothing.
pub fn advance(job: &Progress, event: Event) -> Result<Move, Refused> {
    let refused = Refused { state: job.state, event };
    let to = |state| Move { state, attempt: job.attempt, losses: job.losses, delay_ms: 0 };
    let given_back = job.attempt.saturating_sub(1);
    match event {
        Event::Due if job.state == State::Scheduled => Ok(to(State::Queued)),
        Event::Claimed if job.state == State::Queued => {
            Ok(Move { attempt: job.attempt.saturating_add(1), ..to(State::Working) })
        }
        Event::Parked if job.state == State::Queued => Ok(to(State::Blocked)),
        Event::Unparked if job.state == State::Blocked => Ok(to(State::Queued)),
        Event::ModelLoading if job.state.is_running() => Ok(to(State::Loading)),
        Event::ModelReady if job.state.is_running() => Ok(to(State::Working)),
        Event::Succeeded if job.state.is_running() => Ok(to(State::Done)),
        Event::FailedForNow { delay_ms } if job.state.is_running() => {
            Ok(Move { delay_ms, ..to(State::Scheduled) })
        }
        Event::FailedForGood if job.state.is_running() => Ok(to(State::Failed)),
        Event::Postponed { delay_ms } if job.state.is_running() => {
            Ok(Move { attempt: given_back, delay_ms, ..to(State::Scheduled) })
        }
        Event::Lost if job.state.is_running() => {
            let losses = job.losses.saturating_add(1);
            let state = if losses >= job.losses_max { State::Failed } else { State::Queued };
            Ok(Move { attempt: given_back, losses, ..to(state) })
        }
        Event::Released if job.state.is_running() => {
            Ok(Move { attempt: given_back, ..to(State::Queued) })
        }
        Event::AwaitsChildren { open } if job.state.is_running() => {
            let state = if open == 0 { State::Queued } else { State::Blocked };
            Ok(Move { attempt: given_back, ..to(state) })
        }
        Event::Cancelled if !job.state.is_terminal() => Ok(to(State::Cancelled)),
        Event::Retried if matches!(job.state, State::Failed | State::Cancelled) => {
            Ok(Move { attempt: 0, losses: 0, ..to(State::Queued) })
        }
        Event::RetriedBlocked if matches!(job.state, State::Failed | State::Cancelled) => {
            Ok(Move { attempt: 0, losses: 0, ..to(State::Blocked) })
        }
        Event::Unblocked { delay_ms } if job.state == State::Blocked => {
            let state = if delay_ms == 0 { State::Queued } else { State::Scheduled };
            Ok(Move { delay_ms, ..to(state) })
        }
        Event::DependencyFailed if job.state == State::Blocked => Ok(to(State::Failed)),
        Event::DeadlinePassed if !job.state.is_terminal() => Ok(to(State::Failed)),
        Event::Due
        | Event::Claimed
        | Event::Parked
        | Event::Unparked
        | Event::ModelLoading
        | Event::ModelReady
        | Event::Succeeded
        | Event::FailedForNow { .. }
        | Event::FailedForGood
        | Event::Postponed { .. }
        | Event::Lost
        | Event::Released
        | Event::AwaitsChildren { .. }
        | Event::Cancelled
        | Event::Retried
        | Event::RetriedBlocked
        | Event::Unblocked { .. }
        | Event::DependencyFailed
        | Event::DeadlinePassed => Err(refused),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(state: State) -> Progress {
        Progress { state, attempt: 2, losses: 1, losses_max: 3 }
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Due),
            Just(Event::Claimed),
            Just(Event::Parked),
            Just(Event::Unparked),
            Just(Event::ModelLoading),
            Just(Event::ModelReady),
            Just(Event::Succeeded),
            any::<u64>().prop_map(|delay_ms| Event::FailedForNow { delay_ms }),
            Just(Event::FailedForGood),
            any::<u64>().prop_map(|delay_ms| Event::Postponed { delay_ms }),
            Just(Event::Lost),
            Just(Event::Released),
            any::<u32>().prop_map(|open| Event::AwaitsChildren { open }),
            Just(Event::Cancelled),
            Just(Event::Retried),
            Just(Event::RetriedBlocked),
            any::<u64>().prop_map(|delay_ms| Event::Unblocked { delay_ms }),
            Just(Event::DependencyFailed),
            Just(Event::DeadlinePassed),
        ]
    }

    /// Each once, and twice where what it carries decides.
    const EVENTS: [Event; 21] = [
        Event::Due,
        Event::Claimed,
        Event::Parked,
        Event::Unparked,
        Event::ModelLoading,
        Event::ModelReady,
        Event::Succeeded,
        Event::FailedForNow { delay_ms: 5 },
        Event::FailedForGood,
        Event::Postponed { delay_ms: 5 },
        Event::Lost,
        Event::Released,
        Event::AwaitsChildren { open: 0 },
        Event::AwaitsChildren { open: 2 },
        Event::Cancelled,
        Event::Retried,
        Event::RetriedBlocked,
        Event::Unblocked { delay_ms: 0 },
        Event::Unblocked { delay_ms: 5 },
        Event::DependencyFailed,
        Event::DeadlinePassed,
    ];

    #[test]
    fn every_allowed_move_is_in_this_table_and_no_other() {
        use State::{Blocked, Cancelled, Done, Failed, Loading, Queued, Scheduled, Working};
        let allowed: &[(State, Event, State)] = &[
            (Scheduled, Event::Due, Queued),
            (Queued, Event::Claimed, Working),
            (Queued, Event::Parked, Blocked),
            (Blocked, Event::Unparked, Queued),
            (Working, Event::ModelLoading, Loading),
            (Loading, Event::ModelLoading, Loading),
            (Loading, Event::ModelReady, Working),
            (Working, Event::ModelReady, Working),
            (Working, Event::Succeeded, Done),
            (Loading, Event::Succeeded, Done),
            (Working, Event::FailedForNow { delay_ms: 5 }, Scheduled),
            (Loading, Event::FailedForNow { delay_ms: 5 }, Scheduled),
            (Working, Event::FailedForGood, Failed),
            (Loading, Event::FailedForGood, Failed),
            (Working, Event::Postponed { delay_ms: 5 }, Scheduled),
            (Loading, Event::Postponed { delay_ms: 5 }, Scheduled),
            (Working, Event::Lost, Queued),
            (Loading, Event::Lost, Queued),
            (Working, Event::Released, Queued),
            (Loading, Event::Released, Queued),
            (Working, Event::AwaitsChildren { open: 0 }, Queued),
            (Loading, Event::AwaitsChildren { open: 0 }, Queued),
            (Working, Event::AwaitsChildren { open: 2 }, Blocked),
            (Loading, Event::AwaitsChildren { open: 2 }, Blocked),
            (Blocked, Event::Cancelled, Cancelled),
            (Scheduled, Event::Cancelled, Cancelled),
            (Queued, Event::Cancelled, Cancelled),
            (Loading, Event::Cancelled, Cancelled),
            (Working, Event::Cancelled, Cancelled),
            (Failed, Event::Retried, Queued),
            (Cancelled, Event::Retried, Queued),
            (Failed, Event::RetriedBlocked, Blocked),
            (Cancelled, Event::RetriedBlocked, Blocked),
            (Blocked, Event::Unblocked { delay_ms: 0 }, Queued),
            (Blocked, Event::Unblocked { delay_ms: 5 }, Scheduled),
            (Blocked, Event::DependencyFailed, Failed),
            (Blocked, Event::DeadlinePassed, Failed),
            (Scheduled, Event::DeadlinePassed, Failed),
            (Queued, Event::DeadlinePassed, Failed),
            (Loading, Event::DeadlinePassed, Failed),
            (Working, Event::DeadlinePassed, Failed),
        ];
        for state in State::ALL {
            for event in EVENTS {
                let expected = allowed.iter().find(|row| row.0 == state && row.1 == event);
                let got = advance(&job(state), event).map(|next| next.state).ok();
                assert_eq!(got, expected.map(|row| row.2), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_loss_a_release_a_wait_and_a_postponement_give_the_attempt_back_and_a_failure_does_not() {
        let working = job(State::Working);
        assert_eq!(advance(&working, Event::Lost).unwrap().attempt, 1);
        let released = advance(&working, Event::Released).unwrap();
        assert_eq!((released.attempt, released.losses), (1, working.losses));
        assert_eq!(advance(&working, Event::Postponed { delay_ms: 1 }).unwrap().attempt, 1);
        assert_eq!(advance(&working, Event::AwaitsChildren { open: 3 }).unwrap().attempt, 1);
        assert_eq!(advance(&working, Event::FailedForNow { delay_ms: 1 }).unwrap().attempt, 2);
    }

    #[test]
    fn a_job_that_keeps_killing_its_host_becomes_a_dead_letter() {
        let poison = Progress { losses: 2, ..job(State::Working) };
        assert_eq!(advance(&poison, Event::Lost).unwrap().state, State::Failed);
    }

    #[test]
    fn a_retry_on_request_starts_with_all_attempts_and_no_losses() {
        for state in [State::Failed, State::Cancelled] {
            for event in [Event::Retried, Event::RetriedBlocked] {
                let next = advance(&job(state), event).unwrap();
                assert_eq!((next.attempt, next.losses, next.delay_ms), (0, 0, 0));
            }
        }
    }

    proptest! {
        #[test]
        fn no_story_leaves_a_terminal_state_but_by_a_retry_on_request_nor_overflows(story in prop::collection::vec(events(), 0..200)) {
            let mut at = Progress { state: State::Queued, attempt: u32::MAX - 1, losses: 0, losses_max: 3 };
            for event in story {
                match advance(&at, event) {
                    Ok(next) => {
                        let is_wanted = matches!(event, Event::Retried | Event::RetriedBlocked);
                        prop_assert!(!at.state.is_terminal() || is_wanted);
                        prop_assert!(at.state != State::Done);
                        at = Progress { state: next.state, attempt: next.attempt, losses: next.losses, ..at };
                    }
                    Err(refused) => prop_assert_eq!(refused.state, at.state),
                }
            }
        }
    }
}
