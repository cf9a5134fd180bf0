//! The outer object of a body, read without touching what is in it. What must change is cut out and
//! put in again; every other byte goes on as it came: the order of keys in a tool's schema shapes the
//! answer, and fields that this host does not know are not its to drop.

use std::ops::Range;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::{Value, error::Category, value::RawValue};

/// A JSON object with the places of its fields.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    body: Bytes,
    /// Where the first field would be put in.
    front: usize,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    value: Range<usize>,
}

/// Changes to an [`Envelope`].
#[derive(Debug, Default)]
pub(crate) struct Edits(Vec<(Range<usize>, String)>);

impl Envelope {
    /// Reads the first value of `body`, which must be an object. As in Go, what follows it is ignored, and bytes that are
    /// not UTF-8, such as Latin-1, are taken for U+FFFD. Ollama would do that itself, so it gets these instead.
    ///
    /// # Errors
    /// What is wrong, in the words of Go's decoder, which clients know.
    pub(crate) fn read(body: Bytes) -> Result<Self, String> {
        if body.trim_ascii().is_empty() {
            return Err("missing request body".to_owned());
        }
        let (body, fields) = match fields(&body) {
            Err(error) if error.is_syntax() && str::from_utf8(&body).is_err() => {
                let mended = Bytes::from(mended(&body));
                let fields = fields(&mended).map_err(|error| words_of_go(&error, &mended))?;
                (mended, fields)
            }
            Err(error) => return Err(words_of_go(&error, &body)),
            Ok(fields) => (body, fields),
        };
        let front = body.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1);
        Ok(Self { front, fields, body })
    }

    /// The bytes of a field. Like Go, which folds the case of names and takes the last of equal ones.
    pub(crate) fn raw(&self, name: &str) -> Option<&[u8]> {
        self.body.get(self.place(name)?)
    }

    /// A field, if it is there, is not null and can be read as a `T`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn field<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_slice(raw)
            .map_err(|error| format!("json: cannot unmarshal field {name}: {}", placeless(&error)))
    }

    /// All fields by their names in lower case.
    pub(crate) fn values(&self) -> impl Iterator<Item = (String, Value)> {
        self.fields.iter().filter_map(|field| {
            let raw = self.body.get(field.value.clone())?;
            Some((field.name.to_ascii_lowercase(), serde_json::from_slice(raw).ok()?))
        })
    }

    /// The bytes of every field of this name, in whatever case. Ollama does not always take the last of them.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.filter_map(|field| self.body.get(field.value.clone()))
    }

    /// Whether there is more than one field of this name.
    pub(crate) fn repeats(&self, name: &str) -> bool {
        self.all(name).count() > 1
    }

    /// Whether a field is absent, null, or an empty text or array.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        self.raw(name) == Some(b"\"\"") || !self.has_any(name)
    }

    /// Whether there is anything in a field, be it an empty text.
    pub(crate) fn has_any(&self, name: &str) -> bool {
        match self.raw(name) {
            None | Some(b"null") => false,
            Some([b'[', inside @ .., b']']) => !inside.trim_ascii().is_empty(),
            Some(_) => true,
        }
    }

    /// Sets a field to this JSON.
    pub(crate) fn set(&self, edits: &mut Edits, name: &str, json: &str) {
        match self.place(name) {
            Some(place) => edits.0.push((place, json.to_owned())),
            None => {
                let comma = if self.fields.is_empty() { "" } else { "," };
                edits.0.push((self.front..self.front, format!("\"{name}\":{json}{comma}")));
            }
        }
    }

    /// Sets a field to this JSON. If it is not there it stands behind this other one, or at the end.
    pub(crate) fn set_behind(&self, edits: &mut Edits, other: &str, name: &str, json: &str) {
        let last = || self.fields.last().map(|field| field.value.clone());
        match (self.place(name), self.place(other).or_else(last)) {
            (None, Some(before)) => {
                edits.0.push((before.end..before.end, format!(",\"{name}\":{json}")));
            }
            (Some(_), _) | (None, None) => self.set(edits, name, json),
        }
    }

    /// Leaves a field out.
    pub(crate) fn cut(&self, edits: &mut Edits, name: &str) {
        let is_it = |field: &Field| field.name.eq_ignore_ascii_case(name);
        let Some(at) = self.fields.iter().rposition(is_it) else { return };
        let value_of = |at: usize| self.fields.get(at).map(|field| field.value.clone());
        let before = at.checked_sub(1).and_then(value_of);
        let rest = value_of(at).and_then(|own| Some((own.end, self.body.get(own.end..)?)));
        let Some((end, rest)) = rest else { return };
        // The comma in front of it goes with it, or the one behind it if it is the first.
        let comma = rest.iter().position(|byte| *byte == b',').map_or(0, |comma| comma + 1);
        let comma = if self.fields.len() > 1 { comma } else { 0 };
        let place = before.map_or(self.front..end + comma, |before| before.end..end);
        edits.0.push((place, String::new()));
    }

    /// The body with the edits.
    pub(crate) fn edited(&self, mut edits: Edits) -> Bytes {
        if edits.0.is_empty() {
            return self.body.clone();
        }
        edits.0.sort_by_key(|(place, _)| place.start);
        let mut body = Vec::with_capacity(self.body.len() + 256);
        let mut at = 0;
        for (place, json) in edits.0 {
            body.extend_from_slice(self.body.get(at..place.start).unwrap_or_default());
            body.extend_from_slice(json.as_bytes());
            at = place.end;
        }
        body.extend_from_slice(self.body.get(at..).unwrap_or_default());
        body.into()
    }

    /// How large it is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// All of it, as it came.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.body
    }

    fn place(&self, name: &str) -> Option<Range<usize>> {
        let last = self.fields.iter().rev().find(|field| field.name.eq_ignore_ascii_case(name))?;
        Some(last.value.clone())
    }
}

