//! What Ollama lists, as clients are to see it: with the aliases of the operator, and without what stands in for models.
//! The bytes of every other entry stay as they came.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    asked::json,
    envelope::{Edits, Envelope},
};
use crate::{model_name, report::Installed, resolve, stand_in::name};

/// Where a list has its models, and a model its name.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    list: &'static str,
    name: &'static str,
}

/// `/api/tags`.
pub(crate) const TAGS: Names = Names { list: "models", name: "name" };
/// `/v1/models`.
pub(crate) const MODELS: Names = Names { list: "data", name: "id" };
/// `/api/ps`.
const LOADED: Names = TAGS;

/// What is installed, with an entry behind the others for every alias whose model is; none if nothing changes. Of an
/// alias that is a model's name there is one entry, that of the alias: nobody who asks for the name gets that model.
pub(crate) fn installed(
    page: &Bytes,
    aliases: &BTreeMap<String, String>,
    names: Names,
) -> Option<Bytes> {
    let list = List::read(page, names)?;
    let is_shown = |entry: &&Envelope| {
        list.name(entry)
            .is_none_or(|it| !name::is_one(&it) && resolve::alias(aliases, &it).is_none())
    };
    let shown: Vec<&Envelope> = list.entries.iter().filter(is_shown).collect();
    let of_alias = |(alias, model): (&String, &String)| {
        let entry = shown.iter().find(|entry| list.is_of(entry, model))?;
        Some(list.called(entry, alias, None))
    };
    let added: Vec<Bytes> = aliases.iter().filter_map(of_alias).collect();
    if added.is_empty() && shown.len() == list.entries.len() {
        return None;
    }
    let shown = shown.into_iter().map(|entry| entry.bytes().clone());
    list.of(shown.chain(added))
}

/// The entry of the model that an alias stands for, under the name of the alias.
pub(crate) fn under_alias(
    page: &Bytes,
    names: Names,
    (alias, meant): (&str, &str),
) -> Option<Bytes> {
    let list = List::read(page, names)?;
    let entry = list.entries.iter().find(|entry| list.is_of(entry, meant))?;
    Some(list.called(entry, alias, None))
}

/// What is loaded, by the names of the models themselves; none if nothing changes.
pub(crate) fn loaded(page: &Bytes, models: &[Installed]) -> Option<Bytes> {
    let list = List::read(page, LOADED)?;
    let meant = |entry| name::stands_for(&list.name(entry)?, models);
    if !list.entries.iter().any(|entry| meant(entry).is_some()) {
        return None;
    }
    list.of(list.entries.iter().map(|entry| match meant(entry) {
        Some(model) => list.called(entry, &model.name, Some(&model.digest)),
        None => entry.bytes().clone(),
    }))
}

/// A list of models.
struct List {
    page: Envelope,
    entries: Vec<Envelope>,
    names: Names,
}

impl List {
    fn read(page: &Bytes, names: Names) -> Option<Self> {
        let page = Envelope::read(page.clone()).ok()?;
        let entries: Vec<&RawValue> = serde_json::from_slice(page.raw(names.list)?).ok()?;
        let entries = entries
            .into_iter()
            .map(|entry| Envelope::read(Bytes::copy_from_slice(entry.get().as_bytes())).ok());
        let entries = entries.collect::<Option<_>>()?;
        Some(Self { page, entries, names })
    }

    fn name(&self, entry: &Envelope) -> Option<String> {
        entry.field(self.names.name).ok().flatten()
    }

    fn is_of(&self, entry: &Envelope, model: &str) -> bool {
        self.name(entry).is_some_and(|known| model_name::is_same(&known, model))
    }

    /// The entry under another name, and with another digest.
    fn called(&self, entry: &Envelope, name: &str, digest: Option<&str>) -> Bytes {
        let mut edits = Edits::default();
        let fields = [(self.names.name, Some(name)), ("model", Some(name)), ("digest", digest)];
        for (field, value) in fields {
            if let (Some(value), Some(_)) = (value, entry.raw(field)) {
                entry.set(&mut edits, field, &json(value));
            }
        }
        entry.edited(edits)
    }

