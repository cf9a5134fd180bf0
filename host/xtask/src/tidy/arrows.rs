//! Which crate may know which: a star around `jobs`, and each heavy library in one room.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::Breach;

/// Crate of ours, and the ones of ours it may use outside tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("jobs", &[]),
    ("store", &["jobs"]),
    ("engine", &["jobs"]),
    ("llm", &["jobs"]),
    ("capabilities", &["jobs"]),
    ("sandbox", &["jobs", "capabilities"]),
    ("api", &["jobs"]),
    ("cli", &["jobs", "store", "engine", "llm", "capabilities", "sandbox", "api", "testkit"]),
    ("testkit", &[]),
    ("memory", &["jobs"]),
    ("simulation", &["jobs", "engine"]),
    ("bench", &["jobs", "llm", "testkit"]),
    ("e2e", &[]),
    ("xtask", &[]),
];

/// Library, and the only crates that may use it.
const ROOMS: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("wasmtime", &["sandbox"]),
    ("wasmtime-wasi", &["sandbox"]),
    ("axum", &["api", "bench"]),
    ("hyper", &["llm", "api", "testkit"]),
    ("anyhow", &["cli", "bench", "xtask"]),
    ("clap", &["cli"]),
    (
        "tokio",
        &[
            "store",
            "engine",
            "llm",
            "capabilities",
            "sandbox",
            "api",
            "cli",
            "testkit",
            "bench",
            "memory",
            "simulation",
        ],
    ),
];

pub(super) fn check(root: &Path) -> Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    for (name, allowed) in ARROWS {
        let path = root.join("host").join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let manifest: toml::Table = text.parse()?;
        let used = manifest.get("dependencies").and_then(toml::Value::as_table);
        for library in used.into_iter().flat_map(toml::Table::keys) {
            breaches.extend(judge(name, allowed, library));
        }
    }
    Ok(breaches)
}

fn judge(name: &str, allowed: &[&str], library: &str) -> Option<Breach> {
    if let Some(ours) = library.strip_prefix("roughneck-") {
        let known = allowed.contains(&ours);
        return (!known).then(|| {
            Breach(format!("host/{name} must not depend on {library}: everything points to jobs, only cli knows all"))
        });
    }
    let (_, rooms) = ROOMS.iter().find(|(room, _)| *room == library)?;
    (!rooms.contains(&name)).then(|| {
        Breach(format!(
            "host/{name} must not depend on {library}, which lives in {}",
            rooms.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_between_siblings_and_a_library_in_the_wrong_room_are_breaches() {
        assert!(judge("engine", &["jobs"], "roughneck-store").is_some());
        assert!(judge("engine", &["jobs"], "roughneck-jobs").is_none());
        assert!(judge("engine", &["jobs"], "sqlx").is_some());
        assert!(judge("store", &["jobs"], "sqlx").is_none());
        assert!(judge("store", &["jobs"], "bytes").is_none());
    }
}
