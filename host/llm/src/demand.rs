//! How many tokens a call may need. Only calls that have a budget are weighed.

use std::fmt;

use roughneck_jobs::{
    budget::{Answer, Demand, Prompt},
    model::{Call, Message, ToolCall},
};
use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::option::{self, NUM_CTX, NUM_PREDICT};

/// What a template writes around a turn, in bytes.
const TURN_BYTES: usize = 16;

/// What a call of a plugin needs, with the options that it goes out with.
pub(crate) fn of_call(call: &Call, options: &Map<String, Value>) -> Demand {
    let tools = call.tools.iter().map(|tool| {
        tool.name.len() + tool.description.len() + tool.parameters_schema.len() + TURN_BYTES
    });
    let turns = call.messages.iter().map(turn_bytes);
    let schema = call.response_schema.as_ref().map_or(0, String::len);
    let pictures = call.messages.iter().map(|message| message.images.len()).sum::<usize>();
    let prompt = Prompt {
        text_bytes: count(turns.chain(tools).sum::<usize>().saturating_add(schema)),
        pictures: count(pictures),
        context: option::tokens(options.get(NUM_CTX)),
    };
    // Whoever builds the body can write a limit into it.
    let answer = option::tokens(options.get(NUM_PREDICT)).map_or(Answer::Whole, Answer::Limited);
    Demand { prompt, answer }
}

fn turn_bytes(message: &Message) -> usize {
    let call_bytes = |call: &ToolCall| call.name.len() + call.arguments_json.len() + TURN_BYTES;
    let calls = message.tool_calls.iter().map(call_bytes).sum::<usize>();
    message.text.len().saturating_add(calls).saturating_add(TURN_BYTES)
}

/// The prompt of a client's request, whatever the shape of it.
pub(crate) fn prompt_of(body: &[u8], options: &Map<String, Value>) -> Prompt {
    let mut pictures = Pictures::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    // What cannot be read is all text.
    let read = Look { found: &mut pictures, is_picture: false }.deserialize(&mut json);
    let pictures = if read.is_ok() { pictures } else { Pictures::default() };
    Prompt {
        text_bytes: count(body.len().saturating_sub(pictures.bytes)),
        pictures: pictures.count,
        context: option::tokens(options.get(NUM_CTX)),
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

/// The pictures of a request.
#[derive(Debug, Default)]
struct Pictures {
    count: u64,
    bytes: usize,
}

/// Looks for pictures in JSON, which are base64: in `images`, as Ollama has them, in `data`, as
/// Anthropic does, and in `data:` URLs, as OpenAI does.
struct Look<'a> {
    found: &'a mut Pictures,
    is_picture: bool,
}

impl Look<'_> {
    fn below(&mut self, is_picture: bool) -> Look<'_> {
        Look { found: self.found, is_picture }
    }

    fn see(self, text: &str) {
        let base64 = match text.split_once(";base64,") {
            Some((head, base64)) if head.starts_with("data:image/") => Some(base64),
            Some(_) | None => self.is_picture.then_some(text),
        };
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
        if base64.is_some_and(|base64| !base64.is_empty() && base64.bytes().all(is_base64)) {
            self.found.count += 1;
            self.found.bytes = self.found.bytes.saturating_add(text.len());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.see(text);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let is_picture = matches!(key.as_str(), "images" | "data");
            map.next_value_seed(self.below(is_picture))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let is_picture = self.is_picture;
        while seq.next_element_seed(self.below(is_picture))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pictures_are_told_from_text_on_every_surface() {
        let png = "iVBORw0KGgo=".repeat(100);
        let url = format!("data:image/png;base64,{png}");
        for (body, pictures) in [
            (json!({"messages": [{"content": "hi", "images": [png, png]}]}), 2),
            (json!({"prompt": "hi", "images": [png]}), 1),
            (
                json!({"messages": [{"content": [{"type": "image_url", "image_url": {"url": url}}]}]}),
                1,
            ),
            (json!({"input": [{"content": [{"type": "input_image", "image_url": url}]}]}), 1),
            (
                json!({"messages": [{"content": [{"type": "image", "source": {"type": "base64", "data": png}}]}]}),
                1,
            ),
            (json!({"prompt": png}), 0),
            (json!({"images": ["not base64, but a long text"]}), 0),
            (json!({"prompt": "data:image/png;base64,and then words"}), 0),
            (json!({"prompt": null, "x": [1, -1, 1.5, true]}), 0),
        ] {
            let text = body.to_string();
            let prompt = prompt_of(text.as_bytes(), &Map::new());
            assert_eq!(prompt.pictures, pictures, "{body}");
            let without = text.replace(&url, "").replace(&png, "");
            let expected = if pictures > 0 { without.len() } else { text.len() };
            assert_eq!(prompt.text_bytes, expected as u64, "{body}");
        }
        assert_eq!(prompt_of(b"{\"images\":[\"aaaa\"", &Map::new()).text_bytes, 17);
    }
}
