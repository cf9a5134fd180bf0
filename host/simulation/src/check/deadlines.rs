//! A job is over by its deadline, or fails: past it, it is not handed out, its run does nothing, and it is not done.

use roughneck_jobs::state::State;

use crate::{History, history::Moment};

pub(super) fn check(history: &History) -> Vec<String> {
    let claims = history.taken().map(|(_, taken)| taken);
    let late = claims.filter(|one| one.deadline.is_some_and(|deadline| deadline <= one.at));
    let mut broken: Vec<String> =
        late.map(|one| format!("{:?} was handed out after the deadline", one.run)).collect();
    for (_, moment) in &history.moments {
        if let Moment::ActedLate(run) = moment {
            broken.push(format!("{run:?} did something after the deadline of its job"));
        }
    }
    for (at, jobs) in history.looks() {
        // A retry on request clears the deadline.
        let done = jobs.iter().filter(|job| job.state == State::Done);
        let late = done.filter(|job| job.deadline.is_some() && job.finished_at >= job.deadline);
        broken.extend(late.map(|job| format!("job {} was done too late, seen at {at}", job.id)));
    }
    broken
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::clock::Millis;

    use super::{super::given::*, *};
    use crate::history::{Seen, Taken};

    #[test]
    fn what_is_done_past_a_deadline_is_found() {
        let deadline = Some(Millis(5));
        let handed_out = |at: i64| {
            let mut history = History::default();
            history.handed_out(Taken { at: Millis(at), deadline, ..taken(run(1, 1)) });
            check(&history).len()
        };
        assert_eq!([handed_out(4), handed_out(5)], [0, 1]);
        let done = |at: i64, state: State| {
            let mut history = History::default();
            let finished_at = Some(Millis(at));
            history.note(Moment::Looked(vec![Seen { deadline, finished_at, ..seen(1, state) }]));
            check(&history).len()
        };
        assert_eq!([done(4, State::Done), done(5, State::Done), done(5, State::Failed)], [0, 1, 0]);
        let mut history = History::default();
        history.note(Moment::ActedLate(run(1, 1)));
        assert_eq!(check(&history).len(), 1);
    }
}
