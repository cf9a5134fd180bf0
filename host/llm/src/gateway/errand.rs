//! A change of what is installed, and whether two of them may happen at once.

use std::collections::BTreeMap;

use roughneck_jobs::ports::gateway::PassRoute;
use serde_json::Value;

use super::envelope::Envelope;
use crate::model_name::normalised;

/// What a request changes, as far as others must know it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Errand {
    verb: Verb,
    /// The model that must stay as it is meanwhile, by its one spelling.
    reads: Option<String>,
    /// The model that is another afterwards.
    writes: Option<String>,
    /// The rest of what was asked.
    details: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Pull,
    Push,
    Create,
    Copy,
    Delete,
}

/// How an errand stands to one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// They have nothing to do with each other.
    Apart,
    /// They are the same: one is enough for both.
    Same,
    /// One would change what the other needs or changes.
    InTheWay,
}

impl Errand {
    /// Reads what is asked for. None if it names no model, which is for Ollama to refuse.
    pub(crate) fn read(route: PassRoute, envelope: &Envelope) -> Option<Self> {
        let verb = verb(route)?;
        let mut details: BTreeMap<String, Value> = envelope.values().collect();
        // How the answer is told is each client's own.
        details.remove("stream");
        let mut model = |fields: &[&str]| {
            let named = fields.iter().filter_map(|field| details.remove(*field));
            let named = named.filter_map(|name| name.as_str().map(str::to_owned)).next();
            named.filter(|name| !name.trim().is_empty()).map(|name| normalised(&name))
        };
        let (reads, writes) = match verb {
            Verb::Pull | Verb::Create | Verb::Delete => (None, Some(model(&["model", "name"])?)),
            Verb::Push => (Some(model(&["model", "name"])?), None),
            Verb::Copy => (Some(model(&["source"])?), Some(model(&["destination"])?)),
        };
        Some(Self { verb, reads, writes, details })
    }

    /// How this stands to `running`.
    pub(crate) fn meets(&self, running: &Self) -> Meeting {
        if self == running {
            return Meeting::Same;
        }
        let touches = |errand: &Self, model: &Option<String>| {
            model.is_some() && (errand.reads == *model || errand.writes == *model)
        };
        if touches(running, &self.writes) || touches(self, &running.writes) {
            Meeting::InTheWay
        } else {
            Meeting::Apart
        }
    }

    /// What it does, to say to others that they have to wait for it.
    pub(crate) fn doing(&self) -> String {
        let model = self.writes.as_deref().or(self.reads.as_deref()).unwrap_or_default();
        let done = match self.verb {
            Verb::Pull => "pulled",
            Verb::Push => "pushed",
            Verb::Create => "created",
            Verb::Copy => {
                let source = self.reads.as_deref().unwrap_or_default();
                return format!("`{source}` is being copied to `{model}`");
            }
            Verb::Delete => "deleted",
        };
        format!("`{model}` is being {done}")
    }

    /// Whether Ollama tells how far it is.
    pub(crate) fn has_progress(&self) -> bool {
        match self.verb {
            Verb::Pull | Verb::Push | Verb::Create => true,
            Verb::Copy | Verb::Delete => false,
        }
    }
}

fn verb(route: PassRoute) -> Option<Verb> {
    match route {
        PassRoute::Pull => Some(Verb::Pull),
        PassRoute::Push => Some(Verb::Push),
        PassRoute::Create => Some(Verb::Create),
        PassRoute::Copy => Some(Verb::Copy),
        PassRoute::Delete => Some(Verb::Delete),
        // Weights have no name yet, and are the same under the same digest.
        PassRoute::Blob
        | PassRoute::Version
        | PassRoute::Status
        | PassRoute::Recommendations
        | PassRoute::Tags
        | PassRoute::Ps
        | PassRoute::Show
        | PassRoute::Models
        | PassRoute::Model => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(route: PassRoute, body: &'static str) -> Option<Errand> {
        Errand::read(route, &Envelope::read(body.into()).unwrap())
    }

    #[test]
    fn what_is_the_same_is_done_once_and_what_is_in_the_way_waits() {
        use Meeting::{Apart, InTheWay, Same};
        let (pull, push, create) = (PassRoute::Pull, PassRoute::Push, PassRoute::Create);
        let (copy, delete) = (PassRoute::Copy, PassRoute::Delete);
        let table = [
            (pull, r#"{"model":"m"}"#, pull, r#"{"name":"M:latest","stream":false}"#, Same),
            (pull, r#"{"model":"m"}"#, pull, r#"{"model":"m","insecure":true}"#, InTheWay),
            (pull, r#"{"model":"m"}"#, pull, r#"{"model":"m:8b"}"#, Apart),
            (pull, r#"{"model":"m"}"#, delete, r#"{"model":"m"}"#, InTheWay),
            (push, r#"{"model":"m"}"#, delete, r#"{"model":"m"}"#, InTheWay),
            (push, r#"{"model":"m"}"#, push, r#"{"model":"m"}"#, Same),
            (create, r#"{"model":"m","from":"a"}"#, create, r#"{"model":"m","from":"a"}"#, Same),
            (
                create,
                r#"{"model":"m","from":"a"}"#,
                create,
                r#"{"model":"m","from":"b"}"#,
                InTheWay,
            ),
            (push, r#"{"model":"m"}"#, copy, r#"{"source":"m","destination":"n"}"#, Apart),
            (pull, r#"{"model":"m"}"#, copy, r#"{"source":"m","destination":"n"}"#, InTheWay),
            (delete, r#"{"model":"n"}"#, copy, r#"{"source":"m","destination":"n"}"#, InTheWay),
        ];
        for (route, body, other_route, other_body, meeting) in table {
            let (one, other) = (errand(route, body), errand(other_route, other_body));
            let (one, other) = (one.unwrap(), other.unwrap());
            assert_eq!(one.meets(&other), meeting, "{one:?} {other:?}");
            assert_eq!(other.meets(&one), meeting, "{other:?} {one:?}");
        }
    }

    #[test]
    fn what_names_no_model_is_left_to_ollama() {
        assert_eq!(errand(PassRoute::Pull, r#"{"model":" "}"#), None);
        assert_eq!(errand(PassRoute::Copy, r#"{"source":"m"}"#), None);
        assert_eq!(errand(PassRoute::Show, r#"{"model":"m"}"#), None);
    }
}
