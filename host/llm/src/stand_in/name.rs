//! What a stand-in is called: `roughneck/qwen3:4b-ctx16384-365c0bd3c000-1f3a9c2e`.
//!
//! The context and the beginning of the model's digest make it another one when the pin changes or the model is pulled
//! anew, and its end says whose it is, so nothing about a stand-in has to be remembered. The rest is for people who look at
//! Ollama themselves. It may be the same for two names of one model, to which the same stand-in is as good.

use crate::{model_name::normalised, report::Installed};

/// Of hosts, in Ollama. Nothing else is ever deleted.
const NAMESPACE: &str = "roughneck/";
/// So many letters fit into a part of a name (`types/model/name.go` of Ollama).
const PART_MAX: usize = 80;
const DIGEST_DIGITS: usize = 12;
const OWNER_DIGITS: usize = 8;

/// What the name of a stand-in says beside its model.
struct Said {
    num_ctx: u64,
    /// The host that had it made.
    owner: u32,
}

/// The name of the stand-in for a model that this host has made, or none if the model has no digest to be known by.
pub(crate) fn of(model: &str, digest: &str, num_ctx: u64, owner: u32) -> Option<String> {
    let digest = digest.strip_prefix("sha256:").unwrap_or(digest).get(..DIGEST_DIGITS)?;
    if !is_hex(digest, DIGEST_DIGITS) {
        return None;
    }
    let model = normalised(model);
    let (path, tag) = model.rsplit_once(':')?;
    let end = format!("-ctx{num_ctx}-{digest}-{owner:0OWNER_DIGITS$x}");
    let path: String = path.chars().map(fitting).take(PART_MAX).collect();
    let tag: String = tag.chars().map(fitting).take(PART_MAX.saturating_sub(end.len())).collect();
    Some(format!("{NAMESPACE}{path}:{tag}{end}"))
}

/// Whether it is the name of a stand-in, whosever.
pub(crate) fn is_one(name: &str) -> bool {
    said(name).is_some()
}

/// Whether it is the name of a stand-in of this host.
pub(crate) fn is_of(name: &str, owner: u32) -> bool {
    said(name).is_some_and(|said| said.owner == owner)
}

/// The model that this one stands in for, if it is a stand-in, whosever, and its model is still there.
pub(crate) fn stands_for<'a>(name: &str, models: &'a [Installed]) -> Option<&'a Installed> {
    let Said { num_ctx, owner } = said(name)?;
    let name = normalised(name);
    let is_its = |model: &&Installed| {
        of(&model.name, &model.digest, num_ctx, owner).as_deref() == Some(&name)
    };
    models.iter().find(is_its)
}

