//! What the metrics are told apart by. Labels are bounded: a model that is not installed is `other`, and so
//! is a caller that the operator has not named.

use std::{collections::BTreeSet, sync::Arc};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use roughneck_jobs::{
    model::{LlmError, Site},
    ports::gateway::Origin,
};

use crate::{planner::Reason, swap::Swap};

/// The label of a model that is not installed: anybody can ask for any name.
pub(crate) const OTHER: &str = "other";

/// The label of a caller that the operator has not named.
const UNNAMED: &str = "other";
/// The label of a caller that does not say who it is.
const ANONYMOUS: &str = "anonymous";

/// Where a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Somebody waits on an open connection.
    Client,
    /// A plugin asks.
    Plugin,
    /// It is a durable job of its own.
    Job,
}

/// Who a call is for. Bounded: plugins are those that are loaded, callers those that the operator has
/// named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Asker {
    source: Source,
    /// Empty for a plugin's call.
    caller: Arc<str>,
    /// Empty for all others.
    plugin: Arc<str>,
}

impl Asker {
    /// A plugin asks.
    pub(crate) fn plugin(name: &str) -> Self {
        Self { source: Source::Plugin, caller: "".into(), plugin: name.into() }
    }

    /// Somebody asks on Ollama's surface, and is told apart if the operator knows the name.
    pub(crate) fn caller(origin: Origin, caller: Option<&str>, named: &BTreeSet<String>) -> Self {
        let source = match origin {
            Origin::Client => Source::Client,
            Origin::Job => Source::Job,
        };
        let caller = match caller {
            Some(caller) if named.contains(caller) => caller,
            Some(_) => UNNAMED,
            None => ANONYMOUS,
        };
        Self { source, caller: caller.into(), plugin: "".into() }
    }

    /// Where the call comes from, for metrics that tell nothing else of it.
    pub(super) fn source(&self) -> Source {
        self.source
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Ok,
    Error,
    /// The caller left, lost its job, or did not read the answer.
    Cancelled,
    /// Refused before it reached Ollama, or because the model is not there.
    Rejected,
    /// Ollama fell silent.
    Timeout,
    /// The connection ended without the end of the answer.
    Truncated,
}

impl Outcome {
    pub(super) const ALL: [Self; 6] =
        [Self::Ok, Self::Error, Self::Cancelled, Self::Rejected, Self::Timeout, Self::Truncated];

    /// The outcome of a call that failed before its answer began.
    pub(crate) fn of(error: &LlmError) -> Self {
        match error {
            LlmError::NotInstalled { .. }
            | LlmError::CloudDisabled { .. }
            | LlmError::Moved { .. }
            | LlmError::Full { .. }
            | LlmError::OverBudget(_)
            | LlmError::Invalid(_) => Self::Rejected,
            LlmError::Unavailable { .. } | LlmError::Unwell { .. } | LlmError::Refused { .. } => {
                Self::Error
            }
            // Whoever knows that there was silence says so: see [`crate::broken`].
            LlmError::BrokenOff(_) => Self::Truncated,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TokenType {
    Input,
    /// Those of the input that Ollama had read before; newer ones tell.
    InputCached,
    Output,
    /// Pieces of answers that did not reach their end, where Ollama sends no count.
    Estimated,
}

impl TokenType {
    pub(super) const ALL: [Self; 4] =
        [Self::Input, Self::InputCached, Self::Output, Self::Estimated];
}

/// How far a call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// It waited for its turn.
    Queued,
    /// Its model was loaded.
    Loading,
    /// Ollama had it, and nothing could be seen yet.
    Prefill,
    /// Its answer came.
    Decode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Load,
    PromptEval,
    Eval,
    Residual,
}

/// Implements the encoding of an enum's label values, one word each.
macro_rules! label_values {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
                let word = match self { $(Self::$variant => $word),+ };
                EncodeLabelValue::encode(&word, encoder)
            }
        }
    };
}

label_values!(Source { Client => "client", Plugin => "plugin", Job => "job" });
label_values!(Outcome {
    Ok => "ok",
    Error => "error",
    Cancelled => "cancelled",
    Rejected => "rejected",
    Timeout => "timeout",
    Truncated => "truncated",
});
label_values!(TokenType {
    Input => "input",
    InputCached => "input_cached",
    Output => "output",
    Estimated => "estimated",
});
label_values!(Phase {
    Queued => "queued",
    Loading => "loading",
    Prefill => "prefill",
    Decode => "decode",
});
label_values!(Stage {
    Load => "load",
    PromptEval => "prompt_eval",
    Eval => "eval",
    Residual => "residual",
});
label_values!(Swap { Cold => "cold", Model => "model", Options => "options" });
label_values!(Reason {
    Loaded => "loaded",
    Drained => "drained",
    Quantum => "quantum",
    Urgent => "urgent",
});

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ModelLabels {
    pub(super) model: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TokenLabels {
    pub(super) model: Arc<str>,
    #[prometheus(flatten)]
    pub(super) asker: Asker,
    pub(super) r#type: TokenType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    /// The path, here and in Ollama.
    pub(super) route: &'static str,
    pub(super) model: Arc<str>,
    #[prometheus(flatten)]
    pub(super) asker: Asker,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DurationLabels {
    pub(super) route: &'static str,
    pub(super) model: Arc<str>,
    pub(super) source: Source,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WaitLabels {
    pub(super) priority: &'static str,
    pub(super) model: Arc<str>,
    pub(super) source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PhaseLabels {
    pub(super) phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StageLabels {
    pub(super) stage: Stage,
    pub(super) site: SiteLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SiteLabels {
    pub(super) site: SiteLabel,
}

/// Where a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SiteLabel(pub(super) Site);

impl EncodeLabelValue for SiteLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        let word = match self.0 {
            Site::Here => "here",
            Site::Cloud => "cloud",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SwapLabels {
    /// What was loaded before.
    pub(super) reason: Swap,
    /// Why its call was next.
    pub(super) choice: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PriorityLabels {
    /// The nearest name: a hundred levels would be too many series.
    pub(super) priority: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_told_apart_only_if_the_operator_has_named_it() {
        let named = BTreeSet::from(["alice".to_owned()]);
        let label = |caller| Asker::caller(Origin::Client, caller, &named).caller;
        assert_eq!(&*label(Some("alice")), "alice");
        assert_eq!(&*label(Some("mallory")), "other");
        assert_eq!(&*label(None), "anonymous");
    }
}