/// The fields of the object that `body` begins with.
fn fields(body: &[u8]) -> serde_json::Result<Vec<Field>> {
    let mut decoder = serde_json::Deserializer::from_slice(body);
    let Fields(fields) = Fields::deserialize(&mut decoder)?;
    let start = body.as_ptr() as usize;
    let field = |(name, value): (String, &RawValue)| {
        let from = (value.get().as_ptr() as usize).saturating_sub(start);
        Field { name: folded(&name), value: from..from + value.get().len() }
    };
    Ok(fields.into_iter().map(field).collect())
}

/// All fields of an object in their order, also those that come twice.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &RawValue>()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(A::Error::custom("the object has too many fields"));
                    }
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// More than any request has; a body of a million tiny fields is no request.
const FIELDS_MAX: usize = 1_000;

/// The same with U+FFFD for every byte that is not UTF-8.
fn mended(body: &[u8]) -> String {
    let mut mended = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        mended.push_str(chunk.valid());
        mended.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    mended
}

/// A name with the two letters that Go takes for others when it compares without case.
fn folded(name: &str) -> String {
    name.replace('\u{17f}', "s").replace('\u{212a}', "k")
}

/// What is wrong, without the line and the column: they are counted within what was read, which is one field of
/// a body, and Go names none either.
fn placeless(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    words.strip_suffix(&place).unwrap_or(&words).to_owned()
}