/// What a name says, or none if it is that of no stand-in.
fn said(name: &str) -> Option<Said> {
    let name = normalised(name);
    let (path, end) = name.strip_prefix(NAMESPACE)?.rsplit_once(':')?;
    let (end, owner) = end.rsplit_once('-')?;
    let (tag, digest) = end.rsplit_once('-')?;
    let (tag, num_ctx) = tag.rsplit_once("-ctx")?;
    let is_path = !path.is_empty() && path.chars().all(|letter| fitting(letter) == letter);
    let is_number = num_ctx.bytes().all(|byte| byte.is_ascii_digit());
    let is_end = is_hex(digest, DIGEST_DIGITS) && is_hex(owner, OWNER_DIGITS);
    if !is_path || tag.is_empty() || !is_number || !is_end {
        return None;
    }
    Some(Said { num_ctx: num_ctx.parse().ok()?, owner: u32::from_str_radix(owner, 16).ok()? })
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A letter that may stand in any part of a name, in the place of those that stand between parts.
fn fitting(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.') { letter } else { '-' }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::report::installed;

    /// With a digit that must not get lost.
    const OWNER: u32 = 0x01f3_a9c2;
    const DIGEST: &str = "365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1";

    #[test]
    fn a_name_tells_the_model_its_context_and_its_digest() {
        let long = format!("{}:{}", "m".repeat(90), "t".repeat(90));
        let cut = format!(
            "roughneck/{}:{}-ctx8-365c0bd3c000-01f3a9c2",
            "m".repeat(80),
            "t".repeat(80 - "-ctx8-365c0bd3c000-01f3a9c2".len())
        );
        for (model, name) in [
            ("Qwen3:4B", "roughneck/qwen3:4b-ctx8-365c0bd3c000-01f3a9c2"),
            ("library/llama3", "roughneck/llama3:latest-ctx8-365c0bd3c000-01f3a9c2"),
            ("hf.co/org/m:Q4_K_M", "roughneck/hf.co-org-m:q4_k_m-ctx8-365c0bd3c000-01f3a9c2"),
            ("host:5000/a/m:1", "roughneck/host-5000-a-m:1-ctx8-365c0bd3c000-01f3a9c2"),
            (&long, &cut),
        ] {
            assert_eq!(of(model, DIGEST, 8, OWNER).as_deref(), Some(name));
            let digest = format!("sha256:{DIGEST}");
            assert_eq!(of(model, &digest, 8, OWNER).as_deref(), Some(name));
            for name in [name, &format!("registry.ollama.ai/{name}"), &name.to_uppercase()] {
                assert!(is_one(name) && is_of(name, OWNER) && !is_of(name, 7), "{name}");
            }
        }
        for nothing in ["", "short", "ghijklmnopqrstuv"] {
            assert_eq!(of("m", nothing, 8, OWNER), None, "{nothing}");
        }
    }

    #[test]
    fn whatever_else_is_called_like_one_is_none_of_ours() {
        for name in [
            "qwen3:4b",
            "roughneck/qwen3:4b",
            "roughneck/qwen3:4b-ctx8",
            "roughneck/qwen3:4b-ctx8-365c0bd3c000",
            "roughneck/qwen3:4b-ctx-365c0bd3c000-01f3a9c2",
            "roughneck/qwen3:4b-ctx+8-365c0bd3c000-01f3a9c2",
            "roughneck/qwen3:4b-ctx8-365c0bd3c00-01f3a9c2",
            "roughneck/qwen3:4b-ctx8-365c0bd3c00g-01f3a9c2",
            "roughneck/qwen3:4b-ctx8-365c0bd3c000-1f3a9c2",
            "roughneck/qwen3:4b-ctx8-365c0bd3c000-+1f3a9c2",
            "roughneck/qwen3:-ctx8-365c0bd3c000-01f3a9c2",
            "roughneck/a/b:4b-ctx8-365c0bd3c000-01f3a9c2",
            "other/qwen3:4b-ctx8-365c0bd3c000-01f3a9c2",
            "example.org/roughneck/qwen3:4b-ctx8-365c0bd3c000-01f3a9c2",
        ] {
            assert!(!is_one(name), "{name}");
        }
    }

    #[test]
    fn a_stand_in_is_known_by_its_model_as_long_as_that_is_the_same() {
        let models = installed(json!([
            {"name": "other:1", "digest": DIGEST},
            {"name": "qwen3:4b", "digest": DIGEST},
        ]));
        let found = |name: &str| stands_for(name, &models).map(|model| model.name.as_str());
        let name = |digest, num_ctx, owner| of("qwen3:4b", digest, num_ctx, owner).unwrap();
        assert_eq!(found(&name(DIGEST, 8, OWNER)), Some("qwen3:4b"));
        assert_eq!(found(&name(DIGEST, 9, OWNER)), Some("qwen3:4b"));
        assert_eq!(found(&name(DIGEST, 8, 7)), Some("qwen3:4b"), "of another host");
        assert_eq!(found(&name("000000000000", 8, OWNER)), None);
        assert_eq!(found("qwen3:4b"), None);
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_ollama_takes_and_that_is_known_again(
            path in "[a-z0-9_][a-z0-9_.:/-]{0,200}",
            tag in "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,100}",
            context: u64,
            owner: u32,
        ) {
            let name = of(&format!("{path}/m:{tag}"), DIGEST, context, owner).unwrap();
            prop_assert_eq!(said(&name).map(|said| (said.num_ctx, said.owner)), Some((context, owner)));
            let (path, tag) = name.strip_prefix("roughneck/").unwrap().split_once(':').unwrap();
            for part in [path, tag] {
                prop_assert!((1..=PART_MAX).contains(&part.len()), "{}", name);
                let begins = part.chars().next().unwrap();
                prop_assert!(begins.is_ascii_alphanumeric() || begins == '_', "{}", name);
                prop_assert!(part.chars().all(|letter| fitting(letter) == letter), "{}", name);
            }
        }
    }
}
