//! The rules that are compared.

use std::{collections::BTreeMap, time::Duration};

use roughneck_llm::{
    planner::{self, Waiting},
    swap::{Swap, SwapCost},
};

use super::trace::{Arrival, Model};

/// Whose call is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The order of arrival, as in Ollama.
    Fifo,
    /// The priority, and the order of arrival among equals.
    Priority,
    /// Whatever the loaded model can answer, in the order of arrival; when there is nothing left, the
    /// oldest call.
    Drain,
    /// The rank, whatever is loaded.
    Rank,
    /// The lane's own, but it never lingers.
    Hasty,
    /// The lane's own: the rank, a quantum for what is loaded, and some lingering.
    Planner,
}

/// Those who wait, in the order that the rule gives them when it does not look at what is loaded.
pub(super) type Line = BTreeMap<Place, Arrival>;

/// A place in it: by the rule's own measure, then by arrival.
pub(super) type Place = (i64, u64);

/// The one model that is loaded at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub(super) model: Option<Model>,
    pub(super) usage: planner::Loaded,
    pub(super) cost: SwapCost,
}

/// What a rule says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// This one.
    Call(Place),
    /// Nobody for so long, or until somebody comes.
    Linger { ms: u64 },
}

impl Rule {
    pub(super) const ALL: [Self; 6] =
        [Self::Fifo, Self::Priority, Self::Drain, Self::Rank, Self::Hasty, Self::Planner];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fifo => "order of arrival",
            Self::Priority => "strict priority",
            Self::Drain => "drain by model",
            Self::Rank => "rank alone",
            Self::Hasty => "rank and quantum",
            Self::Planner => "rank, quantum, lingering: ours",
        }
    }

    /// Where a call lines up.
    pub(super) fn place(self, arrival: &Arrival, ticket: u64) -> Place {
        let measure = match self {
            Self::Fifo | Self::Drain => 0,
            Self::Priority => -i64::from(arrival.priority.level()),
            Self::Rank | Self::Hasty | Self::Planner => arrival.rank().0,
        };
        (measure, ticket)
    }

    /// Who of those is next.
    pub(super) fn next(self, line: &Line, loaded: &Loaded) -> Option<Next> {
        let first = || line.first_key_value().map(|(place, _)| *place);
        match self {
            Self::Fifo | Self::Priority | Self::Rank => first().map(Next::Call),
            Self::Drain => {
                let fits = |(_, call): &(&Place, &Arrival)| loaded.model == Some(call.model);
                let fitting = line.iter().find(fits).map(|(place, _)| *place);
                fitting.or_else(first).map(Next::Call)
            }
            Self::Hasty => {
                let usage = planner::Loaded { idle: Duration::MAX, ..loaded.usage };
                planned(line, &Loaded { usage, ..*loaded })
            }
            Self::Planner => planned(line, loaded),
        }
    }
}

/// What the lane would do.
fn planned(line: &Line, loaded: &Loaded) -> Option<Next> {
    let waiting = line.iter().map(|((_, ticket), call)| Waiting {
        swap: match loaded.model {
            Some(model) if model == call.model => None,
            Some(_) => Some(Swap::Model),
            None => Some(Swap::Cold),
        },
        rank: call.rank(),
        priority: call.priority,
        ticket: *ticket,
    });
    match planner::next(waiting, loaded.usage, &loaded.cost)? {
        planner::Next::Call(choice) => {
            let place = line.keys().find(|(_, ticket)| *ticket == choice.ticket);
            place.copied().map(Next::Call)
        }
        planner::Next::Linger(left) => {
            Some(Next::Linger { ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1) })
        }
    }
}
