//! Which spellings mean the same model. Ollama folds case and fills in the registry, the
//! namespace and the tag (OLLAMA.md §3, `getExistingName` in its source).

use roughneck_jobs::model::Site;

/// The one spelling: trimmed, case folded, default registry and namespace removed, default tag
/// added, and `:local`, which only forbids the cloud, dropped.
pub(crate) fn normalised(name: &str) -> String {
    let (short, tag) = parts(name);
    format!("{short}:{tag}").to_ascii_lowercase()
}

/// Whether two spellings mean one model. Every call asks this of every installed model, so nothing is written down for it.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let ((one, one_tag), (other, other_tag)) = (parts(one), parts(other));
    one.eq_ignore_ascii_case(other) && one_tag.eq_ignore_ascii_case(other_tag)
}

/// What a name says beside what goes without saying, and its tag.
fn parts(name: &str) -> (&str, &str) {
    let name = name.trim();
    let name = cut_end(name, ":local").unwrap_or(name);
    let name = cut_begin(name, "registry.ollama.ai/").unwrap_or(name);
    let name = cut_begin(name, "library/").unwrap_or(name);
    match name.rsplit_once(':') {
        // A colon before the last slash belongs to a port, not to a tag.
        Some((short, tag)) if !tag.contains('/') => (short, tag),
        Some(_) | None => (name, "latest"),
    }
}

fn cut_begin<'a>(name: &'a str, begin: &str) -> Option<&'a str> {
    let (first, rest) = name.split_at_checked(begin.len())?;
    first.eq_ignore_ascii_case(begin).then_some(rest)
}

fn cut_end<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let (rest, last) = name.split_at_checked(name.len().checked_sub(end.len())?)?;
    last.eq_ignore_ascii_case(end).then_some(rest)
}

/// The name without the tag that Ollama adds by default, if it has that one: most people leave it out.
pub(crate) fn short(name: &str) -> Option<&str> {
    name.strip_suffix(":latest")
}

/// Where the model of this name answers, if the name says so, whether such a model is installed or not: `kimi-k2:cloud` and
/// `gpt-oss:120b-cloud` are never of this machine, `gpt-oss:20b:local` always is (`internal/modelref` in Ollama's source).
pub(crate) fn site(name: &str) -> Option<Site> {
    let (_, suffix) = name.rsplit_once(':')?;
    match suffix.trim().to_lowercase().as_str() {
        "cloud" => Some(Site::Cloud),
        "local" => Some(Site::Here),
        // A colon before a slash belongs to a port.
        tag if tag.ends_with("-cloud") && !tag.contains('/') => Some(Site::Cloud),
        _ => None,
    }
}

/// The whole of an installed name, with registry and namespace, as Ollama writes it in some of its refusals.
pub(crate) fn whole(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = if last.contains(':') { "" } else { ":latest" };
    let missing = match name.matches('/').count() {
        0 => "registry.ollama.ai/library/",
        1 => "registry.ollama.ai/",
        _ => "",
    };
    format!("{missing}{name}{tag}")
}

#[cfg(test)]
mod tests {
    use super::{is_same, normalised, site, whole};
    use roughneck_jobs::model::Site;

    #[test]
    fn a_name_may_say_where_its_model_answers() {
        for (name, said) in [
            ("kimi-k2:cloud", Some(Site::Cloud)),
            (" Kimi-K2:CLOUD ", Some(Site::Cloud)),
            ("gpt-oss:120b-cloud", Some(Site::Cloud)),
            ("gpt-oss:120b:cloud", Some(Site::Cloud)),
            ("host:5000/someone/thing:Cloud", Some(Site::Cloud)),
            ("gpt-oss:20b:local", Some(Site::Here)),
            ("gpt-oss:120b-cloud:local", Some(Site::Here)),
            ("gpt-oss:120b", None),
            ("cumulus-cloud", None),
            ("cloud", None),
            ("host:5000/someone/thing-cloud", None),
            ("thing:cloudy", None),
        ] {
            assert_eq!(site(name), said, "{name}");
        }
    }

    #[test]
    fn a_whole_name_has_all_of_its_parts() {
        for (name, all) in [
            ("Llama3", "registry.ollama.ai/library/Llama3:latest"),
            ("llama3:8b", "registry.ollama.ai/library/llama3:8b"),
            ("someone/thing:1", "registry.ollama.ai/someone/thing:1"),
            ("host:5000/someone/thing", "host:5000/someone/thing:latest"),
        ] {
            assert_eq!(whole(name), all);
        }
    }

    #[test]
    fn spellings_of_one_model_meet_and_those_of_others_do_not() {
        for (spelling, one) in [
            ("llama3", "llama3:latest"),
            (" LLAMA3:Latest ", "llama3:latest"),
            ("llama3:local", "llama3:latest"),
            ("library/llama3", "llama3:latest"),
            ("registry.ollama.ai/library/llama3:8b", "llama3:8b"),
            ("someone/thing", "someone/thing:latest"),
            ("host:5000/someone/thing", "host:5000/someone/thing:latest"),
            ("hf.co/someone/thing:Q4_K_M", "hf.co/someone/thing:q4_k_m"),
            ("Library/LLAMA3:8b:LOCAL", "llama3:8b"),
            ("é", "é:latest"),
            ("", ":latest"),
        ] {
            assert_eq!(normalised(spelling), one, "{spelling}");
            assert!(is_same(spelling, one) && !is_same(spelling, "other"), "{spelling}");
        }
    }
}
