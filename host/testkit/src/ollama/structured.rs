//! Writes a JSON value that follows a schema, from the words of the prompt.
//!
//! Every rule is deterministic: the same prompt and schema give the same value. Free texts begin with `[simulated]`,
//! except the items of lists, whose parent says it already. Choices of an `enum` are the ones that the prompt speaks of
//! most, so that a demonstration looks sensible.

use serde_json::Value;

use super::answer::MARK;
use super::schema::{Kind, Node, Schema};
use super::words::{opening, sentences, words};

/// Below this depth optional properties are left out and lists are as short as allowed: a schema may refer to itself.
const GENEROUS_DEPTH: usize = 4;
/// Below this depth a schema that requires itself gets null. No finite value could follow it.
const DEPTH_MAX: usize = 32;
/// A schema may ask for a billion items; past this size all that is left becomes null or is left out.
const BYTES_MAX: usize = 1 << 20;
const LIST_ITEMS: usize = 3;
const TITLE_WORDS: usize = 8;

/// The JSON text of a value that follows `schema`.
pub(super) fn write(schema: &Schema, subject: &str) -> String {
    let mut sentences = sentences(subject);
    if sentences.is_empty() {
        sentences.push("There was nothing to work with.".to_owned());
    }
    let root = Node::Schema(Box::new(schema.clone()));
    let mut writer =
        Writer { root: schema, sentences, words: words(subject), told: 0, out: String::new() };
    writer.value(&root, Place::root());
    writer.out
}

struct Writer<'a> {
    root: &'a Schema,
    sentences: Vec<String>,
    words: Vec<String>,
    /// Sentences used so far by properties without a rule of their own.
    told: usize,
    out: String,
}

/// Where in the value the writer is.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The nearest property.
    key: &'a str,
    /// Position in the nearest list, unless the place is a property itself.
    item: Option<usize>,
    depth: usize,
}

impl Place<'_> {
    const fn root() -> Self {
        Self { key: "", item: None, depth: 0 }
    }
}

