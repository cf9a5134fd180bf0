//! What is said to those for whom there are no tokens left.

use super::Whose;
use crate::{clock::Millis, failure::code};

/// When there is room again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// When the next day begins.
    At(Millis),
    /// When calls are over that have reserved what is left.
    Soon,
    /// Never: the call needs more than there is on any day, or its job has had what it may have.
    Never,
}

/// A budget has no room for a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct OverBudget {
    /// Whose budget.
    pub whose: Whose,
    /// What it has.
    pub limit: u64,
    /// What is used.
    pub spent: u64,
    /// What calls under way may use.
    pub reserved: u64,
    /// What the call may need.
    pub needs: u64,
    /// When there is room again.
    pub renewal: Renewal,
}

impl OverBudget {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.whose {
            Whose::Job => code::JOB_OVER_BUDGET,
            Whose::Kind(_) | Whose::Caller(_) => code::OVER_BUDGET,
        }
    }

    /// What a call may still reserve.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.spent).saturating_sub(self.reserved)
    }

    /// Milliseconds from `now` until the budget is renewed, if waiting for that helps.
    #[must_use]
    pub fn renewed_in_ms(&self, now: Millis) -> Option<u64> {
        match self.renewal {
            Renewal::At(at) => Some(at.since_ms(now)),
            Renewal::Soon | Renewal::Never => None,
        }
    }

    fn sentence(&self) -> String {
        let Self { whose, limit, spent, reserved, needs, renewal } = self;
        let key = match whose {
            Whose::Job => {
                return format!(
                    "one job may use {limit} tokens, this one has used {spent}, and its next call may need {needs}; raise `job` under [budgets] in roughneck.toml, or `tokens-per-job` under [limits] in plugin.toml, whichever is lower"
                );
            }
            Whose::Kind(name) => format!("`{name}` under [budgets.kinds]"),
            Whose::Caller(name) => format!("`{name}` under [budgets.callers]"),
        };
        match renewal {
            Renewal::At(at) => format!(
                "the token budget of {whose} has no room until {at}: {spent} of its {limit} tokens a day are used, and the call may need {needs}"
            ),
            Renewal::Soon => format!(
                "the token budget of {whose} is reserved by other calls: of its {limit} tokens a day, {spent} are used and {reserved} reserved, and the call may need {needs}; try again when one of them is over"
            ),
            Renewal::Never => format!(
                "the call may need {needs} tokens, and the token budget of {whose} has {limit} a day; ask for less, or raise {key} in roughneck.toml"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_whose_budget_it_is_and_what_to_do() {
        let over = |whose, renewal| OverBudget {
            whose,
            limit: 100,
            spent: 70,
            reserved: 20,
            needs: 50,
            renewal,
        };
        let (kind, caller) = (Whose::Kind("draft".to_owned()), Whose::Caller("alice".to_owned()));
        for (over, code, sentence) in [
            (
                over(kind.clone(), Renewal::At(Millis(0))),
                "over-budget",
                "the token budget of the kind `draft` has no room until 1970-01-01T00:00:00.000Z: 70 of its 100 tokens a day are used, and the call may need 50",
            ),
            (
                over(caller, Renewal::Soon),
                "over-budget",
                "the token budget of the caller `alice` is reserved by other calls: of its 100 tokens a day, 70 are used and 20 reserved, and the call may need 50; try again when one of them is over",
            ),
            (
                over(kind, Renewal::Never),
                "over-budget",
                "the call may need 50 tokens, and the token budget of the kind `draft` has 100 a day; ask for less, or raise `draft` under [budgets.kinds] in roughneck.toml",
            ),
            (
                over(Whose::Job, Renewal::Never),
                "job-over-budget",
                "one job may use 100 tokens, this one has used 70, and its next call may need 50; raise `job` under [budgets] in roughneck.toml, or `tokens-per-job` under [limits] in plugin.toml, whichever is lower",
            ),
        ] {
            assert_eq!((over.code(), over.to_string().as_str()), (code, sentence));
            assert_eq!(over.remaining(), 10);
        }
    }
}
