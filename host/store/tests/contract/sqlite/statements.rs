//! Every statement: it can be prepared, the code uses it, and it does not read what it need not.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use crate::{database::Sqlite, given::Rung};

/// Statements that read a table from end to end: those of classes, pauses and rates, of which there are a few, and
/// of the schedules, which are bounded and all wanted; and that of the jobs, for a backup.
const WHOLE: [&str; 12] = [
    // One row.
    "token_floor/raise",
    "job/insert",
    "job/keep",
    "attempt/keep",
    "class/list",
    "pause/list",
    "pause/gates",
    "rate/drop_others",
    "schedule/list",
    "schedule_spec/count",
    "job/count_all",
    "job/renumber",
];

/// Partial indexes that hold only what is alive, or only the dead letters. Reading one from end to end
/// is what it is for.
const PARTIAL: [&str; 8] = [
    "job_of_model",
    "job_ready",
    "job_due",
    "job_blocked",
    "job_lease",
    "job_dead",
    "job_deadline",
    "delivery_due",
];

/// Statements that are asked all the time and stop at a LIMIT: sorting first would read everything.
const IN_ORDER: [&str; 17] = [
    "budget_spent/forget",
    "job/expired",
    "job/due",
    "job/overdue",
    "job/page",
    "job/page_of_state",
    "job/page_of_kind",
    "job/page_of_state_and_kind",
    "job/page_of_dead",
    "job/dead",
    "job/purge",
    "job/retire",
    "fire/forget",
    "flow/page",
    "delivery/due",
    "delivery/is_deep",
    "delivery/next",
];

/// What each hot statement reads. The wrong index may be right by its order and wrong by its size.
const INDEX: [(&str, &str); 73] = [
    ("job/claim", "sqlite_autoindex_job_1"),
    ("job/to_begin", "sqlite_autoindex_job_1"),
    ("job/list_open_of_class", "job_ready"),
    ("job/list_open_of_class", "job_lease"),
    ("job/move", "sqlite_autoindex_job_1"),
    ("job/renew", "sqlite_autoindex_job_1"),
    ("job/read_runs", "sqlite_autoindex_job_1"),
    ("slot/drop_surplus", "slot_of_job"),
    ("job/best", "job_ready"),
    ("job/best_of_models", "job_of_model"),
    ("job/asks_for_model", "job_of_model"),
    ("job/parked", "job_parked"),
    ("job/due", "job_due"),
    ("job/next_due", "job_due"),
    ("job/overdue", "job_deadline"),
    ("job/next_deadline", "job_deadline"),
    ("job/running", "job_lease"),
    ("job/expired", "job_lease"),
    ("job/next_lease", "job_lease"),
    ("job/is_open_of_schedule", "job_open_of_schedule"),
    ("job/id_of_key", "job_of_key"),
    ("job/read_of_key", "job_of_key"),
    ("job/dead", "job_dead"),
    ("job/count_dead", "job_dead"),
    ("job/page_of_dead", "job_dead"),
    ("job/purge", "job_dead"),
    ("job/purge", "delivery_head"),
    ("job/retire", "job_ended"),
    ("job/retire", "delivery_head"),
    ("job/is_to_retire", "job_ended"),
    ("job/is_to_retire", "delivery_head"),
    ("job/purge", "job_of_flow"),
    ("job/retire", "job_of_flow"),
    ("job/is_to_retire", "job_of_flow"),
    ("job/tally", "job_of_flow"),
    ("job/list_open_of_flow", "job_of_flow"),
    ("job/list_doomed", "need_of"),
    ("job/first_known", "sqlite_autoindex_job_1"),
    ("job/release", "need_of"),
    ("job/release", "sqlite_autoindex_job_1"),
    ("job/set_waits", "sqlite_autoindex_job_1"),
    ("job/list_stuck", "job_blocked"),
    ("job/adopt", "sqlite_autoindex_job_1"),
    ("job/count_awaited", "job_of_parent"),
    ("job/count_children", "job_of_parent"),
    ("job/end_wait", "sqlite_autoindex_job_1"),
    ("job/is_child", "job_of_parent"),
    ("job/list_children", "job_of_parent"),
    ("job/list_open_descendants", "job_of_parent"),
    ("job/list_results_of_children", "sqlite_autoindex_job_1"),
    ("job/list_stuck", "job_of_parent"),
    ("job/read_child_to_move", "job_of_parent"),
    ("job/read_relatives", "sqlite_autoindex_job_1"),
    ("job/wait_for", "job_of_parent"),
    ("job/wake_parents", "sqlite_autoindex_job_1"),
    ("flow/id_of_key", "flow_of_key"),
    ("flow/read_of_key", "flow_of_key"),
    ("flow/forget", "job_by_name"),
    ("fire/oldest", "fire_by_time"),
    ("fire/forget", "fire_by_time"),
    ("slot/give_back", "slot_of_job"),
    ("job/page_of_state", "job_by_state"),
    ("job/page_of_kind", "job_by_kind"),
    ("job/page_of_state_and_kind", "job_by_state"),
    ("delivery/due", "delivery_due"),
    ("delivery/is_deep", "delivery_due"),
    ("delivery/due_of_others", "delivery_of_target"),
    ("delivery/due_of_others", "delivery_of_target (target=? AND next_at_ms<?)"),
    ("delivery/next", "delivery_due"),
    ("delivery/insert", "delivery_head"),
    ("delivery/next_turn", "delivery_waiting"),
    ("delivery/next_turns", "delivery_waiting"),
    ("delivery/next_turns", "delivery_head"),
];

