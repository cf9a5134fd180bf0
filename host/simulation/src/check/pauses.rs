//! While a class or a kind is paused, no job of it is handed out.

use roughneck_jobs::pause::{Pause, Scope};

use crate::{
    History,
    history::{Answer, Call, Request, Taken},
};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (claim, taken) in history.taken() {
        let Request::Claim(class) = &claim.request else { continue };
        for scope in [Scope::Class(class.0.clone()), Scope::Kind(taken.kind.clone())] {
            if let Some(pause) = standing(history, &scope, claim).filter(|it| !it.is_over(taken.at))
            {
                broken.push(told(taken, pause));
            }
        }
    }
    broken
}

fn told(taken: &Taken, pause: &Pause) -> String {
    format!("{:?} was handed out while the {} was paused", taken.run, pause.scope)
}

/// The pause that stood without any doubt while the claim was under way.
fn standing<'a>(history: &'a History, scope: &Scope, claim: &Call) -> Option<&'a Pause> {
    let about = history.calls.iter().filter(|call| scope_of(call) == Some(scope));
    let before: Vec<&Call> = about.filter(|call| call.asked < claim.answered).collect();
    let last = before.iter().max_by_key(|call| call.asked)?;
    let (Request::Pause(pause), Answer::Kept) = (&last.request, &last.answer) else { return None };
    // Whatever else was not answered when this one was asked for may have come after it.
    let is_alone = before.iter().all(|call| call.asked == last.asked || call.answered < last.asked);
    (is_alone && last.answered < claim.asked).then_some(pause)
}

fn scope_of(call: &Call) -> Option<&Scope> {
    match &call.request {
        Request::Pause(pause) => Some(&pause.scope),
        Request::Resume(scope) => Some(scope),
        Request::Submit(_)
        | Request::SubmitFlow(_)
        | Request::Settle(_)
        | Request::Claim(_)
        | Request::Write(..)
        | Request::Cancel(_)
        | Request::CancelFlow(_)
        | Request::Retry(_)
        | Request::RetryFlow(_)
        | Request::RetryDead
        | Request::PurgeDead
        | Request::Recover
        | Request::Reap
        | Request::FailOverdue => None,
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::clock::Millis;

    use super::{super::given::*, *};

    fn paused(until: Option<i64>) -> History {
        let (scope, reason) = (Scope::Kind("act".to_owned()), String::new());
        let pause = Pause { scope, since: Millis(0), until: until.map(Millis), reason };
        let mut history = History::default();
        history.call(Request::Pause(pause), Answer::Kept);
        history
    }

    #[test]
    fn a_job_of_a_paused_kind_that_is_handed_out_is_found_unless_the_pause_is_over() {
        let broken = |mut history: History| {
            history.claimed(run(1, 1));
            check(&history).len()
        };
        assert_eq!(broken(paused(None)), 1);
        assert_eq!(broken(paused(Some(1))), 1);
        assert_eq!(broken(paused(Some(0))), 0);
        let mut resumed = paused(None);
        resumed.ask(Request::Resume(Scope::Kind("act".to_owned())));
        assert_eq!(broken(resumed), 0, "nobody knows whether it was resumed");
    }
}
