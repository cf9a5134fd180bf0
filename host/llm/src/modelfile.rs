//! What Ollama shows of how a model is made: which models share a runner, and whether two differ in their context alone.
//!
//! That a model keeps what it is made from is nothing that Ollama promises. Since 0.5.5, which first took parameters in
//! JSON, those of the base stay (`setParameters` in its `server/create.go`). Its renderer and parser are lost before
//! 0.12.7. Even now `createModel` gives some architectures a renderer and a stop that the base may not have, and a model
//! that runs by MLX, whose Modelfile names itself instead of a blob, would not share its runner. All of that shows in a
//! Modelfile, so the host compares them, whatever the version.

use serde_json::{Map, Value};

use crate::report::Shown;

/// A file of weights is called so, and the rest of its name is the digest of what is in it.
const BLOB: &str = "sha256-";
const DIGEST_DIGITS: usize = 64;
/// The format of models that run by MLX. Of their options and files Ollama looks at none (`needsReload`).
const MLX: &str = "safetensors";
/// The architecture whose context cannot shift (`supportsContextShift`).
const UNSHIFTED: &str = "deepseek2";
/// The least context of any model, and of one that sees (`getRunner`).
const CONTEXT_MIN: i64 = 4;
const CONTEXT_MIN_OF_SEEING: i64 = 2048;

/// What of a model decides which runner serves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Modelfile {
    /// The files of its weights: models that are made of the same share a runner. None where a model runs by MLX, which
    /// Ollama knows by its digest.
    pub(crate) weights: Option<String>,
    /// Its parameters, which are the options of requests that name no others.
    pub(crate) parameters: Map<String, Value>,
    pub(crate) is_mlx: bool,
    /// Whether a context that is full drops its oldest tokens only if a request says so.
    pub(crate) stands_still: bool,
    /// Whether it looks at images.
    pub(crate) sees: bool,
    /// The context that it was trained with, if that is known: no request gets more.
    pub(crate) context_max: Option<i64>,
}

impl Modelfile {
    /// What is shown of a model. None if its weights are not told, as Ollama does.
    pub(crate) fn read(shown: &Shown) -> Option<Self> {
        let details = &shown.details;
        let is_mlx = details.format == MLX;
        let weights = weights(&shown.modelfile);
        if weights.is_none() && !is_mlx {
            return None;
        }
        let families = details.families.iter().flatten().map(String::as_str);
        let can = |what| shown.capabilities.iter().flatten().any(|capability| capability == what);
        Some(Self {
            weights: weights.filter(|_| !is_mlx),
            parameters: parameters(&shown.parameters),
            is_mlx,
            stands_still: families.chain([details.family.as_str()]).any(|it| it == UNSHIFTED),
            sees: can("vision"),
            context_max: context_max(shown),
        })
    }

    /// The context that a request gets that asks for so many tokens.
    pub(crate) fn context_of(&self, tokens: i64) -> i64 {
        let tokens = tokens.max(if self.sees { CONTEXT_MIN_OF_SEEING } else { CONTEXT_MIN });
        self.context_max.map_or(tokens, |most| tokens.min(most))
    }
}

/// The files that a model is made of, by their names, which are the same wherever Ollama keeps them. They stand above
/// everything else (`Model.String` in its `server/images.go`); what follows are texts, in which anything may be written.
fn weights(modelfile: &str) -> Option<String> {
    let mut weights = String::new();
    for line in modelfile.lines().filter(|line| !(line.is_empty() || line.starts_with('#'))) {
        let (keyword, path) = line.split_once(' ').unwrap_or((line, ""));
        match keyword {
            "FROM" if weights.is_empty() => weights.push_str(blob(path)?),
            // A second one is a projector.
            "FROM" | "ADAPTER" | "DRAFT" => {
                weights.extend([", ", &keyword.to_lowercase(), " ", blob(path)?]);
            }
            _ => break,
        }
    }
    (!weights.is_empty()).then_some(weights)
}