/// What a statement has worked out itself from a few rows: the free slots, the array it was given.
const WORKED_OUT: [&str; 16] = [
    "SCAN lineage",
    "SCAN size",
    "SCAN ready",
    "SCAN best",
    "SCAN free",
    "SCAN (subquery-",
    "SCAN move",
    "SCAN run",
    "SCAN ended",
    "SCAN submission",
    "SCAN past",
    "SCAN doomed",
    "SCAN freed",
    "SCAN wanted",
    "SCAN awaited",
    "SCAN longest",
];

struct Statement {
    /// `<table>/<verb>`.
    name: String,
    sql: String,
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn here(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn statements() -> Vec<Statement> {
    let root = here("sql/sqlite");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().with_extension("");
        Statement {
            name: name.to_str().unwrap().to_owned(),
            sql: fs::read_to_string(path).unwrap(),
        }
    };
    let statements: Vec<_> = files(&root).into_iter().map(read).collect();
    assert!(statements.len() > 40, "the folder was not found");
    statements
}

/// An empty database with its schema, and hands in it.
pub(super) async fn empty() -> (Sqlite, SqliteConnection) {
    let database = Sqlite::new();
    database.store(Arc::new(Rung::default())).await.close().await;
    let hands = SqliteConnectOptions::new().filename(database.file()).connect().await.unwrap();
    (database, hands)
}

async fn plan(hands: &mut SqliteConnection, statement: &Statement) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let steps = sqlx::query(AssertSqlSafe(explain)).fetch_all(hands).await;
    let steps = steps.unwrap_or_else(|error| panic!("{}: {error}", statement.name));
    steps.iter().map(|step| step.get("detail")).collect()
}

#[tokio::test]
async fn every_statement_can_be_prepared_and_reads_no_table_from_end_to_end() {
    let (_database, mut hands) = empty().await;
    for statement in statements() {
        for step in plan(&mut hands, &statement).await {
            let is_partial = PARTIAL.iter().any(|index| step.ends_with(&format!("INDEX {index}")));
            let is_fine = !step.starts_with("SCAN ")
                || step.contains("VIRTUAL TABLE")
                || WORKED_OUT.iter().any(|part| step.starts_with(part))
                || step.contains("CONSTANT ROW")
                || step.ends_with("VALUES CLAUSE")
                || is_partial
                || WHOLE.contains(&statement.name.as_str());
            assert!(is_fine, "{}: {step}", statement.name);
        }
    }
}

#[test]
fn no_limit_is_a_bare_parameter_for_which_the_database_would_compile_the_statement_anew_each_time()
{
    for Statement { name, sql } in statements() {
        let is_bare = |parameter: char| sql.contains(&format!("LIMIT {parameter}"));
        assert!(!is_bare('?') && !is_bare('$'), "{name}: write it as `LIMIT +?1`");
    }
}

#[tokio::test]
async fn hot_statements_find_their_order_in_an_index() {
    let (_database, mut hands) = empty().await;
    let statements = statements();
    for name in IN_ORDER {
        let statement = statements.iter().find(|statement| statement.name == name).unwrap();
        let plan = plan(&mut hands, statement).await;
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {plan:?}");
    }
}

#[tokio::test]
async fn hot_statements_use_the_index_that_was_made_for_them() {
    let (_database, mut hands) = empty().await;
    let statements = statements();
    for (name, index) in INDEX {
        let statement = statements.iter().find(|statement| statement.name == name).unwrap();
        let plan = plan(&mut hands, statement).await;
        assert!(
            plan.iter().any(|step| format!("{step} ").contains(&format!("INDEX {index} "))),
            "{name}: {plan:?}"
        );
    }
}

#[tokio::test]
async fn a_claim_reads_no_more_of_each_kind_than_it_could_take() {
    let (_database, mut hands) = empty().await;
    let statements = statements();
    let by_index = [
        ("job/best", "job_ready (class=? AND kind=?)"),
        ("job/best_of_models", "job_of_model (class=? AND model=? AND kind=?)"),
    ];
    for (name, index) in by_index {
        let best = statements.iter().find(|statement| statement.name == name).unwrap();
        let plan = plan(&mut hands, best).await;
        let of_kind = format!("SEARCH of_kind USING COVERING INDEX {index}");
        assert!(plan.contains(&of_kind), "{plan:?}");
        // The best of all kinds, before and after their rows are read. Within a kind the index has the order.
        let sorts = plan.iter().filter(|step| step.contains("TEMP B-TREE")).count();
        assert_eq!(sorts, 2, "{plan:?}");
    }
}

#[tokio::test]
async fn looking_for_due_deliveries_probes_nothing_but_what_is_due() {
    let (_database, mut hands) = empty().await;
    let statements = statements();
    for name in ["delivery/due", "delivery/is_deep", "delivery/next"] {
        let statement = statements.iter().find(|statement| statement.name == name).unwrap();
        let plan = plan(&mut hands, statement).await;
        // Besides what they were given.
        let is_of_table = |step: &&String| {
            !step.contains("VIRTUAL TABLE")
                && !step.contains("CONSTANT ROW")
                && *step != "SCAN longest"
        };
        let of_tables = plan.iter().filter(is_of_table);
        let read = of_tables
            .filter(|step| step.starts_with("SCAN ") || step.starts_with("SEARCH "))
            .count();
        assert_eq!(read, 1, "{name}: {plan:?}");
    }
}

#[test]
fn every_statement_is_used() {
    let sources: String =
        files(&here("src")).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for Statement { name, .. } in statements() {
        assert!(sources.contains(&format!("\"{name}\"")), "{name} is dead");
    }
}
