//! The checks of the schema, which every row that is written pays for.

use sqlx::{AssertSqlSafe, Row as _};

use super::statements::empty;

const JOB: &str =
    "INSERT INTO job (id, kind, class, state, rank_ms, enqueued_at_ms, run_at_ms, attempts_max)
                   VALUES ('01JZZZZZZZZZZZZZZZZZZZZZZZ', 'echo', 'io', 'WORD', 0, 0, 0, 1)";
const MOVE: &str = "UPDATE job
                    SET state = 'WORD', token = 1, attempt = 1, started_at_ms = 0,
                        lease_until_ms = iif('WORD' IN ('loading', 'working'), 1, NULL),
                        finished_at_ms = iif('WORD' IN ('done', 'failed', 'cancelled'), 1, NULL),
                        output = iif('WORD' = 'done', '', NULL), failure = iif('WORD' = 'failed', '{}', NULL)";
const EVENT: &str = "INSERT INTO job_event (job, seq, at_ms, state, attempt)
                     SELECT id, (SELECT count(*) FROM job_event) + 1, 0, 'WORD', 0 FROM job";
const ATTEMPT: &str =
    "INSERT INTO attempt (job, run, attempt, started_at_ms, finished_at_ms, outcome)
     SELECT id, (SELECT count(*) FROM attempt) + 1, 1, 0, 0, 'WORD' FROM job";
const DELIVERY: &str =
    "INSERT INTO delivery (id, job, target, event, body, state, next_at_ms, finished_at_ms)
     SELECT '01JZZZZZZZZZZZZZZZZZZZZZZ' || (SELECT count(*) FROM delivery), id, '', '', '', 'WORD', 0,
            iif('WORD' IN ('waiting', 'pending'), NULL, 0) FROM job";
const NEED: &str = "INSERT INTO need (job, needs, on_failure)
                    SELECT id, (SELECT count(*) FROM need), 'WORD' FROM job";
const SCHEDULE: &str = "INSERT INTO schedule (id, handled_up_to_ms) VALUES ('WORD', 0)";
const SPEC: &str =
    "INSERT INTO schedule_spec (schedule, kind, expr, zone, missed, missed_max, overlap,
                                               created_at_ms, changed_at_ms, input)
                    VALUES ('WORD', '', '', '', 'WORD', 1, 'skip', 0, 0, '{}')";

const STATES: &[&str] =
    &["blocked", "scheduled", "queued", "loading", "working", "done", "failed", "cancelled"];
const OUTCOMES: &[&str] = &["done", "failed", "postponed", "lost", "released", "cancelled"];
const MISSED: &[&str] = &["skip", "once", "all"];

/// Statements that write a word, and the words that the domain has for it.
const WORDS: [(&str, &[&str]); 7] = [
    (JOB, &["queued"]),
    (MOVE, STATES),
    (EVENT, STATES),
    (ATTEMPT, OUTCOMES),
    (DELIVERY, &["waiting", "pending", "delivered", "dead"]),
    (NEED, &["fail", "continue", "ignore"]),
    (SPEC, MISSED),
];

#[tokio::test]
async fn every_word_of_the_domain_becomes_a_row_and_no_other_does() {
    let (_database, mut hands) = empty().await;
    for schedule in MISSED.iter().chain(&["gone"]) {
        let schedule = AssertSqlSafe(SCHEDULE.replace("WORD", schedule));
        sqlx::query(schedule).execute(&mut hands).await.unwrap();
    }
    for (sql, words) in WORDS {
        for word in words {
            let written = AssertSqlSafe(sql.replace("WORD", word));
            let written = sqlx::query(written).execute(&mut hands).await;
            assert_eq!(written.unwrap().rows_affected(), 1, "{word}: {sql}");
        }
        let refused = sqlx::query(AssertSqlSafe(sql.replace("WORD", "gone")));
        let refused = refused.execute(&mut hands).await.unwrap_err().to_string();
        assert!(refused.contains("CHECK constraint failed"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn no_check_makes_a_table_for_each_row() {
    let (_database, mut hands) = empty().await;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut hands).await.unwrap();
    assert!(tables.iter().any(|table| table == "job"), "{tables:?}");
    for table in tables {
        let explain = format!("EXPLAIN INSERT INTO {table} DEFAULT VALUES");
        let steps = sqlx::query(AssertSqlSafe(explain)).fetch_all(&mut hands).await.unwrap();
        let made = steps.iter().filter(|step| step.get::<&str, _>("opcode") == "OpenEphemeral");
        assert_eq!(made.count(), 0, "{table}: write the IN of a CHECK as comparisons");
    }
}

#[tokio::test]
async fn the_schema_is_whole() {
    let (_database, mut hands) = empty().await;
    let found = sqlx::query_scalar::<_, String>("PRAGMA integrity_check");
    assert_eq!(found.fetch_all(&mut hands).await.unwrap(), ["ok"]);
}