impl Writer<'_> {
    fn value(&mut self, node: &Node, place: Place<'_>) {
        let root = self.root;
        let Some(schema) =
            root.resolve(node).filter(|_| place.depth < DEPTH_MAX && self.out.len() < BYTES_MAX)
        else {
            self.out.push_str("null");
            return;
        };
        if let Some(constant) = &schema.constant {
            self.out.push_str(&constant.to_string());
            return;
        }
        if let Some(choices) = &schema.choices {
            let choice = self.choice(choices, place.item.unwrap_or(0));
            self.out.push_str(&choice.to_string());
            return;
        }
        match schema.kind() {
            Kind::Object => self.object(schema, place),
            Kind::Array => self.list(schema, place),
            Kind::String => {
                let text = self.text(place);
                self.string(&fitted(text, schema));
            }
            Kind::Number => self.out.push_str(&Value::from(number(schema)).to_string()),
            Kind::Integer => self.out.push_str(&integer(schema).to_string()),
            Kind::Boolean => {
                let mentioned = self.mentions(place.key) > 0;
                self.out.push_str(if mentioned { "true" } else { "false" });
            }
            Kind::Null => self.out.push_str("null"),
        }
    }

    fn object(&mut self, schema: &Schema, place: Place<'_>) {
        let any = Node::Schema(Box::default());
        let described = schema.properties.0.iter();
        let wanted = described.filter(|(name, node)| {
            let required = schema.required.contains(name);
            required || (place.depth < GENEROUS_DEPTH && !matches!(node, Node::Any(false)))
        });
        let undescribed = schema
            .required
            .iter()
            .filter(|name| !schema.properties.0.iter().any(|(known, _)| known == *name));
        let properties =
            wanted.map(|(name, node)| (name, node)).chain(undescribed.map(|name| (name, &any)));

        self.out.push('{');
        for (position, (name, node)) in properties.enumerate() {
            if position > 0 {
                self.out.push(',');
            }
            self.string(name);
            self.out.push(':');
            let node = if let Node::Any(_) = node { &any } else { node };
            let property = Place { key: name, item: None, depth: place.depth + 1 };
            self.value(node, property);
        }
        self.out.push('}');
    }

    fn list(&mut self, schema: &Schema, place: Place<'_>) {
        let any = Node::Schema(Box::default());
        let node = match &schema.items {
            Some(Node::Any(_)) | None => &any,
            Some(items) => items,
        };
        let wanted = if place.depth < GENEROUS_DEPTH { LIST_ITEMS } else { 0 };
        let count = wanted
            .min(self.distinct(node))
            .min(schema.max_items.unwrap_or(usize::MAX))
            .max(schema.min_items.unwrap_or(0));
        self.out.push('[');
        for position in 0..count {
            if self.out.len() >= BYTES_MAX {
                break;
            }
            if position > 0 {
                self.out.push(',');
            }
            let item = Place { item: Some(position), depth: place.depth + 1, ..place };
            self.value(node, item);
        }
        self.out.push(']');
    }

    /// How many different items there are to tell.
    fn distinct(&self, node: &Node) -> usize {
        let choices = self.root.resolve(node).and_then(|s| s.choices.as_ref());
        choices.map_or(self.sentences.len(), Vec::len)
    }

    /// The choice that the prompt speaks of most; in a list the next one for each item. Ties go by order.
    fn choice<'v>(&self, choices: &'v [Value], rank: usize) -> &'v Value {
        let mut ranked: Vec<(usize, &Value)> = choices
            .iter()
            .map(|choice| (choice.as_str().map_or(0, |text| self.mentions(text)), choice))
            .collect();
        ranked.sort_by_key(|(mentions, _)| std::cmp::Reverse(*mentions));
        ranked.get(rank % ranked.len().max(1)).map_or(&Value::Null, |(_, choice)| *choice)
    }

    /// How often the prompt uses the words of `name`, or longer forms of them.
    fn mentions(&self, name: &str) -> usize {
        let wanted = words(name);
        let same = |word: &str, wanted: &str| {
            word == wanted || (wanted.len() >= 4 && word.starts_with(wanted))
        };
        self.words.iter().filter(|word| wanted.iter().any(|wanted| same(word, wanted))).count()
    }

    fn text(&mut self, place: Place<'_>) -> String {
        if let Some(position) = place.item {
            return self.sentence(position);
        }
        let key = place.key.to_lowercase();
        let told = match key.as_str() {
            "title" | "headline" | "heading" | "subject" | "name" | "label" => {
                opening(&self.sentence(0), TITLE_WORDS)
            }
            "summary" | "abstract" | "overview" | "description" => {
                let first: Vec<&str> = self.sentences.iter().take(2).map(String::as_str).collect();
                first.join(" ")
            }
            _ => {
                self.told += 1;
                self.sentence(self.told - 1)
            }
        };
        format!("{MARK} {told}")
    }

    /// The sentence at `position`, starting over after the last.
    fn sentence(&self, position: usize) -> String {
        self.sentences.get(position % self.sentences.len().max(1)).cloned().unwrap_or_default()
    }

    fn string(&mut self, text: &str) {
        self.out.push_str(&Value::from(text).to_string());
    }
}

/// Cuts or fills a text up to the bounds of its schema, which count characters.
fn fitted(text: String, schema: &Schema) -> String {
    let mut text = text;
    if let Some(max) = schema.max_length {
        text = text.chars().take(max).collect();
    }
    let missing =
        schema.min_length.unwrap_or(0).min(BYTES_MAX).saturating_sub(text.chars().count());
    text.extend(std::iter::repeat_n('.', missing));
    text
}

fn number(schema: &Schema) -> f64 {
    let low = f64::max(
        schema.minimum.unwrap_or(f64::NEG_INFINITY),
        schema.exclusive_minimum.unwrap_or(f64::NEG_INFINITY),
    );
    let high = f64::min(
        schema.maximum.unwrap_or(f64::INFINITY),
        schema.exclusive_maximum.unwrap_or(f64::INFINITY),
    );
    match (low.is_finite(), high.is_finite()) {
        _ if low < 0.5 && 0.5 < high => 0.5,
        (true, true) => f64::midpoint(low, high),
        (true, false) => low + 1.0,
        (false, true) => high - 1.0,
        (false, false) => 0.5,
    }
}

fn integer(schema: &Schema) -> i64 {
    let low =
        [schema.minimum.map(f64::ceil), schema.exclusive_minimum.map(|bound| bound.floor() + 1.0)];
    let high =
        [schema.maximum.map(f64::floor), schema.exclusive_maximum.map(|bound| bound.ceil() - 1.0)];
    // `as` saturates, and a bound past the range of i64 is none.
    let low = low.iter().flatten().fold(i64::MIN, |low, b| low.max(*b as i64));
    let high = high.iter().flatten().fold(i64::MAX, |high, b| high.min(*b as i64));
    1.min(high).max(low)
}
