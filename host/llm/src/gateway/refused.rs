//! Why a client's call got no answer, as its surface says it and as its job keeps it.

use bytes::Bytes;
use roughneck_jobs::{
    budget::OverBudget,
    clock::Millis,
    failure::{Disposition, Failure, code},
    model::LlmError,
    ports::{
        attended::Halt,
        gateway::{CODE, CallRoute, Reply, ReplyBody},
        runner::Outcome,
    },
};

use super::form;

/// Ollama's own words for a full queue, with both of its spaces: clients know them.
pub(crate) const QUEUE_FULL: &str =
    "server busy, please try again.  maximum pending requests exceeded";

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// For the client.
    pub(crate) message: String,
    /// A stable code, for the job.
    pub(crate) code: &'static str,
    told: Told,
}

/// What else a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing: it is said in Ollama's words, which clients know.
    Words,
    /// The code: it is this host that refuses.
    Code,
    /// The budget that has no room for it, and its code.
    Budget(Box<OverBudget>),
}

/// What is wrong with a request, in words.
impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self::invalid(why)
    }
}

impl Refused {
    pub(crate) fn new(status: u16, message: impl Into<String>, code: &'static str) -> Self {
        Self { status, message: message.into(), code, told: Told::Words }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message, "invalid-request")
    }

    /// It names no model.
    pub(crate) fn nameless(route: CallRoute) -> Self {
        let (status, words) = route.nameless();
        Self::invalid(words).with_status(status)
    }

    /// No more calls may wait.
    pub(crate) fn full() -> Self {
        Self::new(503, QUEUE_FULL, "queue-full")
    }

    pub(crate) fn over_budget(over: OverBudget) -> Self {
        let refused = Self::new(429, over.to_string(), over.code());
        Self { told: Told::Budget(Box::new(over)), ..refused }
    }

    /// It would leave this machine. With Ollama's own status.
    pub(crate) fn cloud_disabled(message: impl Into<String>) -> Self {
        let refused = Self::new(403, message, code::CLOUD_DISABLED);
        Self { told: Told::Code, ..refused }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The client has had the lane for too long.
    pub(crate) fn unread() -> Self {
        Self::new(408, "the answer was stopped: nobody read it for too long", "answer-not-read")
    }

    /// The tokens ran out while it was answered.
    pub(crate) fn stopped(over: OverBudget) -> Self {
        let message = format!("the answer was stopped: {over}");
        Self { message, ..Self::over_budget(over) }
    }

    pub(crate) fn of(route: CallRoute, model: &str, error: &LlmError) -> Self {
        let (status, message) = match error {
            LlmError::NotInstalled { .. } => (404, route.not_found(model)),
            LlmError::CloudDisabled { .. } => return Self::cloud_disabled(error.to_string()),
            // Ollama knows nothing of it, and whoever asks again is served.
            LlmError::Moved { .. } => {
                let refused = Self::new(503, error.to_string(), error.code());
                return Self { told: Told::Code, ..refused };
            }
            LlmError::Unavailable { .. } | LlmError::Unwell { .. } => (503, error.to_string()),
            LlmError::Refused { status, message } => (*status, message.clone()),
            // Ollama's own words, or why there were none.
            LlmError::BrokenOff(why) => (502, why.clone()),
            LlmError::Invalid(why) => (400, why.clone()),
            LlmError::Full { .. } => (503, QUEUE_FULL.to_owned()),
            LlmError::OverBudget(over) => return Self::over_budget(over.clone()),
        };
        Self::new(status, message, error.code())
    }

    pub(crate) fn halted(halt: &Halt) -> Self {
        let (status, message, code) = match halt {
            // Ollama's own status and words for a client that has gone.
            Halt::Cancelled => {
                (499, "request canceled: the job was cancelled".to_owned(), code::CANCELLED)
            }
            Halt::Stopping => {
                (503, "the host stops; try again in a moment".to_owned(), code::HOST_STOPPED)
            }
            Halt::Refused(error) => (503, format!("{QUEUE_FULL}: {error}"), "queue-full"),
        };
        Self::new(status, message, code)
    }

    /// What it says, for an answer in one piece whose status was sent before.
    pub(crate) fn body(&self, route: CallRoute) -> Bytes {
        let code = match &self.told {
            Told::Words => None,
            Told::Code | Told::Budget(_) => Some(self.code),
        };
        form::error(route.form(), self.status, &self.message, code).into()
    }

    pub(crate) fn reply(&self, route: CallRoute, now: Millis) -> Reply {
        match &self.told {
            Told::Words => form::refusal(route.form(), self.status, &self.message),
            Told::Code => {
                let mut reply = form::refusal(route.form(), self.status, &self.message);
                reply.headers.push((CODE, self.code.to_owned()));
                reply.body = ReplyBody::Whole(self.body(route));
                reply
            }
            Told::Budget(over) => form::over_budget(route.form(), &self.message, over, now),
        }
    }

    /// The last piece of an answer that had begun.
    pub(crate) fn last_piece(&self, route: CallRoute) -> Bytes {
        let over = match &self.told {
            Told::Words | Told::Code => None,
            Told::Budget(over) => Some(&**over),
        };
        form::broken_off(route.form(), &self.message, over)
    }

    /// How the job ends.
    pub(crate) fn outcome(&self) -> Outcome {
        let is_stopped = [code::CANCELLED, code::HOST_STOPPED].contains(&self.code);
        let disposition = if is_stopped { Disposition::Cancel } else { Disposition::Fail };
        let failure = Failure::fatal(self.code, self.message.clone());
        Outcome::Failed(Failure { disposition, ..failure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_stopped_is_cancelled_and_one_that_is_refused_has_failed() {
        let end = |refused: Refused| match refused.outcome() {
            Outcome::Failed(failure) => (failure.code, failure.disposition),
            outcome => panic!("{outcome:?}"),
        };
        let ended = |code: &str, disposition| (code.to_owned(), disposition);
        let halted = |halt| end(Refused::halted(&halt));
        assert_eq!(halted(Halt::Cancelled), ended("cancelled", Disposition::Cancel));
        assert_eq!(halted(Halt::Stopping), ended("host-stopped", Disposition::Cancel));
        assert_eq!(end(Refused::new(500, "no".to_owned(), "odd")), ended("odd", Disposition::Fail));
    }
}