/// The name of the file at this path, if it is one of Ollama's blobs.
fn blob(path: &str) -> Option<&str> {
    let name = path.rsplit(['/', '\\']).next()?;
    let digest = name.strip_prefix(BLOB)?;
    let is_digest =
        digest.len() == DIGEST_DIGITS && digest.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_digest.then_some(name)
}

/// What a model sets, from a line for each: its name, and its value as Go writes it, which for numbers and truths is as
/// JSON does. Of those that have many values, which are texts, the last one is as good as any.
fn parameters(shown: &str) -> Map<String, Value> {
    let read = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), serde_json::from_str(value.trim()).ok()?))
    };
    shown.lines().filter_map(read).collect()
}

/// Go reads every JSON number as a float, and cuts its fraction off: `8192.5` is `8192`.
pub(crate) fn whole(value: &Value) -> Value {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "that is meant, and it fits")]
        Some(number) if number.abs() < 9e15 => (number as i64).into(),
        _ => value.clone(),
    }
}

fn context_max(shown: &Shown) -> Option<i64> {
    let info = shown.model_info.as_ref()?;
    let architecture = info.get("general.architecture")?.as_str()?;
    let tokens = info.get(&format!("{architecture}.context_length"))?.as_i64()?;
    (tokens > 0).then_some(tokens)
}

/// The line that says the context. Nothing else may differ.
const CONTEXT: &str = "PARAMETER num_ctx ";

/// Whether `other` is `base` with this context.
pub(crate) fn has_only_context(base: &str, other: &str, num_ctx: u64) -> bool {
    let says_it = |line: &str| context(line) == Some(num_ctx.into());
    other.lines().any(says_it) && lines(base) == lines(other)
}

/// The context that a line says. Go writes a large one with an exponent.
fn context(line: &str) -> Option<Value> {
    Some(whole(&serde_json::from_str(line.strip_prefix(CONTEXT)?.trim()).ok()?))
}

