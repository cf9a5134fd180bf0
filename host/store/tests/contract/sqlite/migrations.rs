//! Databases of older hosts, with rows in them.

use std::{borrow::Cow, fs, path::Path, sync::Arc};

use roughneck_jobs::{
    id::JobId,
    ports::{schedules::Schedules as _, store::Store as _},
    priority::Priority,
    schedule::{Fire, LastFire, Missed, Overlap, Spec},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::SqliteConnectOptions,
};

use crate::{
    database::Sqlite,
    given::{Rung, at, job_id},
};

/// A job of a schedule, as the first version wrote it.
const JOB: &str =
    "INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms,
                                    attempts_max, schedule)
                   VALUES (?1, 'echo', 'io', 'normal', 'queued', 0, ?2, 0, 4, 'plugin/nightly')";

/// An empty database of an older host, which knew the migrations up to `version`, and hands in it.
async fn older(database: &Sqlite, version: i64) -> SqliteConnection {
    fs::create_dir_all(database.data_dir()).unwrap();
    let options = SqliteConnectOptions::new().filename(database.file()).create_if_missing(true);
    let mut hands = options.connect().await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let migrations = files.map(|path| {
        let number = path.file_name().unwrap().to_str().unwrap().split('_').next().unwrap();
        let (number, kind) = (number.parse().unwrap(), MigrationType::Simple);
        let sql = AssertSqlSafe(fs::read_to_string(&path).unwrap()).into_sql_str();
        Migration::new(number, Cow::Borrowed("as it was"), kind, sql, false)
    });
    let mut known: Vec<_> = migrations.filter(|one| one.version <= version).collect();
    known.sort_by_key(|one| one.version);
    assert_eq!(known.last().map(|one| one.version), Some(version));
    Migrator::with_migrations(known).run(&mut hands).await.unwrap();
    hands
}

/// A database of the first version, where one schedule has fired twice, and the earlier fire is forgotten.
async fn first_version(database: &Sqlite, jobs: [JobId; 2]) {
    let mut hands = older(database, 1).await;
    for (job, enqueued_at) in jobs.iter().zip([at(11), at(22)]) {
        let id = job.to_string();
        sqlx::query(JOB).bind(&id).bind(enqueued_at.0).execute(&mut hands).await.unwrap();
        let input = "INSERT INTO job_input (job, input) VALUES (?1, '{}')";
        sqlx::query(input).bind(&id).execute(&mut hands).await.unwrap();
    }
    let schedule = "INSERT INTO schedule (id, handled_up_to_ms) VALUES ('plugin/nightly', ?1)";
    sqlx::query(schedule).bind(at(25).0).execute(&mut hands).await.unwrap();
    let fire = "INSERT INTO fire (schedule, fire_ms, job) VALUES ('plugin/nightly', ?1, ?2)";
    let fire = sqlx::query(fire).bind(at(20).0).bind(jobs[1].to_string());
    fire.execute(&mut hands).await.unwrap();
    hands.close().await.unwrap();
}

#[tokio::test]
async fn schedules_of_the_first_version_keep_their_marks_and_their_jobs_say_what_fired_them() {
    let database = Sqlite::new();
    let jobs = [job_id(), job_id()];
    first_version(&database, jobs).await;
    let store = database.store(Arc::new(Rung::default())).await;
    let kept = store.remember_schedule("plugin/nightly", "UTC 0 3 * * *", at(90)).await.unwrap();
    assert_eq!((kept.handled_up_to, kept.paused, kept.made), (at(25), None, None));
    assert_eq!(kept.last_fire, Some(LastFire { at: at(20), job: Some(jobs[1]) }));
    // The fire of the first one is forgotten; it was accepted soon after it.
    for (job, fire) in jobs.into_iter().zip([at(11), at(20)]) {
        let fire = Fire { schedule: "plugin/nightly".to_owned(), at: Some(fire) };
        assert_eq!(store.job(job).await.unwrap().unwrap().fire, Some(fire));
    }
    store.close().await;
}

#[tokio::test]
async fn schedules_and_jobs_of_a_host_that_knew_no_callers_are_for_nobody_and_otherwise_as_they_were()
 {
    let database = Sqlite::new();
    let mut hands = older(&database, 13).await;
    let spec = Spec {
        id: "nightly".to_owned(),
        kind: "echo".to_owned(),
        expr: "0 3 * * *".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        input: r#"{"z": 1.0}"#.to_owned(),
        priority: Some(Priority::LOW),
        caller: None,
        missed: Missed::All,
        missed_max: 7,
        overlap: Overlap::Queue,
    };
    let rows = r#"
        INSERT INTO schedule (id, handled_up_to_ms, revision, timing)
        VALUES ('nightly', 5, 3, 'Europe/Berlin 0 3 * * *');
        INSERT INTO schedule_spec (schedule, kind, expr, zone, priority, missed, missed_max, overlap, created_at_ms,
                                   changed_at_ms, input)
        VALUES ('nightly', 'echo', '0 3 * * *', 'Europe/Berlin', 25, 'all', 7, 'queue', 1, 2, '{"z": 1.0}');"#;
    sqlx::raw_sql(rows).execute(&mut hands).await.unwrap();
    let job = job_id();
    let row = "INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms, attempts_max)
               VALUES (?1, 'echo', 'io', 50, 'queued', 0, 0, 0, 4)";
    sqlx::query(row).bind(job.to_string()).execute(&mut hands).await.unwrap();
    let input = "INSERT INTO job_input (job, input) VALUES (?1, '{}')";
    sqlx::query(input).bind(job.to_string()).execute(&mut hands).await.unwrap();
    hands.close().await.unwrap();
    let store = database.store(Arc::new(Rung::default())).await;
    let kept = store.schedule("nightly").await.unwrap().unwrap();
    let made = kept.made.clone().unwrap();
    assert_eq!((made.spec, made.created_at.0, made.changed_at.0), (spec.clone(), 1, 2));
    assert_eq!((kept.revision, kept.handled_up_to.0, kept.timing), (3, 5, Some(spec.timing())));
    assert_eq!(store.job(job).await.unwrap().unwrap().caller, None);
    let caller = Some("alice".parse().unwrap());
    let spec = Spec { caller, ..spec };
    assert!(store.change_schedule(spec.clone(), at(9)).await.unwrap());
    let made = store.schedule("nightly").await.unwrap().unwrap().made.unwrap();
    assert_eq!(made.spec, spec);
    assert!(store.delete_schedule("nightly").await.unwrap());
    assert_eq!(store.schedule("nightly").await.unwrap(), None, "and its spec goes with it");
    store.close().await;
}
