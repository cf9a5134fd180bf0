//! Stand-ins: what gives a call of `/v1` the context that is pinned for its model.
//!
//! Those routes of Ollama's read no options, so a call without a context makes it load a model anew that is loaded with
//! one. A stand-in is a model that the host has Ollama make of the pinned one and that differs from it in
//! `PARAMETER num_ctx` alone. It has no weights of its own, and by their file Ollama knows a runner (`schedulerModelKey` in
//! its `server/sched.go`), so the call that goes out in its name is served by the runner of the model, which the host has
//! loaded in the model's own name.
//!
//! Everything else knows the model only: the plan, the metrics, the job, other clients, and the client itself, since
//! Ollama repeats the name that it was asked by (`openai/openai.go`, `openai/responses.go`, `middleware/anthropic.go`)
//! and [`StandIn::unmasked`] puts the model's in its place.
//!
//! `name` decides and is pure, as is the crate's `modelfile`; `making` has one made, `keeper` deletes those that nobody needs.

mod keeper;
mod making;
pub(crate) mod name;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use roughneck_jobs::model::Resolved;
use serde_json::Value;
use tokio::time::Instant;

use crate::lane::Shared;
pub(crate) use keeper::keep;

/// A model that stands in for a pinned one.
#[derive(Debug)]
pub(crate) struct StandIn {
    name: String,
    /// The name of the model as it is installed.
    of: String,
}

/// The stand-ins that calls have needed since the start.
#[derive(Debug, Default)]
pub(crate) struct StandIns {
    known: Mutex<BTreeMap<String, Standing>>,
    /// A lock for each, held while it is made. Those who wait for it find it made.
    making: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Clone, Debug)]
enum Standing {
    /// Whoever uses it holds it.
    Ready(Arc<StandIn>),
    /// It could not be made; the operator has been told why. Until then nobody asks for it again.
    Missing { until: Instant, why: String },
}

/// What stands in for `model` in a call that has no place for a context: none if there is no pin, or if it cannot be kept.
/// The first call of a model waits here until its stand-in is made, and for nothing else.
pub(crate) async fn of(shared: &Arc<Shared>, model: &Resolved) -> Option<Arc<StandIn>> {
    let num_ctx = shared.config.pin_of(model)?;
    let digest = model.digest.as_deref().unwrap_or_default();
    let name_by = |owner| name::of(&model.name, digest, num_ctx, owner);
    let found = match shared.config.owner.and_then(name_by) {
        Some(name) => {
            let stand_in = StandIn { name, of: model.name.clone() };
            match shared.stand_ins.standing(&stand_in.name) {
                Some(Standing::Ready(ready)) => Some(ready),
                Some(Standing::Missing { until, .. }) if until > Instant::now() => None,
                Some(Standing::Missing { .. }) | None => {
                    making::made(shared, stand_in, num_ctx).await
                }
            }
        }
        // Ollama cannot be asked, or is none, or the lane is no host's.
        None => None,
    };
    if found.is_none() {
        shared.metrics.unpinned();
    }
    found
}

impl StandIns {
    fn standing(&self, name: &str) -> Option<Standing> {
        self.lock().get(name).cloned()
    }

    /// What is held while it is made.
    fn making(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(making.entry(name.to_owned()).or_default())
    }

    /// It is not there any more.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Whether a call that waits or runs goes out in this name.
    fn is_in_use(&self, name: &str) -> bool {
        match self.lock().get(name) {
            Some(Standing::Ready(ready)) => Arc::strong_count(ready) > 1,
            Some(Standing::Missing { .. }) | None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StandIn {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whole frames of an answer, or all of it, with this name of the model where Ollama names the stand-in. Inside of a
    /// text the quotes would be escaped, so nothing is changed that the model has said.
    pub(crate) fn unmasked(&self, answer: Bytes, model: &str) -> Bytes {
        let field = |name: &str| format!("\"model\":{}", Value::from(name));
        replaced(answer, &field(&self.name), &field(model))
    }

    /// The same for an error, whose words may have the name in them, and in full.
    pub(crate) fn unmasked_words(&self, error: Bytes, model: &str) -> Bytes {
        let error = replaced(error, &format!("registry.ollama.ai/{}", self.name), model);
        replaced(error, &self.name, model)
    }
}

/// The bytes with `other` wherever they have `one`.
fn replaced(bytes: Bytes, one: &str, other: &str) -> Bytes {
    let places: Vec<usize> = memmem::find_iter(&bytes, one).collect();
    if places.is_empty() {
        return bytes;
    }
    let mut result = BytesMut::with_capacity(bytes.len());
    let mut from = 0;
    for at in places {
        result.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        result.extend_from_slice(other.as_bytes());
        from = at + one.len();
    }
    result.extend_from_slice(bytes.get(from..).unwrap_or_default());
    result.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_in() -> StandIn {
        StandIn { name: "roughneck/m:1-ctx8-0".to_owned(), of: "m:1".to_owned() }
    }

    #[test]
    fn the_client_reads_the_name_of_its_model_and_what_the_model_says_stays() {
        let unmasked =
            |text: &'static str| stand_in().unmasked(Bytes::from_static(text.as_bytes()), "m:1");
        for (told, read) in [
            (r#"data: {"model":"roughneck/m:1-ctx8-0","x":1}"#, r#"data: {"model":"m:1","x":1}"#),
            (
                r#"{"a":{"model":"roughneck/m:1-ctx8-0"}}{"model":"roughneck/m:1-ctx8-0"}"#,
                r#"{"a":{"model":"m:1"}}{"model":"m:1"}"#,
            ),
            (r#"{"model":"roughneck/m:1-ctx8-01"}"#, r#"{"model":"roughneck/m:1-ctx8-01"}"#),
            (
                r#"{"content":"{\"model\":\"roughneck/m:1-ctx8-0\"}"}"#,
                r#"{"content":"{\"model\":\"roughneck/m:1-ctx8-0\"}"}"#,
            ),
            ("", ""),
        ] {
            assert_eq!(unmasked(told), read);
        }
        let same = Bytes::from_static(br#"{"model":"m:1"}"#);
        assert_eq!(
            stand_in().unmasked(same.clone(), "m:1").as_ptr(),
            same.as_ptr(),
            "nothing is copied"
        );
    }

    #[test]
    fn an_error_speaks_of_the_model() {
        for (told, read) in [
            (r#"{"error":"\"roughneck/m:1-ctx8-0\" does not"}"#, r#"{"error":"\"m:1\" does not"}"#),
            ("registry.ollama.ai/roughneck/m:1-ctx8-0 does not", "m:1 does not"),
        ] {
            let told = Bytes::from_static(told.as_bytes());
            assert_eq!(stand_in().unmasked_words(told, "m:1"), read);
        }
    }
}