fn words_of_go(error: &serde_json::Error, body: &[u8]) -> String {
    match error.classify() {
        Category::Eof | Category::Io => "unexpected EOF".to_owned(),
        Category::Data => format!("json: cannot unmarshal: {}", placeless(error)),
        Category::Syntax => {
            let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
            let byte = line
                .and_then(|line| line.get(error.column().saturating_sub(1)))
                .map_or('?', |byte| char::from(*byte));
            format!("invalid character {byte:?} looking for beginning of value")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(body: &'static str) -> Envelope {
        Envelope::read(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn edits_change_their_bytes_and_no_others() {
        let read = envelope(
            "{ \"model\" : \"fast\",\n \"tools\":[{\"z\":1, \"a\":2}], \"new\": 1.0e2, \"stream\":false } rest",
        );
        let mut edits = Edits::default();
        read.set(&mut edits, "stream", "true");
        read.set(&mut edits, "model", "\"llama3.2:3b\"");
        read.set(&mut edits, "keep_alive", "-1");
        assert_eq!(
            read.edited(edits),
            "{\"keep_alive\":-1, \"model\" : \"llama3.2:3b\",\n \"tools\":[{\"z\":1, \"a\":2}], \"new\": 1.0e2, \"stream\":true } rest"
        );
        let empty = envelope("{}");
        let mut edits = Edits::default();
        empty.set(&mut edits, "a", "1");
        assert_eq!(empty.edited(edits), "{\"a\":1}");
        assert_eq!(empty.edited(Edits::default()), "{}");
    }

    #[test]
    fn a_field_is_put_in_behind_another_one() {
        let read = envelope(r#"{"a":1 ,"b":[2], "c":3}"#);
        let edited = |edit: &dyn Fn(&mut Edits)| {
            let mut edits = Edits::default();
            edit(&mut edits);
            read.edited(edits)
        };
        for (other, name, all) in [
            ("a", "new", r#"{"a":1,"new":0 ,"b":[2], "c":3}"#),
            ("absent", "new", r#"{"a":1 ,"b":[2], "c":3,"new":0}"#),
            ("a", "c", r#"{"a":1 ,"b":[2], "c":0}"#),
        ] {
            assert_eq!(edited(&|edits| read.set_behind(edits, other, name, "0")), all);
        }
    }

    #[test]
    fn a_field_is_left_out_with_its_comma() {
        let read = envelope(r#"{"a":1 ,"b":[2], "c":3}"#);
        let edited = |edit: &dyn Fn(&mut Edits)| {
            let mut edits = Edits::default();
            edit(&mut edits);
            read.edited(edits)
        };
        for (name, all) in [
            ("a", r#"{"b":[2], "c":3}"#),
            ("b", r#"{"a":1, "c":3}"#),
            ("c", r#"{"a":1 ,"b":[2]}"#),
            ("absent", r#"{"a":1 ,"b":[2], "c":3}"#),
        ] {
            assert_eq!(edited(&|edits| read.cut(edits, name)), all);
        }
    }

    #[test]
    fn fields_are_found_as_go_finds_them() {
        let read = envelope(r#"{"Model":"a","model":"b","n":null,"e":[ ],"t":""}"#);
        assert_eq!(read.field::<String>("model"), Ok(Some("b".to_owned())));
        assert_eq!(read.field::<u8>("n"), Ok(None));
        let words = "json: cannot unmarshal field t: invalid type: string \"\", expected u8";
        assert_eq!(read.field::<u8>("t").unwrap_err(), words);
        for name in ["n", "e", "t", "absent"] {
            assert!(read.is_empty(name), "{name}");
        }
        assert!(!read.is_empty("model"));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_read_as_go_reads_them() {
        let read = |body: &'static [u8]| Envelope::read(Bytes::from_static(body));
        // Go counts each byte of a character that is cut off; others count the character.
        let envelope = read(b"{\"a\":\"Gr\xfc\xdfe \xe2\x82\",\"b\":1.0}").unwrap();
        let text = "Gr\u{fffd}\u{fffd}e \u{fffd}\u{fffd}";
        assert_eq!(envelope.field::<String>("a"), Ok(Some(text.to_owned())));
        assert_eq!(envelope.bytes(), &format!("{{\"a\":\"{text}\",\"b\":1.0}}"));
        assert!(read(b"{\"a\":\xff}").unwrap_err().starts_with("invalid character"));
    }

    #[test]
    fn bodies_that_are_no_object_are_refused_in_the_words_of_go() {
        for (body, words) in [
            ("", "missing request body"),
            (" \n", "missing request body"),
            ("{\"model\":", "unexpected EOF"),
            ("hello", "invalid character 'h' looking for beginning of value"),
        ] {
            assert_eq!(Envelope::read(Bytes::from_static(body.as_bytes())).unwrap_err(), words);
        }
        let array = Envelope::read(Bytes::from_static(b"[1]")).unwrap_err();
        assert!(array.starts_with("json: cannot unmarshal"), "{array}");
    }
}
