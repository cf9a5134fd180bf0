//! A class never runs more jobs than it has slots, a concurrency key never more than its places, and a
//! job never twice at once.

use std::collections::BTreeMap;

use roughneck_jobs::{id::JobId, run::Run};

use crate::{
    History,
    history::{Answer, Call, Moment, NEVER, Request, Write},
};

pub(super) fn check(history: &History, slots: &[(&str, u32)]) -> Vec<String> {
    let places = places(history, slots);
    let held = held(history);
    let mut broken = Vec::new();
    for one in &held {
        let at_once: Vec<_> = held.iter().filter(|other| other.covers(one.from)).collect();
        if at_once.iter().any(|other| other.run.job == one.run.job && other.run != one.run) {
            broken.push(format!("{:?} was handed out while another run held its job", one.run));
        }
        for (place, limit) in one.places(&places) {
            let taken = at_once.iter().filter(|other| other.takes(&place, &places)).count();
            if taken > limit as usize {
                broken.push(format!("{taken} runs held {place}, which has {limit}: {:?}", one.run));
            }
        }
    }
    broken.extend(looked(history, &places));
    broken
}

/// Slots and places of keys, by job.
struct Places<'a> {
    slots: &'a [(&'a str, u32)],
    keys: BTreeMap<JobId, (String, u32)>,
}

fn places<'a>(history: &History, slots: &'a [(&'a str, u32)]) -> Places<'a> {
    let keys = history.wanted().filter_map(|wanted| {
        let concurrency = wanted.concurrency.as_ref()?;
        Some((wanted.id, (format!("key {}", concurrency.key), concurrency.limit)))
    });
    Places { slots, keys: keys.collect() }
}

impl Places<'_> {
    fn of(&self, job: JobId, class: &str) -> Vec<(String, u32)> {
        let slots = self.slots.iter().filter(|(name, _)| *name == class);
        let slots = slots.map(|(name, count)| (format!("class {name}"), *count));
        slots.chain(self.keys.get(&job).cloned()).collect()
    }
}

/// From when to when a run held its job without any doubt: between the two the store knew nothing else.
struct Held {
    run: Run,
    class: String,
    from: usize,
    until: usize,
}

impl Held {
    fn covers(&self, at: usize) -> bool {
        self.from <= at && at < self.until
    }

    fn places(&self, places: &Places<'_>) -> Vec<(String, u32)> {
        places.of(self.run.job, &self.class)
    }

    fn takes(&self, place: &str, places: &Places<'_>) -> bool {
        self.places(places).iter().any(|(name, _)| name == place)
    }
}

fn held(history: &History) -> Vec<Held> {
    let mut held = Vec::new();
    for (call, taken) in history.taken() {
        let Request::Claim(class) = &call.request else { continue };
        let from = call.answered;
        // A write of the run itself may be asked for by a zombie: that one ends nothing.
        let ends = history.calls.iter().filter(|other| may_end(other, taken.run));
        let ends = ends.filter(|other| other.answered > from).map(|other| other.asked.max(from));
        let deaths = history
            .moments
            .iter()
            .filter_map(|(at, moment)| (*moment == Moment::Ended && *at > from).then_some(*at));
        let until = ends.chain(deaths).min().unwrap_or(NEVER);
        held.push(Held { run: taken.run, class: class.0.clone(), from, until });
    }
    held
}

/// Whether the run may not hold its job any more once this was asked for.
fn may_end(call: &Call, run: Run) -> bool {
    match &call.request {
        Request::Write(writer, Write::End | Write::GiveBack) => *writer == run,
        Request::Cancel(job) => *job == run.job,
        Request::Reap | Request::FailOverdue | Request::CancelFlow(_) => match &call.answer {
            Answer::Lost(runs) => runs.contains(&run),
            Answer::Unknown => true,
            Answer::Submitted(_)
            | Answer::Accepted(_)
            | Answer::Claimed(_)
            | Answer::Kept
            | Answer::Fenced
            | Answer::Cancelled(_)
            | Answer::Retried(_)
            | Answer::Jobs(_) => false,
        },
        Request::Recover => true,
        Request::Submit(_)
        | Request::SubmitFlow(_)
        | Request::Settle(_)
        | Request::Pause(_)
        | Request::Resume(_)
        | Request::Claim(_)
        | Request::Write(_, Write::Loading | Write::KeyValue)
        | Request::Retry(_)
        | Request::RetryFlow(_)
        | Request::RetryDead
        | Request::PurgeDead => false,
    }
}

/// What a reader of all jobs saw at one instant.
fn looked(history: &History, places: &Places<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (at, jobs) in history.looks() {
        let mut taken: BTreeMap<(String, u32), u32> = BTreeMap::new();
        for job in jobs.iter().filter(|job| job.state.is_running()) {
            for place in places.of(job.id, &job.class.0) {
                *taken.entry(place).or_default() += 1;
            }
        }
        for ((place, limit), count) in taken.into_iter().filter(|((_, limit), n)| n > limit) {
            broken.push(format!("{count} jobs of {place}, which has {limit}, ran at once at {at}"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::state::State;

    use super::{super::given::*, *};

    const SLOTS: &[(&str, u32)] = &[("io", 1)];

    #[test]
    fn a_slot_that_is_given_twice_is_found_and_one_that_is_free_again_is_not() {
        let mut good = History::default();
        good.claimed(run(1, 1));
        good.ended(run(1, 1));
        good.claimed(run(2, 1));
        assert_eq!(check(&good, SLOTS), Vec::<String>::new());
        let mut bad = History::default();
        bad.claimed(run(1, 1));
        bad.claimed(run(2, 1));
        assert!(check(&bad, SLOTS)[0].starts_with("2 runs held class io, which has 1"));
    }

    #[test]
    fn what_was_asked_for_and_not_answered_may_have_freed_the_slot() {
        let mut history = History::default();
        history.claimed(run(1, 1));
        history.ask(Request::Cancel(job(1)));
        history.claimed(run(2, 1));
        assert_eq!(check(&history, SLOTS), Vec::<String>::new());
    }

    #[test]
    fn a_job_and_a_key_that_run_twice_at_once_are_found() {
        let mut history = History::default();
        history.submitted(keyed(1));
        history.submitted(keyed(2));
        history.claimed(run(1, 1));
        history.claimed(run(2, 1));
        assert!(check(&history, &[("io", 9)])[0].starts_with("2 runs held key k, which has 1"));
        let mut history = History::default();
        history.claimed(run(1, 1));
        history.claimed(run(1, 2));
        assert!(check(&history, &[("io", 9)])[0].contains("while another run held its job"));
    }

    #[test]
    fn a_reader_who_sees_too_many_is_believed() {
        let mut history = History::default();
        history.note(Moment::Looked(vec![seen(1, State::Working), seen(2, State::Loading)]));
        assert_eq!(check(&history, SLOTS).len(), 1);
    }
}
