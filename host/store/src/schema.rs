//! The schema, as a list of migrations that only grows.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// All migrations, the oldest first. A published one is never edited: its checksum is in the files.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "jobs", include_str!("../migrations/0001_jobs.sql")),
    (2, "flows", include_str!("../migrations/0002_flows.sql")),
    (3, "schedules", include_str!("../migrations/0003_schedules.sql")),
    (4, "fewer indexes", include_str!("../migrations/0004_fewer_indexes.sql")),
    (5, "numeric priority", include_str!("../migrations/0005_numeric_priority.sql")),
    (6, "gates", include_str!("../migrations/0006_gates.sql")),
    (7, "token floor", include_str!("../migrations/0007_token_floor.sql")),
    (8, "model", include_str!("../migrations/0008_model.sql")),
    (9, "children", include_str!("../migrations/0009_children.sql")),
    (10, "deadlines", include_str!("../migrations/0010_deadlines.sql")),
    (11, "budgets", include_str!("../migrations/0011_budgets.sql")),
    (12, "dead letters", include_str!("../migrations/0012_dead_letters.sql")),
    (13, "cheaper checks", include_str!("../migrations/0013_cheaper_checks.sql")),
    (14, "callers", include_str!("../migrations/0014_callers.sql")),
    (15, "deliveries by target", include_str!("../migrations/0015_deliveries_by_target.sql")),
];

/// The last migration.
pub(crate) fn last() -> i64 {
    MIGRATIONS.iter().map(|(version, _, _)| *version).max().unwrap_or(0)
}

/// Brings a database up to this binary.
pub(crate) fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, description, sql)| {
        let description = Cow::Borrowed(description);
        Migration::new(version, description, MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}
