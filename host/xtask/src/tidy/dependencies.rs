//! Where the dependencies come from, and under which licence.

use serde_json::Value;

use super::Breach;
use super::metadata::text;

/// Licences that go with MIT OR Apache-2.0 in one binary.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "Unlicense",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
];

/// Judges all crates of a workspace and what they depend on.
pub(super) fn check(packages: &[Value]) -> Vec<Breach> {
    packages.iter().filter_map(judge).collect()
}

fn judge(package: &Value) -> Option<Breach> {
    let name = text(package, "name").unwrap_or("?");
    // Our own crates have no source.
    let source = text(package, "source")?;
    if !source.starts_with("registry+") {
        return Some(Breach(format!("{name} comes from {source}; use a published crate")));
    }
    let licence = text(package, "license").unwrap_or("no licence");
    (!is_free(licence)).then(|| {
        Breach(format!(
            "{name} is under `{licence}`; add it to LICENCES in tidy if it fits, or do without"
        ))
    })
}

/// Whether an SPDX expression leaves a choice that is in [`LICENCES`]. `OR` binds looser than `AND`.
fn is_free(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" OR ").any(|choice| {
        choice.split(" AND ").all(|part| LICENCES.contains(&part.trim_matches(['(', ')', ' '])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_free_if_one_choice_of_it_is() {
        assert!(is_free("MIT OR Apache-2.0"));
        assert!(is_free("MIT/Apache-2.0"));
        assert!(is_free("GPL-3.0 OR MIT"));
        assert!(is_free("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!is_free("GPL-3.0"));
        assert!(!is_free("MIT AND GPL-3.0"));
    }
}
