//! The categories. To add one: a line here; the prompt, the schema and the check follow. Never
//! rename one: results are compared over time.

/// One kind of cause.
pub(crate) struct Category {
    pub(crate) name: &'static str,
    /// What belongs to it, for the model.
    meaning: &'static str,
}

pub(crate) const CATEGORIES: &[Category] = &[
    Category {
        name: "database",
        meaning: "a query, a constraint, a migration or a connection pool of a database",
    },
    Category {
        name: "network",
        meaning: "name resolution, connections, TLS or an unreachable service",
    },
    Category { name: "timeout", meaning: "something answered too late or not before its deadline" },
    Category {
        name: "authentication",
        meaning: "credentials, tokens, certificates of a user, or permissions",
    },
    Category {
        name: "configuration",
        meaning: "a missing or wrong setting, path, flag or environment variable",
    },
    Category {
        name: "dependency",
        meaning: "a missing, broken or incompatible library or a failing service of others",
    },
    Category {
        name: "resource-exhaustion",
        meaning: "memory, disk, file handles, threads or a quota ran out",
    },
    Category {
        name: "validation",
        meaning: "input or data that breaks a rule or cannot be parsed",
    },
    Category { name: "concurrency", meaning: "a deadlock, a race, a lock or a conflicting change" },
    Category {
        name: "bug",
        meaning: "a mistake of the program itself, such as a null, an index or a type error",
    },
    Category { name: "unknown", meaning: "the trace does not say enough" },
];

/// How sure the model is.
pub(crate) const CONFIDENCES: &[&str] = &["low", "medium", "high"];

/// The taxonomy as lines of a prompt.
pub(crate) fn lines() -> String {
    CATEGORIES
        .iter()
        .map(|category| format!("- {}: {}", category.name, category.meaning))
        .collect::<Vec<_>>()
        .join("\n")
}

pub(crate) fn names() -> Vec<&'static str> {
    CATEGORIES.iter().map(|category| category.name).collect()
}
