//! Model names: which spellings mean the same model.

/// The one spelling of a name: defaults for registry, namespace and tag removed or added, case folded, and `:local`,
/// which only forbids the cloud, dropped.
pub(super) fn normalised(name: &str) -> String {
    let folded = name.trim().to_lowercase();
    let local = folded.strip_suffix(":local").unwrap_or(&folded);
    let short = local.strip_prefix("registry.ollama.ai/").unwrap_or(local);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let last_segment = short.rsplit('/').next().unwrap_or(short);
    if last_segment.contains(':') { short.to_owned() } else { format!("{short}:latest") }
}

/// What the end of a name says about where its model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// `:local`.
    Here,
    /// `:cloud`, or a tag that ends in `-cloud`.
    Cloud,
}

/// Where a name says that its model answers, and the name without that.
pub(super) fn source(name: &str) -> Option<(Source, String)> {
    let (base, suffix) = name.trim().rsplit_once(':')?;
    let suffix = suffix.trim().to_lowercase();
    match suffix.as_str() {
        "local" => Some((Source::Here, base.to_owned())),
        "cloud" => Some((Source::Cloud, base.to_owned())),
        _ if suffix.contains('/') => None,
        _ => suffix.strip_suffix("-cloud").map(|tag| (Source::Cloud, format!("{base}:{tag}"))),
    }
}

/// What is wrong with a name that no model can have.
pub(super) fn objection(name: &str) -> Option<String> {
    let name = name.trim();
    let base = source(name).map(|(_, base)| base);
    if base.as_deref().and_then(source).is_some() {
        return Some(format!("use either :local or :cloud, not both: {name:?}"));
    }
    let base = base.as_deref().unwrap_or(name);
    let (path, tag) = match base.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        Some(_) | None => (base, "latest"),
    };
    let fits = |part: &str| {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        part.starts_with(is_letter)
            && part.len() <= 80
            && part.chars().all(|letter| is_letter(letter) || "-.".contains(letter))
    };
    let model = path.rsplit('/').next().unwrap_or(path);
    (!fits(model) || !fits(tag)).then(|| "invalid model name".to_owned())
}

/// The whole of an installed name, which upstream writes where it has made sure of a model's capabilities.
pub(super) fn whole(name: &str) -> String {
    let missing = match name.matches('/').count() {
        0 => "registry.ollama.ai/library/",
        1 => "registry.ollama.ai/",
        _ => "",
    };
    format!("{missing}{name}")
}

#[cfg(test)]
mod tests {
    use super::{Source, normalised, objection, source};

    #[test]
    fn the_end_of_a_name_tells_where_its_model_answers() {
        for (name, told) in [
            ("kimi:Cloud", Some((Source::Cloud, "kimi"))),
            ("gpt:120b-cloud", Some((Source::Cloud, "gpt:120b"))),
            ("gpt:20b:local", Some((Source::Here, "gpt:20b"))),
            ("gpt-cloud", None),
            ("host:1/gpt-cloud", None),
            ("gpt:20b", None),
        ] {
            let told = told.map(|(source, base)| (source, base.to_owned()));
            assert_eq!(source(name), told, "{name}");
        }
    }

    #[test]
    fn a_name_has_its_form() {
        for name in ["gpt", "hf.co/someone/thing:Q4_K_M", "gpt:20b:local", "host:1/a/b"] {
            assert_eq!(objection(name), None, "{name}");
        }
        for name in ["a b", "gpt:", ":1", "a/", "a b:cloud", "-gpt"] {
            assert_eq!(objection(name).as_deref(), Some("invalid model name"), "{name}");
        }
        let both = objection("gpt:1-cloud:local").unwrap();
        assert_eq!(both, r#"use either :local or :cloud, not both: "gpt:1-cloud:local""#);
    }

    #[test]
    fn spellings_of_one_model_meet() {
        for spelling in [
            "llama3",
            "LLAMA3:latest",
            " llama3 ",
            "library/llama3",
            "registry.ollama.ai/library/llama3:latest",
            "llama3:local",
        ] {
            assert_eq!(normalised(spelling), "llama3:latest", "{spelling}");
        }
        assert_eq!(normalised("hf.co/someone/thing:Q4"), "hf.co/someone/thing:q4");
        assert_eq!(normalised("someone/thing"), "someone/thing:latest");
    }
}
