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
    use super::normalised;

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
