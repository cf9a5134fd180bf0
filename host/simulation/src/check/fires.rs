//! A fire of a schedule runs at most once, and one of a schedule that makes up for all of them at least once.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{
    clock::Millis,
    id::JobId,
    schedule::{CATCH_UP_MAX, Missed, Overlap, Schedule, Spec},
};

use super::kept::purged;
use crate::{History, history::Moment};

pub(super) fn check(history: &History) -> Vec<String> {
    let jobs = fired(history);
    let twice = jobs.iter().filter(|(_, jobs)| jobs.len() > 1);
    let mut broken: Vec<String> =
        twice.map(|((id, at), jobs)| format!("fire {at} of {id} ran as {jobs:?}")).collect();
    let missing: Vec<_> =
        promised(history).difference(&jobs.into_keys().collect()).cloned().collect();
    // A dead letter may have been deleted before anybody saw it.
    if missing.len() > purged(history) {
        broken.push(format!("these fires never ran: {missing:?}"));
    }
    broken
}

/// The jobs of each fire, as far as somebody was told of them or saw them.
fn fired(history: &History) -> BTreeMap<(String, Millis), BTreeSet<JobId>> {
    let mut fires: BTreeMap<_, BTreeSet<JobId>> = BTreeMap::new();
    for job in history.looks().flat_map(|(_, jobs)| jobs) {
        if let Some((schedule, at)) = job.fire.as_ref().and_then(|it| Some((&it.schedule, it.at?)))
        {
            fires.entry((schedule.clone(), at)).or_default().insert(job.id);
        }
    }
    fires
}

/// The fires that must have run: of schedules that nobody touched, that make up for all they miss and that
/// do not mind an overlap.
fn promised(history: &History) -> BTreeSet<(String, Millis)> {
    let caught = history.moments.iter().find_map(|(_, moment)| {
        let Moment::Caught(at) = moment else { return None };
        Some(*at)
    });
    let Some(caught) = caught else { return BTreeSet::new() };
    let made = history.moments.iter().filter_map(|(_, moment)| {
        let Moment::Made(spec, at) = moment else { return None };
        let is_thorough = spec.missed == Missed::All
            && spec.missed_max == CATCH_UP_MAX
            && spec.overlap == Overlap::Queue;
        (is_thorough && !is_touched(history, &spec.id)).then_some((spec, *at))
    });
    made.flat_map(|(spec, at)| fires(spec, at, caught)).collect()
}

fn is_touched(history: &History, id: &str) -> bool {
    let caught = |moment: &Moment| matches!(moment, Moment::Caught(_));
    let until = history.moments.iter().take_while(|(_, moment)| !caught(moment));
    let mut until = until.filter(|(_, moment)| *moment == Moment::Touched(id.to_owned()));
    until.next().is_some()
}

fn fires(spec: &Spec, from: Millis, until: Millis) -> Vec<(String, Millis)> {
    let Ok(schedule) = Schedule::new(spec.clone()) else { return Vec::new() };
    let fires = schedule.fires_after(from).take_while(|at| *at <= until);
    fires.map(|at| (spec.id.clone(), at)).collect()
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{schedule::Fire, state::State};

    use super::{super::given::*, *};
    use crate::history::Seen;

    fn spec() -> Spec {
        Spec {
            id: "s".to_owned(),
            kind: "act".to_owned(),
            expr: "@every 1m".to_owned(),
            zone: "UTC".to_owned(),
            input: "{}".to_owned(),
            priority: None,
            caller: None,
            missed: Missed::All,
            missed_max: CATCH_UP_MAX,
            overlap: Overlap::Queue,
        }
    }

    fn of_fire(n: i64, at: i64) -> Seen {
        let fire = Fire { schedule: "s".to_owned(), at: Some(Millis(at)) };
        Seen { fire: Some(fire), ..seen(n, State::Done) }
    }

    #[test]
    fn a_fire_with_two_jobs_is_found_also_if_one_of_them_is_gone() {
        let mut history = History::default();
        history.note(Moment::Looked(vec![of_fire(1, 60_000), of_fire(2, 120_000)]));
        assert_eq!(check(&history), Vec::<String>::new());
        history.note(Moment::Looked(vec![of_fire(3, 60_000)]));
        assert_eq!(check(&history).len(), 1);
    }

    #[test]
    fn a_fire_that_never_ran_is_found_unless_somebody_touched_the_schedule() {
        let ran = |jobs: Vec<Seen>, is_touched: bool| {
            let mut history = History::default();
            history.note(Moment::Made(spec(), Millis(0)));
            if is_touched {
                history.note(Moment::Touched("s".to_owned()));
            }
            history.note(Moment::Caught(Millis(120_000)));
            history.note(Moment::Touched("s".to_owned()));
            history.note(Moment::Looked(jobs));
            check(&history).len()
        };
        assert_eq!(ran(vec![of_fire(1, 60_000), of_fire(2, 120_000)], false), 0);
        assert_eq!(ran(vec![of_fire(1, 60_000)], false), 1);
        assert_eq!(ran(vec![of_fire(1, 60_000)], true), 0);
    }
}
