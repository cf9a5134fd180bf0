//! JSON Schemas, as far as structured output needs them.
//!
//! Understood: `type` (also a list), `properties`, `required`, `items`, `enum`, `const`, the bounds of arrays, strings
//! and numbers, `anyOf` and `oneOf` (the first is taken), and `$ref` into `$defs` or `definitions`. Not understood, and
//! ignored: `pattern`, `format`, `multipleOf`, `uniqueItems`, `allOf`, `not`, conditionals.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A schema, or `true`, which allows everything, or `false`, which allows nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Node {
    Any(bool),
    Schema(Box<Schema>),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "type")]
    kinds: Option<OneOrMany>,
    pub(super) properties: Properties,
    pub(super) required: Vec<String>,
    pub(super) items: Option<Node>,
    #[serde(rename = "enum")]
    pub(super) choices: Option<Vec<Value>>,
    #[serde(rename = "const")]
    pub(super) constant: Option<Value>,
    pub(super) min_items: Option<usize>,
    pub(super) max_items: Option<usize>,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) exclusive_minimum: Option<f64>,
    pub(super) exclusive_maximum: Option<f64>,
    any_of: Vec<Node>,
    one_of: Vec<Node>,
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "$defs")]
    defs: BTreeMap<String, Node>,
    definitions: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The type of the value to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Integer,
    Boolean,
    Null,
}

/// Properties in the order of the schema, which is the order a model writes them in. `serde_json`'s map would sort.
#[derive(Debug, Clone, Default)]
pub(super) struct Properties(pub(super) Vec<(String, Node)>);

impl Schema {
    /// The schema that `node` stands for: references followed into this root, the first alternative taken. None if a
    /// reference leads nowhere, or in a circle.
    pub(super) fn resolve<'a>(&'a self, node: &'a Node) -> Option<&'a Schema> {
        /// More hops than any honest schema needs.
        const HOPS_MAX: usize = 16;
        let mut node = node;
        for _hop in 0..HOPS_MAX {
            let Node::Schema(schema) = node else {
                return None;
            };
            node = match &schema.reference {
                Some(path) if path == "#" => return Some(self),
                Some(path) => self.definition(path)?,
                None => match schema.any_of.first().or(schema.one_of.first()) {
                    Some(alternative) => alternative,
                    None => return Some(schema),
                },
            };
        }
        None
    }

    fn definition(&self, path: &str) -> Option<&Node> {
        if let Some(name) = path.strip_prefix("#/$defs/") {
            return self.defs.get(name);
        }
        self.definitions.get(path.strip_prefix("#/definitions/")?)
    }

    /// The declared type, the first that is not null of several, else the one that the other keywords imply.
    pub(super) fn kind(&self) -> Kind {
        let declared = match &self.kinds {
            Some(OneOrMany::One(kind)) => Some(kind.as_str()),
            Some(OneOrMany::Many(kinds)) => {
                kinds.iter().map(String::as_str).find(|kind| *kind != "null").or(Some("null"))
            }
            None => None,
        };
        match declared {
            Some("object") => Kind::Object,
            Some("array") => Kind::Array,
            Some("number") => Kind::Number,
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            Some("null") => Kind::Null,
            Some(_) => Kind::String,
            None if !self.properties.0.is_empty() || !self.required.is_empty() => Kind::Object,
            None if self.items.is_some() || self.min_items.is_some() => Kind::Array,
            None if self.minimum.is_some() || self.maximum.is_some() => Kind::Number,
            None => Kind::String,
        }
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Properties;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of schemas")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut properties = Vec::new();
                while let Some(property) = map.next_entry()? {
                    properties.push(property);
                }
                Ok(Properties(properties))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
