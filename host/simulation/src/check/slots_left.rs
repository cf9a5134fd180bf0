//! No slot is lost: where there is more work than slots, all of them are taken.

use crate::{History, history::Moment};

pub(super) fn check(history: &History, slots: &[(&str, u32)]) -> Vec<String> {
    let crowded = history.moments.iter().find(|(_, moment)| *moment == Moment::Crowded);
    let Some((since, _)) = crowded else { return Vec::new() };
    let mut broken = Vec::new();
    for (class, count) in slots {
        let looks = history.looks().filter(|(at, _)| at > since);
        let most = looks.map(|(_, jobs)| {
            jobs.iter().filter(|job| job.class.0 == *class && job.state.is_running()).count()
        });
        let most = most.max().unwrap_or(0);
        if most < *count as usize {
            broken.push(format!("only {most} of the {count} slots of class {class} are left"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::state::State;

    use super::{super::given::*, *};

    #[test]
    fn a_slot_that_nobody_can_take_any_more_is_found() {
        let mut history = History::default();
        history.note(Moment::Crowded);
        history.note(Moment::Looked(vec![seen(1, State::Working), seen(2, State::Queued)]));
        assert_eq!(check(&history, &[("io", 1)]), Vec::<String>::new());
        assert_eq!(check(&history, &[("io", 2)]), ["only 1 of the 2 slots of class io are left"]);
    }
}
