//! What tells one model from another: its weights, which Ollama goes by, its digest, and its name where it has none.

use std::sync::Arc;

use roughneck_jobs::model::Resolved;
use serde::{Serialize, Serializer};

use crate::model_name::normalised;

/// A model as it was known at one moment. The order is for sets; whether two are one model, [`ModelId::is_same`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ModelId(Arc<Known>);

#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    /// Of the file that Ollama loads, once it is known how the model is made.
    weights: Option<String>,
    digest: Option<String>,
    /// In its one spelling.
    name: String,
}

impl ModelId {
    /// A model with these weights, if they are known.
    pub(crate) fn of(model: &Resolved, weights: Option<&str>) -> Self {
        Self(Arc::new(Known {
            weights: weights.map(str::to_owned),
            digest: model.digest.clone(),
            name: normalised(&model.name),
        }))
    }

    /// Whether both are one model to Ollama, as far as it was known of either. One of them may date from before its weights
    /// were known, or from after they were forgotten, so the same digest says so as well. That is no equality: of two copies
    /// with digests of their own, a third may be the same as both and have been seen to be so by nobody.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, two: &Option<String>| one.is_some() && one == two;
        let (one, two) = (&*self.0, &*other.0);
        let has_digests = one.digest.is_some() && two.digest.is_some();
        same(&one.weights, &two.weights)
            || same(&one.digest, &two.digest)
            || (!has_digests && one.name == two.name)
    }
}

/// Shown by what tells it best.
impl Serialize for ModelId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Known { weights, digest, name } = &*self.0;
        let best = weights.as_ref().or(digest.as_ref()).unwrap_or(name);
        serializer.serialize_str(best)
    }
}

/// A model of which nothing but its digest and its name is known, which are the same.
#[cfg(test)]
pub(crate) fn known_by(digest: &str) -> ModelId {
    ModelId::of(&crate::resolve::named(digest, digest), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::named;

    #[test]
    fn a_model_is_the_same_by_its_weights_or_its_digest_and_by_its_name_where_it_has_no_digest() {
        let id = |name, digest, weights| ModelId::of(&named(name, digest), weights);
        let before = id("m:1b", "d", None);
        let learnt = id("m:1b", "d", Some("w"));
        let copy = id("copy", "e", Some("w"));
        for (one, other, is_same) in [
            (&learnt, &copy, true),
            (&before, &learnt, true),
            (&before, &copy, false),
            (&before, &id("alias", "d", None), true),
            (&learnt, &id("m:1b", "f", Some("v")), false),
            (&before, &id("m:1b", "f", None), false),
            (&learnt, &id("M:1B", "", None), true),
            (&copy, &id("m:1b", "", None), false),
            (&id("m", "", None), &id("m:latest", "", None), true),
            (&before, &ModelId::default(), false),
        ] {
            assert_eq!(one.is_same(other), is_same, "{one:?} {other:?}");
            assert_eq!(other.is_same(one), is_same, "{other:?} {one:?}");
        }
    }
}
