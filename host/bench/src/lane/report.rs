//! The rules beside each other.

use roughneck_jobs::priority::Priority;

use super::{
    day::{self, Day},
    rule::Rule,
    trace,
};
use crate::{
    series::Series,
    table::{self, Row, Target},
};

/// How much of a day the answers take, without swaps.
const LOADS: [f64; 3] = [0.6, 0.75, 0.85];
/// The same of the conversations.
const TALK_LOAD: f64 = 0.6;
/// The same of the hot model alone.
const HOT_LOAD: f64 = 1.05;

/// What the planner may pay in swaps for its order: so many times what draining pays.
const SWAPS_MAX: f64 = 1.1;

/// All that was simulated.
pub(super) struct Figures(Vec<Figure>);

/// One rule.
struct Figure {
    rule: Rule,
    mixed: [Mixed; LOADS.len()],
    conversations: Mixed,
    worst_rare_s: Series,
}

/// One rule at one load, over the seeds.
#[derive(Default)]
struct Mixed {
    urgent_p95_s: Series,
    low_p95_s: Series,
    low_worst_s: Series,
    swaps: Series,
}

impl Figures {
    /// Runs all rules on the days of these seeds.
    pub(super) fn of(seeds: &[u64]) -> Self {
        let figure = |rule| {
            let days =
                |load| seeds.iter().map(move |seed| day::run(rule, &trace::mixed(*seed, load)));
            let talks = seeds.iter().map(|seed| trace::conversations(*seed, TALK_LOAD));
            let hot = seeds.iter().map(|seed| day::run(rule, &trace::hot(*seed, HOT_LOAD)));
            Figure {
                rule,
                mixed: LOADS.map(|load| Mixed::of(days(load))),
                conversations: Mixed::of(talks.map(|talks| day::run(rule, &talks))),
                worst_rare_s: hot.map(|day| day.worst_rare_s()).collect(),
            }
        };
        Self(Rule::ALL.map(figure).into())
    }

    /// What the planner should reach, and whether it does.
    pub(super) fn targets(&self) -> Vec<Row> {
        let figure = |rule| self.0.iter().find(|figure| figure.rule == rule);
        let (Some(planner), Some(drain), Some(fifo)) =
            (figure(Rule::Planner), figure(Rule::Drain), figure(Rule::Fifo))
        else {
            return Vec::new();
        };
        let mut rows = Vec::new();
        for ((load, ours), theirs) in LOADS.iter().zip(&planner.mixed).zip(&drain.mixed) {
            rows.extend(ours.targets(&format!("load {load}"), theirs));
        }
        let talks = format!("conversations at {TALK_LOAD}");
        rows.extend(planner.conversations.targets(&talks, &drain.conversations));
        // Nobody is passed over in the order of arrival: what it takes is what the load makes them wait.
        let rare = Row::new(
            format!("hot model at {HOT_LOAD}"),
            "worst rare s",
            planner.worst_rare_s.clone(),
        )
        .beside("arrival", fifo.worst_rare_s.clone())
        .should_be(Target::RatioAtMost(1.0));
        rows.push(rare);
        rows
    }

    /// The table of the rules, and that of the targets.
    pub(super) fn render(&self) -> String {
        let mut head = vec!["seconds: urgent p95 / low p95; worst low; swaps".to_owned()];
        head.extend(LOADS.map(|load| format!("load {load}")));
        head.push(format!("conversations at {TALK_LOAD}"));
        head.push(format!("hot model at {HOT_LOAD}: worst rare"));
        let mut lines = vec![head];
        lines.extend(self.0.iter().map(Figure::cells));
        format!("{}\n{}", table::markdown(&lines), table::render(&self.targets()))
    }
}

impl Figure {
    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.rule.name().to_owned()];
        cells.extend(self.mixed.iter().chain([&self.conversations]).map(Mixed::cell));
        cells.push(median(&self.worst_rare_s));
        cells
    }
}

impl Mixed {
    fn of(days: impl Iterator<Item = Day>) -> Self {
        let mut mixed = Self::default();
        for day in days {
            let (urgent_p95_s, _) = day.waits_s(Priority::URGENT);
            let (low_p95_s, low_worst_s) = day.waits_s(Priority::LOW);
            mixed.urgent_p95_s.push(urgent_p95_s);
            mixed.low_p95_s.push(low_p95_s);
            mixed.low_worst_s.push(low_worst_s);
            mixed.swaps.push(day.swaps.into());
        }
        mixed
    }

    /// What draining by model makes of the same days is the measure of ours.
    fn targets(&self, days: &str, drain: &Self) -> [Row; 2] {
        let row = |figure, ours: &Series, theirs: &Series, times| {
            Row::new(days, figure, ours.clone())
                .beside("drain", theirs.clone())
                .should_be(Target::RatioAtMost(times))
        };
        [
            row("swaps", &self.swaps, &drain.swaps, SWAPS_MAX),
            row("urgent p95 s", &self.urgent_p95_s, &drain.urgent_p95_s, 1.0),
        ]
    }

    fn cell(&self) -> String {
        let [urgent, low, worst, swaps] =
            [&self.urgent_p95_s, &self.low_p95_s, &self.low_worst_s, &self.swaps].map(median);
        format!("{urgent} / {low}; {worst}; {swaps}")
    }
}

fn median(series: &Series) -> String {
    series.median().map_or_else(String::new, |value| format!("{value:.0}"))
}