/// What a Modelfile says, in any order: that of parameters changes from look to look. The comment on top tells the name.
fn lines(modelfile: &str) -> Vec<&str> {
    let is_said = |line: &&str| !(line.starts_with('#') || line.starts_with(CONTEXT));
    let mut lines: Vec<&str> = modelfile.lines().filter(is_said).collect();
    lines.sort_unstable();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BASE: &str = "# Modelfile generated by \"ollama show\"\n# FROM qwen3:4b\n\n\
        FROM /blobs/sha256-1\nTEMPLATE {{ .Prompt }}\nRENDERER qwen3\nPARAMETER stop <a>\nPARAMETER top_k 20\n";

    fn base_with(lines: &str) -> String {
        format!("{BASE}{lines}")
    }

    #[test]
    fn nothing_but_the_context_may_differ() {
        let sorted_otherwise = "# FROM roughneck/x\n\nFROM /blobs/sha256-1\nTEMPLATE {{ .Prompt }}\n\
            RENDERER qwen3\nPARAMETER num_ctx 8\nPARAMETER top_k 20\nPARAMETER stop <a>\n";
        for (other, is_one) in [
            (base_with("PARAMETER num_ctx 8\n"), true),
            (sorted_otherwise.to_owned(), true),
            (base_with(""), false),
            (base_with("PARAMETER num_ctx 9\n"), false),
            (base_with("PARAMETER num_ctx 8\nPARAMETER stop <b>\n"), false),
            (base_with("PARAMETER num_ctx 8\n").replace("RENDERER qwen3\n", ""), false),
            (base_with("PARAMETER num_ctx 8\n").replace("sha256-1", "sha256-2"), false),
        ] {
            assert_eq!(has_only_context(BASE, &other, 8), is_one, "{other}");
        }
        let large = base_with("PARAMETER num_ctx 1.048576e+06\n");
        assert!(has_only_context(BASE, &large, 1 << 20) && !has_only_context(BASE, &large, 1));
        let own = base_with("PARAMETER num_ctx 4\n");
        assert!(has_only_context(&own, &base_with("PARAMETER num_ctx 8\n"), 8));
    }

    const ONE: &str = "sha256-1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "sha256-2222222222222222222222222222222222222222222222222222222222222222";

    /// A Modelfile with these lines on top, as Ollama writes it.
    fn of_lines(lines: &str) -> String {
        format!(
            "# Modelfile generated by \"ollama show\"\n# To build a new Modelfile based on this, replace FROM with:\n\
             # FROM qwen3:4b\n\n{lines}\nTEMPLATE \"\"\"{{{{ .Prompt }}}}\nFROM /blobs/{TWO}\n\"\"\"\n\
             SYSTEM \"\"\"\nADAPTER /blobs/{TWO}\nPARAMETER num_ctx 5\n\"\"\"\nPARAMETER num_ctx 8192\n"
        )
    }

    fn shown(json: Value) -> Option<Modelfile> {
        Modelfile::read(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn weights_are_the_files_above_the_texts() {
        for (lines, read) in [
            (format!("FROM /usr/share/ollama/.ollama/models/blobs/{ONE}"), Some(ONE.to_owned())),
            (format!("FROM C:\\models\\blobs\\{ONE}"), Some(ONE.to_owned())),
            (
                format!("FROM /a/{ONE}\nADAPTER /a/{TWO}\nDRAFT /a/{ONE}\nFROM /a/{TWO}"),
                Some(format!("{ONE}, adapter {TWO}, draft {ONE}, from {TWO}")),
            ),
            // By MLX, and by something that is not Ollama.
            ("FROM qwen3:4b".to_owned(), None),
            ("FROM /a/sha256-11".to_owned(), None),
            ("FROM ".to_owned(), None),
            (format!("FROM /a/{ONE}\nADAPTER ./mine"), None),
            (format!("LICENSE x\nFROM /a/{ONE}"), None),
        ] {
            assert_eq!(weights(&of_lines(&lines)), read, "{lines}");
        }
        assert_eq!(weights(""), None);
    }

    #[test]
    fn parameters_are_read_as_go_writes_them() {
        let written = "num_ctx                        1.048576e+06\nuse_mmap                       false\n\
                       stop                           \"<a>\\nnum_ctx 5\"\nnum_thread";
        let read = json!({"num_ctx": 1_048_576.0, "use_mmap": false, "stop": "<a>\nnum_ctx 5"});
        assert_eq!(Value::from(parameters(written)), read);
    }

    #[test]
    fn a_context_is_kept_within_what_ollama_gives() {
        let of = |capabilities: Value, model_info: Value| {
            let modelfile = format!("FROM /a/{ONE}\n");
            shown(json!({"modelfile": modelfile, "capabilities": capabilities, "model_info": model_info}))
                .unwrap()
        };
        let trained = json!({"general.architecture": "qwen3", "qwen3.context_length": 32_768});
        for (modelfile, given) in [
            (of(json!(["completion"]), trained.clone()), [4, 4, 1000, 32_768]),
            (of(json!(["completion", "vision"]), trained), [2048, 2048, 2048, 32_768]),
            (of(Value::Null, Value::Null), [4, 4, 1000, 99_999]),
            (of(json!([]), json!({"general.architecture": "qwen3"})), [4, 4, 1000, 99_999]),
        ] {
            let asked = [-1, 0, 1000, 99_999];
            assert_eq!(asked.map(|tokens| modelfile.context_of(tokens)), given, "{modelfile:?}");
        }
    }

    #[test]
    fn what_is_shown_of_a_model_may_be_little_but_not_strange() {
        let modelfile = format!("FROM /a/{ONE}\n");
        let least = shown(json!({"modelfile": modelfile})).unwrap();
        let expected = Modelfile { weights: Some(ONE.to_owned()), ..Modelfile::default() };
        assert_eq!(least, expected);
        let deepseek = json!({"family": "x", "families": ["x", "deepseek2"]});
        let deepseek = shown(json!({"modelfile": modelfile, "details": deepseek})).unwrap();
        assert!(deepseek.stands_still);
        let mlx = json!({"modelfile": "FROM m\n", "details": {"format": "safetensors", "families": null}});
        let mlx = shown(mlx).unwrap();
        assert_eq!(mlx, Modelfile { is_mlx: true, ..Modelfile::default() });
        assert_eq!(shown(json!({"modelfile": "FROM m\n"})), None);
    }
}
