//! Pauses: a class or a kind whose jobs wait although there is room.

use std::fmt;

use crate::clock::Millis;

/// What is paused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All jobs of a class.
    Class(String),
    /// All jobs of a kind.
    Kind(String),
}

impl Scope {
    /// `class` or `kind`.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Class(_) => "class",
            Self::Kind(_) => "kind",
        }
    }

    /// The name of the class or the kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Class(name) | Self::Kind(name) => name,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.noun(), self.name())
    }
}

/// Why a class or a kind waits, and until when. Its jobs are accepted and keep their places; those that
/// run go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What is paused.
    pub scope: Scope,
    /// Since when.
    pub since: Millis,
    /// Until when; until somebody resumes it if there is none.
    pub until: Option<Millis>,
    /// Who or what paused it, in one sentence.
    pub reason: String,
}

impl Pause {
    /// Whether it is over at `at`.
    #[must_use]
    pub fn is_over(&self, at: Millis) -> bool {
        self.until.is_some_and(|until| until <= at)
    }
}