    /// The page with these entries.
    fn of(&self, entries: impl Iterator<Item = Bytes>) -> Option<Bytes> {
        let entries: Vec<Bytes> = entries.collect();
        let entries = String::from_utf8(entries.join(&b","[..])).ok()?;
        let mut edits = Edits::default();
        self.page.set(&mut edits, self.names.list, &format!("[{entries}]"));
        Some(self.page.edited(edits))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STAND_IN: &str = "roughneck/m:1-ctx8-365c0bd3c000-01f3a9c2";

    #[test]
    fn aliases_stand_behind_the_models_and_nothing_else_changes() {
        let aliases = BTreeMap::from([
            ("fast".to_owned(), "M:1".to_owned()),
            ("gone".to_owned(), "absent".to_owned()),
        ]);
        let shown = |page: &str, names| installed(&Bytes::from(page.to_owned()), &aliases, names);
        assert_eq!(
            shown(r#"{"models":[{"z":1.0,"name":"m:1","model":"m:1"} ],"x":2}"#, TAGS).unwrap(),
            r#"{"models":[{"z":1.0,"name":"m:1","model":"m:1"},{"z":1.0,"name":"fast","model":"fast"}],"x":2}"#
        );
        assert_eq!(
            shown(r#"{"object":"list","data":[{"id":"m:1"}]}"#, MODELS).unwrap(),
            r#"{"object":"list","data":[{"id":"m:1"},{"id":"fast"}]}"#
        );
        for nothing in [r#"{"models":[]}"#, r#"{"models":null}"#, r#"{"error":"x"}"#, "rubbish"] {
            assert_eq!(shown(nothing, TAGS), None, "{nothing}");
        }
    }

    #[test]
    fn an_alias_of_a_model_s_own_name_is_listed_alone() {
        let aliases = BTreeMap::from([("M:1".to_owned(), "n".to_owned())]);
        let page = Bytes::from_static(
            br#"{"models":[{"name":"m:1","size":1},{"name":"n:latest","size":2}]}"#,
        );
        assert_eq!(
            installed(&page, &aliases, TAGS).unwrap(),
            r#"{"models":[{"name":"n:latest","size":2},{"name":"M:1","size":2}]}"#
        );
    }

    #[test]
    fn a_model_is_found_under_its_alias() {
        let page = Bytes::from_static(br#"{"data":[{"id":"n"},{"id":"m:1","created":1}]}"#);
        let found = |meant| under_alias(&page, MODELS, ("fast", meant));
        assert_eq!(found("M:1").unwrap(), r#"{"id":"fast","created":1}"#);
        assert_eq!(found("absent"), None);
    }

    #[test]
    fn what_stands_in_for_a_model_is_not_listed() {
        let aliases = BTreeMap::from([("mine".to_owned(), STAND_IN.to_owned())]);
        let page =
            format!(r#"{{"models":[{{"name":"{STAND_IN}","x":1}},{{"name":"m:1", "x":2}}]}}"#);
        assert_eq!(
            installed(&page.into(), &aliases, TAGS).unwrap(),
            r#"{"models":[{"name":"m:1", "x":2}]}"#
        );
        let page = format!(r#"{{"data":[{{"id":"{STAND_IN}"}}]}}"#);
        assert_eq!(installed(&page.into(), &aliases, MODELS).unwrap(), r#"{"data":[]}"#);
    }

    #[test]
    fn what_was_loaded_by_a_stand_in_is_its_model() {
        let models = crate::report::installed(json!([{"name": "m:1", "digest": "365c0bd3c0009"}]));
        let page = |name: &str, digest: &str| {
            let entry =
                format!(r#"{{"name":"{name}","model":"{name}","size":1,"digest":"{digest}"}}"#);
            Bytes::from(format!(r#"{{"models":[{{"name":"x"}},{entry}]}}"#))
        };
        assert_eq!(loaded(&page(STAND_IN, "s"), &models), Some(page("m:1", "365c0bd3c0009")));
        assert_eq!(loaded(&page("m:1", "365c0bd3c0009"), &models), None);
        assert_eq!(loaded(&page(STAND_IN, "s"), &[]), None, "its model is gone");
    }
}
