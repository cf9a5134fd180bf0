//! No job has more attempts than it may have, nor more losses.

use roughneck_jobs::run::LOSSES_MAX;

use crate::{History, history::Taken};

pub(super) fn check(history: &History) -> Vec<String> {
    let claims = history.taken().map(|(_, taken)| {
        let Taken { run, attempt, attempts_max, losses, .. } = taken;
        // One that has lost as often as it may is a dead letter, not handed out.
        (run.job, *attempt, *attempts_max, losses + 1)
    });
    let looks = history.looks().flat_map(|(_, jobs)| jobs);
    let looks = looks.map(|job| (job.id, job.attempt, job.attempts_max, job.losses));
    let wrong = claims.chain(looks).filter(|(_, attempt, attempts_max, losses)| {
        attempt > attempts_max || *losses > LOSSES_MAX
    });
    wrong
        .map(|(job, attempt, attempts_max, losses)| {
            format!("job {job} had attempt {attempt} of {attempts_max}, and {losses} losses")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{class::Class, state::State};

    use super::{super::given::*, *};
    use crate::history::{Answer, Moment, Request, Seen};

    #[test]
    fn an_attempt_or_a_loss_too_many_is_found() {
        let claim = |attempt, losses| {
            let mut history = History::default();
            let taken = Taken { attempt, losses, ..taken(run(1, 1)) };
            history.call(Request::Claim(Class("io".to_owned())), Answer::Claimed(vec![taken]));
            check(&history).len()
        };
        assert_eq!([claim(3, 2), claim(4, 0), claim(1, 3)], [0, 1, 1]);
        let mut history = History::default();
        history.note(Moment::Looked(vec![Seen { losses: 4, ..seen(1, State::Failed) }]));
        assert_eq!(check(&history).len(), 1);
    }
}
