//! Databases of older hosts, with rows in them.

use std::{borrow::Cow, fs, sync::Arc};

use roughneck_jobs::{
    id::JobId,
    ports::{schedules::Schedules as _, store::Store as _},
    schedule::{Fire, LastFire},
};
use sqlx::{
    ConnectOptions as _, Connection as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::SqliteConnectOptions,
};

use crate::{
    database::Sqlite,
    given::{Rung, at, job_id},
};

const FIRST: &str = include_str!("../../../migrations/0001_jobs.sql");

/// A job of a schedule, as the first version wrote it.
const JOB: &str =
    "INSERT INTO job (id, kind, class, priority, state, rank_ms, enqueued_at_ms, run_at_ms,
                                    attempts_max, schedule)
                   VALUES (?1, 'echo', 'io', 'normal', 'queued', 0, ?2, 0, 4, 'plugin/nightly')";

/// A database of the first version, where one schedule has fired twice, and the earlier fire is forgotten.
async fn first_version(database: &Sqlite, jobs: [JobId; 2]) {
    fs::create_dir_all(database.data_dir()).unwrap();
    let options = SqliteConnectOptions::new().filename(database.file()).create_if_missing(true);
    let mut hands = options.connect().await.unwrap();
    let kind = MigrationType::Simple;
    let first = Migration::new(1, Cow::Borrowed("jobs"), kind, FIRST.into_sql_str(), false);
    Migrator::with_migrations(vec![first]).run(&mut hands).await.unwrap();
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
