//! Which spellings mean the same model. Ollama folds case and fills in the registry, the
//! namespace and the tag (OLLAMA.md §3, `getExistingName` in its source).

use roughneck_jobs::model::Site;
use serde_json::Value;

/// Longest host in a name, and longest other part (`isValidLen` in Ollama's `types/model/name.go`).
const HOST_BYTES_MAX: usize = 350;
const PART_BYTES_MAX: usize = 80;

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

/// What Ollama says of a name that no model can have. It looks at the name before it looks for the model (`ParseRef` in its
/// `internal/modelref`, `writeModelRefParseError` in its `server/routes.go`).
pub(crate) fn objection(name: &str) -> Option<String> {
    let name = name.trim();
    let base = without_site(name);
    if base.as_deref().and_then(without_site).is_some() {
        return Some(format!("use either :local or :cloud, not both: {}", Value::from(name)));
    }
    let is_one = is_name(base.as_deref().unwrap_or(name));
    (!is_one).then(|| "invalid model name".to_owned())
}

/// The name without what it says about where its model answers, if it says so.
fn without_site(name: &str) -> Option<String> {
    let (base, suffix) = name.rsplit_once(':')?;
    let suffix = suffix.trim();
    if ["cloud", "local"].iter().any(|site| suffix.eq_ignore_ascii_case(site)) {
        return Some(base.to_owned());
    }
    let tag = cut_end(suffix, "-cloud").filter(|tag| !tag.contains('/'))?;
    Some(format!("{base}:{tag}"))
}

/// Whether it has the form of a name: a host, a namespace, a model and a tag, of which only the model must be there.
fn is_name(name: &str) -> bool {
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        Some(_) | None => (name, None),
    };
    let mut parts = path.rsplitn(3, '/');
    let (model, namespace, host) = (parts.next(), parts.next(), parts.next());
    let host = host.map(|host| host.split_once("://").map_or(host, |(_scheme, host)| host));
    let fits = |part: Option<&str>, bytes_max: usize, signs: &[u8]| {
        part.is_none_or(|part| part.len() <= bytes_max && is_part(part, signs))
    };
    fits(model, PART_BYTES_MAX, b"-.")
        && fits(tag, PART_BYTES_MAX, b"-.")
        && fits(namespace, PART_BYTES_MAX, b"-")
        && fits(host, HOST_BYTES_MAX, b"-.:")
}

/// Whether it is a letter or a digit, and then more of them or these signs.
fn is_part(part: &str, signs: &[u8]) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    part.bytes().next().is_some_and(is_letter)
        && part.bytes().all(|byte| is_letter(byte) || signs.contains(&byte))
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
    use super::{is_same, normalised, objection, site, whole};
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
    fn a_name_that_no_model_can_have_is_told_in_ollama_s_words() {
        let long = "m".repeat(80);
        for name in [
            "m",
            " m ",
            "Qwen3:4b",
            "_m.1-x:Q4_K_M",
            "someone/thing",
            "hf.co/some-one/thing.gguf:Q4_K_M",
            "host:5000/someone/thing:1",
            "https://host:5000/someone/thing",
            "m:cloud",
            "m:1-cloud",
            "m:1:local",
            &long,
        ] {
            assert_eq!(objection(name), None, "{name}");
        }
        let too_long = format!("{long}m");
        for name in [
            "a b",
            "m:",
            ":1",
            "m:a b",
            "-m",
            "m:.1",
            "a/b/",
            "/m",
            "a.b/m",
            "a//m",
            "ä",
            "m@sha256:1",
            "m:-cloud",
            ":cloud",
            "a b:cloud",
            &too_long,
        ] {
            assert_eq!(objection(name).as_deref(), Some("invalid model name"), "{name}");
        }
        for name in ["m:1-cloud:local", "m:local:cloud"] {
            let words = format!("use either :local or :cloud, not both: \"{name}\"");
            assert_eq!(objection(name), Some(words));
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
