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
    /// The lane's own: the rank, and a quantum for what is loaded.
    Planner,
}

/// Those who wait, in the order that the rule gives them when it does not look at what is loaded.
pub(super) type Line = BTreeMap<Place, Arrival>;

/// A place in it: by the rule's own measure, then by arrival.
pub(super) type Place = (i64, u64);

/// What is loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub(super) model: Option<Model>,
    pub(super) for_ms: u64,
    pub(super) cost: SwapCost,
}

impl Rule {
    pub(super) const ALL: [Self; 5] =
        [Self::Fifo, Self::Priority, Self::Drain, Self::Rank, Self::Planner];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fifo => "order of arrival",
            Self::Priority => "strict priority",
            Self::Drain => "drain by model",
            Self::Rank => "rank alone",
            Self::Planner => "rank and quantum: the planner",
        }
    }

    /// Where a call lines up.
    pub(super) fn place(self, arrival: &Arrival, ticket: u64) -> Place {
        let measure = match self {
            Self::Fifo | Self::Drain => 0,
            Self::Priority => -i64::from(arrival.priority.level()),
            Self::Rank | Self::Planner => arrival.rank().0,
        };
        (measure, ticket)
    }

    /// Who of those is next.
    pub(super) fn next(self, line: &Line, loaded: &Loaded) -> Option<Place> {
        let first = || line.first_key_value().map(|(place, _)| *place);
        match self {
            Self::Fifo | Self::Priority | Self::Rank => first(),
            Self::Drain => {
                let fits = |(_, call): &(&Place, &Arrival)| loaded.model == Some(call.model);
                line.iter().find(fits).map(|(place, _)| *place).or_else(first)
            }
            Self::Planner => planned(line, loaded),
        }
    }
}

/// What the lane would choose.
fn planned(line: &Line, loaded: &Loaded) -> Option<Place> {
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
    let choice = planner::next(waiting, Duration::from_millis(loaded.for_ms), &loaded.cost)?;
    line.keys().find(|(_, ticket)| *ticket == choice.ticket).copied()
}
