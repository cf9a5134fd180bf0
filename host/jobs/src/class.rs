//! Resource classes: what jobs compete for.

use std::fmt;

/// The class of jobs that need the Ollama lane.
pub const OLLAMA: &str = "ollama";

/// The class of jobs that mostly wait for others than this machine.
pub const IO: &str = "io";

/// The class of jobs whose submitters wait on open connections. No dispatcher claims them: whoever
/// waits says when the turn has come.
pub const CLIENT: &str = "client";

/// A resource class. The operator maps it to a number of slots; a job holds one while it runs.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Class(pub String);

impl Class {
    /// Whether jobs of this class wait while Ollama cannot be reached.
    #[must_use]
    pub fn needs_ollama(&self) -> bool {
        self.0 == OLLAMA
    }

    /// Whether the submitters of its jobs wait on open connections.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        self.0 == CLIENT
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A class and how many of its jobs may run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The class.
    pub class: Class,
    /// At least 1.
    pub count: u32,
}

/// The classes of a host without configuration: one GPU, ten waits, four cores. The lane decides how many
/// clients are served at once, so theirs are enough for all.
#[must_use]
pub fn default_slots() -> Vec<Slots> {
    [(OLLAMA, 1), (IO, 10), ("cpu", 4), (CLIENT, 512)]
        .map(|(class, count)| Slots { class: Class(class.to_owned()), count })
        .to_vec()
}
