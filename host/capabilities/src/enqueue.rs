//! Children: jobs that a job submits and may wait for, of the kinds that the manifest names and the operator
//! granted.

use std::collections::{BTreeMap, BTreeSet};

use roughneck_jobs::{
    child::{self, CHILDREN_MAX, NAME_BYTES_MAX, is_name},
    clock::Millis,
    failure::Failure,
    flow::{Dependency, RESULTS_BYTES_MAX},
    grant::matches,
    id::JobId,
    intake::{INPUT_BYTES_MAX, NotAccepted},
    ports::runner::{NotSubmitted, Wish},
    priority::Priority,
    state::State,
};
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use crate::{Exhausted, HostError, Refusal, Session, clip, held::Held, store_error::store_error};

/// Longest name of a kind.
const KIND_BYTES_MAX: usize = 63;

/// A child as a guest builds it. A setter cannot fail in the contract, so the first mistake takes the
/// child's place, gives back what it held and is told when it is submitted.
#[derive(Debug)]
pub struct Spec(Result<Draft, HostError>);

#[derive(Debug)]
struct Draft {
    wish: Wish,
    /// Its input counts among the bytes that the run makes the host hold, until it is submitted.
    _held: Held,
}

/// A child that this run has submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Submitted {
    id: JobId,
    /// Of kind and input.
    digest: [u8; 32],
}

impl Spec {
    /// Sets the priority, by its name or number.
    pub fn priority(&mut self, name: &str) {
        self.change(|wish| {
            let shown = clip(name, 32);
            let priority: Priority = name.parse().map_err(|_| {
                invalid(format!(
                    "`{shown}` is no priority: use urgent, high, normal, low, bulk, or a number from 100 down to 0"
                ))
            })?;
            wish.priority = Some(priority);
            Ok(())
        });
    }

    /// Sets the instant before which it does not run, in Unix milliseconds.
    pub fn run_at_ms(&mut self, unix_ms: u64) {
        self.change(|wish| {
            wish.run_at = Some(Millis(i64::try_from(unix_ms).unwrap_or(i64::MAX)));
            Ok(())
        });
    }

    /// Changes the wish, unless a mistake has ended it.
    fn change(&mut self, change: impl FnOnce(&mut Wish) -> Result<(), HostError>) {
        if let Ok(draft) = &mut self.0
            && let Err(mistake) = change(&mut draft.wish)
        {
            self.0 = Err(mistake);
        }
    }
}

impl Draft {
    fn new(kind: String, name: String, input: Vec<u8>, mut held: Held) -> Result<Self, HostError> {
        held.take(kind.len().saturating_add(name.len()).saturating_add(input.len()))?;
        if !is_name(&name) {
            return Err(invalid(format!(
                "a child is named with 1 to {NAME_BYTES_MAX} bytes, none of them a control"
            )));
        }
        let shown = clip(&name, NAME_BYTES_MAX);
        let input = String::from_utf8(input)
            .ok()
            .filter(|input| serde_json::from_str::<IgnoredAny>(input).is_ok())
            .ok_or_else(|| invalid(format!("the input of the child `{shown}` is not JSON")))?;
        let wish = Wish { kind, name, input, priority: None, run_at: None };
        Ok(Self { wish, _held: held })
    }
}

