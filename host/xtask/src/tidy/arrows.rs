//! Which crate may know which: a star around `jobs`, and each heavy library in one room.

use serde_json::Value;

use super::Breach;
use super::metadata::text;

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

/// Judges the crates of the host's workspace. Cargo tells every table of a manifest, and a renamed library by its own name.
pub(super) fn check(packages: &[Value]) -> Vec<Breach> {
    // Only our own crates have no source.
    let ours = packages.iter().filter(|package| text(package, "source").is_none());
    let ours: Vec<(&str, &Value)> =
        ours.map(|package| (short(text(package, "name").unwrap_or("?")), package)).collect();
    let gone = ARROWS.iter().filter(|(known, _)| !ours.iter().any(|(name, _)| name == known));
    let gone = gone.map(|(name, _)| {
        Breach(format!("ARROWS in tidy says what host/{name} may depend on, which is not there"))
    });
    gone.chain(ours.iter().flat_map(|(name, package)| judge_crate(name, package))).collect()
}

/// Without what all of our crates are called.
fn short(name: &str) -> &str {
    name.strip_prefix("roughneck-").unwrap_or(name)
}

fn judge_crate(name: &str, package: &Value) -> Vec<Breach> {
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        return vec![Breach(format!("host/{name} is new: say in ARROWS what it may depend on"))];
    };
    let dependencies = package.get("dependencies").and_then(Value::as_array);
    let outside_tests =
        dependencies.into_iter().flatten().filter(|one| text(one, "kind") != Some("dev"));
    outside_tests.filter_map(|one| judge(name, allowed, text(one, "name")?)).collect()
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
    use serde_json::json;

    use super::*;

    #[test]
    fn an_arrow_between_siblings_and_a_library_in_the_wrong_room_are_breaches() {
        assert!(judge("engine", &["jobs"], "roughneck-store").is_some());
        assert!(judge("engine", &["jobs"], "roughneck-jobs").is_none());
        assert!(judge("engine", &["jobs"], "sqlx").is_some());
        assert!(judge("store", &["jobs"], "sqlx").is_none());
        assert!(judge("store", &["jobs"], "bytes").is_none());
    }

    /// All crates that there should be, of which `name` depends on this.
    fn host_where(name: &str, dependency: &Value) -> Vec<Value> {
        let described = |known: &str| {
            let dependencies = if known == name { vec![dependency.clone()] } else { Vec::new() };
            json!({"name": format!("roughneck-{known}"), "source": null, "dependencies": dependencies})
        };
        ARROWS.iter().map(|(known, _)| described(known)).collect()
    }

    fn breaches(packages: &[Value]) -> Vec<String> {
        check(packages).into_iter().map(|Breach(text)| text).collect()
    }

    #[test]
    fn every_table_is_read_but_that_of_the_tests_and_a_rename_hides_nothing() {
        let sqlx = |kind: Option<&str>, target: Option<&str>| {
            let rename = "harmless";
            json!({"name": "sqlx", "rename": rename, "kind": kind, "target": target})
        };
        for (dependency, is_breach) in [
            (sqlx(None, None), true),
            (sqlx(None, Some("cfg(unix)")), true),
            (sqlx(Some("build"), None), true),
            (sqlx(Some("dev"), None), false),
        ] {
            let found = breaches(&host_where("engine", &dependency));
            assert_eq!(found.len(), usize::from(is_breach), "{dependency}: {found:?}");
            assert_eq!(breaches(&host_where("store", &dependency)), [""; 0]);
        }
    }

    #[test]
    fn a_crate_that_nobody_has_placed_and_a_place_without_a_crate_are_breaches() {
        let mut packages = host_where("", &Value::Null);
        packages.push(json!({"name": "serde", "source": "registry+x", "dependencies": []}));
        assert_eq!(breaches(&packages), [""; 0]);
        packages.push(json!({"name": "roughneck-lounge", "source": null, "dependencies": []}));
        assert_eq!(
            breaches(&packages),
            ["host/lounge is new: say in ARROWS what it may depend on"]
        );
        assert_eq!(breaches(&[]).len(), ARROWS.len(), "to read nothing is not to find nothing");
    }
}
