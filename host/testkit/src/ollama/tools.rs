//! The tools that a request offers, and the calls of them.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::schema::Schema;
use super::structured;
use super::words::{pieces, subject};

/// One tool that may be called. Whatever else a client says of it is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tool {
    pub(super) function: Option<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) name: Option<String>,
    pub(super) parameters: Option<Schema>,
}

/// A call of a tool, as a model makes it.
#[derive(Debug, Clone)]
pub(super) struct ToolCall {
    /// `call_` and eight letters and digits. Upstream's are random; these only depend on the call.
    pub(super) id: String,
    /// Its place among the calls of one answer.
    pub(super) index: usize,
    pub(super) name: String,
    /// An object, in the order of the tool's schema.
    pub(super) arguments: Box<RawValue>,
}

impl ToolCall {
    /// None if `arguments` is not the text of a JSON object.
    pub(super) fn new(index: usize, name: &str, arguments: String) -> Option<Self> {
        let arguments = RawValue::from_string(arguments).ok()?;
        arguments.get().starts_with('{').then(|| Self {
            id: id(index, name, arguments.get()),
            index,
            name: name.to_owned(),
            arguments,
        })
    }

    /// What writing it costs a model: the pieces of its name and of its arguments.
    pub(super) fn tokens(&self) -> usize {
        pieces(&self.name).len() + pieces(self.arguments.get()).len()
    }
}

fn id(index: usize, name: &str, arguments: &str) -> String {
    let digest = Sha256::digest(format!("{index} {name} {arguments}"));
    let letters = digest.iter().take(4).map(|byte| format!("{byte:02x}"));
    format!("call_{}", letters.collect::<String>())
}

/// The calls that `prompt` asks for: one, of the first tool that it names.
pub(super) fn called(tools: &[Tool], prompt: &str) -> Vec<ToolCall> {
    let functions = tools.iter().filter_map(|tool| tool.function.as_ref());
    let named = functions.filter_map(|function| Some((function.name.as_deref()?, function)));
    let asked = named.into_iter().find(|(name, _)| !name.is_empty() && prompt.contains(name));
    let call = asked.and_then(|(name, function)| {
        let arguments = match &function.parameters {
            Some(schema) => structured::write(schema, &subject(prompt)),
            None => "{}".to_owned(),
        };
        ToolCall::new(0, name, arguments)
    });
    call.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offered(names: &[&str]) -> Vec<Tool> {
        let tool = |name| {
            let parameters = json!({
                "type": "object",
                "properties": {"days": {"type": "integer"}, "city": {"const": "Paris"}},
            });
            json!({"type": "function", "function": {"name": name, "parameters": parameters}})
        };
        serde_json::from_value(names.iter().map(tool).collect()).unwrap()
    }

    #[test]
    fn the_first_tool_that_the_prompt_names_is_called() {
        let tools = offered(&["get_time", "get_weather"]);
        let calls = called(&tools, "Use get_weather for Paris.");
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].index, calls[0].name.as_str()), (0, "get_weather"));
        assert!(calls[0].id.starts_with("call_") && calls[0].id.len() == 13, "{}", calls[0].id);
        let again = called(&tools, "Use get_weather for Paris.");
        assert_eq!(calls[0].id, again[0].id);
        assert!(called(&tools, "What is the weather?").is_empty());
        assert!(called(&[Tool::default()], "anything").is_empty());
    }

    #[test]
    fn a_call_has_an_object_for_arguments() {
        assert!(ToolCall::new(0, "f", "[]".to_owned()).is_none());
        assert!(ToolCall::new(0, "f", "{".to_owned()).is_none());
        assert_eq!(ToolCall::new(0, "f", r#"{"a":1}"#.to_owned()).unwrap().tokens(), 8);
    }
}