impl Session {
    /// Begins a child.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn child(&mut self, kind: String, name: String, input: Vec<u8>) -> Result<Spec, Exhausted> {
        self.count()?;
        Ok(Spec(Draft::new(kind, name, input, self.held.request(2 * INPUT_BYTES_MAX))))
    }

    /// Submits a child, or finds the one of this name, and returns its id.
    ///
    /// # Errors
    /// [`Refusal`] when the kind is not granted, there are too many children, or the store refuses.
    pub async fn submit(&mut self, spec: Spec) -> Result<String, Refusal> {
        self.admit().await?;
        let Draft { wish, _held } = spec.0?;
        self.kind_is_allowed(&wish.kind)?;
        let (name, digest) = (wish.name.clone(), digest(&wish));
        if let Some(known) = self.submitted.get(&name) {
            if known.digest != digest {
                return Err(Refusal::fatal(
                    "child-name-taken",
                    format!(
                        "this run has submitted another kind or input as `{name}`; give each child a name of its own"
                    ),
                ));
            }
            return Ok(known.id.to_string());
        }
        if self.submitted.len() >= CHILDREN_MAX {
            return Err(Refusal::fatal(
                "too-many-children",
                format!(
                    "a run may submit at most {CHILDREN_MAX} children; give each of them more to do"
                ),
            ));
        }
        let id = self.relatives.submit(wish).await.map_err(|refused| not_submitted(&refused))?;
        self.submitted.insert(name, Submitted { id, digest });
        Ok(id.to_string())
    }

    /// What became of these children, in the order of the ids: JSON, or why there is none.
    ///
    /// # Errors
    /// [`Refusal::Awaits`] if one of them is not over: the guest must be stopped.
    pub async fn await_all(
        &mut self,
        ids: &[String],
    ) -> Result<Vec<Result<Vec<u8>, Failure>>, Refusal> {
        self.admit().await?;
        let ids = distinct(ids)?;
        let children = self.relatives.children(&ids).await.map_err(|error| store_error(&error))?;
        let mut children: BTreeMap<JobId, Dependency> =
            children.into_iter().map(|child| (child.job, child)).collect();
        if let Some(strange) = ids.iter().find(|id| !children.contains_key(id)) {
            return Err(Refusal::fatal(
                "not-a-child",
                format!(
                    "job {strange} is not a child of this job; wait for what `submit` returned"
                ),
            ));
        }
        let open = children.values().filter(|child| !child.state.is_terminal());
        let open: Vec<JobId> = open.map(|child| child.job).collect();
        if !open.is_empty() {
            return Err(Refusal::Awaits(open));
        }
        let ends = ids.iter().filter_map(|id| children.remove(id)).map(end);
        Ok(ends.collect::<Result<_, _>>()?)
    }

    fn kind_is_allowed(&self, kind: &str) -> Result<(), HostError> {
        let refused = |sentence: String| Err(HostError::fatal("kind-not-granted", sentence));
        let shown = clip(kind, KIND_BYTES_MAX);
        let mut wanted = self.wanted.submit.iter().flat_map(|wish| &wish.kinds);
        if !wanted.any(|pattern| matches(pattern, kind)) {
            return refused(format!(
                "the manifest does not name the kind `{shown}`; add it to `submit.kinds` under [capabilities] in plugin.toml"
            ));
        }
        if !self.grant.submit.iter().any(|pattern| matches(pattern, kind)) {
            return refused(format!(
                "the operator has not granted to submit the kind `{shown}`; add it to `submit` under [grants.{}] in roughneck.toml",
                self.plugin
            ));
        }
        Ok(())
    }
}

/// The ids, each of which must be one and be there once: a result is copied for each of them.
fn distinct(ids: &[String]) -> Result<Vec<JobId>, HostError> {
    if ids.len() > CHILDREN_MAX {
        return Err(HostError::fatal(
            "too-many-children",
            format!("a job may wait for at most {CHILDREN_MAX} children at once"),
        ));
    }
    let mut seen = BTreeSet::new();
    let mut read = Vec::with_capacity(ids.len());
    for text in ids {
        let id: JobId = text
            .parse()
            .map_err(|_| invalid(format!("`{}` is not the id of a job", clip(text, 64))))?;
        if !seen.insert(id) {
            return Err(invalid(format!("job {id} is named twice; wait for each child once")));
        }
        read.push(id);
    }
    Ok(read)
}

/// The result of a child that is over.
fn end(child: Dependency) -> Result<Result<Vec<u8>, Failure>, HostError> {
    if child.state != State::Done {
        return Ok(Err(child::failure(&child)));
    }
    match child.output {
        Some(output) => Ok(Ok(output.into_bytes())),
        None => Err(too_large("children")),
    }
}

/// Results that are larger than what the host reads at once.
pub(crate) fn too_large(of: &str) -> HostError {
    HostError::fatal(
        "results-too-large",
        format!(
            "the results of these {of} have more than {RESULTS_BYTES_MAX} bytes together; ask for fewer at once, or let them return references"
        ),
    )
}

fn digest(wish: &Wish) -> [u8; 32] {
    Sha256::new()
        .chain_update(&wish.kind)
        .chain_update([0])
        .chain_update(&wish.input)
        .finalize()
        .into()
}

fn invalid(sentence: String) -> HostError {
    HostError::fatal("invalid-child", sentence)
}

fn not_submitted(refused: &NotSubmitted) -> HostError {
    let sentence = refused.to_string();
    match refused {
        NotSubmitted::UnknownKind { .. } => HostError::fatal("unknown-kind", sentence),
        NotSubmitted::NotAccepted(NotAccepted::InputTooLarge { .. }) => {
            HostError::fatal("input-too-large", sentence)
        }
        NotSubmitted::NotAccepted(
            NotAccepted::InputTooDeep
            | NotAccepted::TooLate
            | NotAccepted::TooEarly
            | NotAccepted::DeadlinePassed
            | NotAccepted::DeadlineTooEarly
            | NotAccepted::DeadlineTooLate,
        ) => invalid(sentence),
        NotSubmitted::TooDeep { .. } => HostError::fatal("too-deep", sentence),
        NotSubmitted::Taken(_) => HostError::retryable("unique-key-taken", sentence),
        NotSubmitted::Store(error) => store_error(error),
    }
}

#[cfg(test)]
mod tests;
