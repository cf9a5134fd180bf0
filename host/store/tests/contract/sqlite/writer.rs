//! The writer: callers that leave, rows that cannot be read, groups of commits.

use std::{future::ready, sync::Arc};

use prometheus_client::{encoding::text::encode, registry::Registry};
use roughneck_jobs::{
    delivery::{DeliveryOutcome, DeliveryState, Notice},
    id::JobId,
    input_key::{ConcurrencyKey, UniqueKey},
    job::{DeadLetters, Filter, NewJob},
    past::{Fate, Past},
    ports::{
        bell::Change,
        outbox::{Busy, Outbox as _},
        schedules::Schedules as _,
        store::{Claim, Claimed, Cleared, Finish, Store as _, StoreError, Submitted, Verdict},
    },
    run::Run,
    state::State,
};
use roughneck_store::SqliteStore;
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    database::Sqlite,
    given::{Rung, at, done, ending, failure, io, job_with_callback, new_job, slots},
};

async fn store(database: &Sqlite) -> SqliteStore {
    let store = database.store(Arc::new(Rung::default())).await;
    store.set_slots(&slots(10)).await.unwrap();
    store
}

fn claim(limit: u32) -> Claim {
    Claim { class: io(), limit, at: at(1), lease_until: at(60_000), prefer: None }
}

/// A second pair of hands in the database, which no part of the product has.
async fn hands(database: &Sqlite) -> SqliteConnection {
    SqliteConnectOptions::new().filename(database.file()).connect().await.unwrap()
}

async fn number(database: &Sqlite, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&mut hands(database).await).await.unwrap()
}

fn commits(store: &SqliteStore) -> u32 {
    metric(store, "roughneck_store_commits_total ")
}

fn metric(store: &SqliteStore, prefix: &str) -> u32 {
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(prefix));
    value.unwrap().parse().unwrap()
}

/// Runs a call until it waits for its answer, then drops it.
macro_rules! abandon {
    ($call:expr) => {
        tokio::select! {
            biased;
            _ = $call => {}
            () = ready(()) => {}
        }
    };
}

#[tokio::test]
async fn callers_that_leave_do_not_hurt_the_writer() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let jobs: Vec<NewJob> = (0..50).map(|_| job_with_callback()).collect();
    for job in &jobs {
        abandon!(store.submit(job.clone()));
        abandon!(store.claim(claim(1)));
        abandon!(store.finish(Run { job: job.id, token: 1 }, ending(done(), at(2))));
        abandon!(store.cancel(job.id, at(3)));
        abandon!(store.reap(at(4), 10));
    }
    // The writer has taken all of it when it answers this.
    store.set_slots(&slots(2)).await.unwrap();
    let last = store.submit(new_job()).await.unwrap().id();
    for job in &jobs {
        let state = store.job(job.id).await.unwrap().unwrap().state;
        assert!(state.is_terminal(), "what an absent caller wanted is done: {state:?}");
    }
    assert_eq!(number(&database, "SELECT count(*) FROM slot WHERE job IS NOT NULL").await, 0);
    let claimed = store.claim(claim(1)).await.unwrap().claimed;
    assert_eq!(claimed[0].job.id, last);
    assert_eq!(store.finish(claimed[0].run, ending(done(), at(5))).await.unwrap(), State::Done);
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let database = Sqlite::new();
    let store = Arc::new(store(&database).await);
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.submit(new_job()).await.unwrap().id() })
        })
        .collect();
    for task in tasks {
        let id = task.await.unwrap();
        assert!(store.job(id).await.unwrap().is_some());
    }
    let commits = commits(&store);
    assert!(commits < 16, "64 submissions took {commits} commits");
}

#[tokio::test]
async fn jobs_that_are_over_and_come_together_are_committed_together_and_wait_for_no_disk() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let past = || {
        let finish = Box::new(ending(done(), at(2)));
        Arc::new(Past { job: new_job(), fate: Fate::Ran { began: at(1), finish } })
    };
    let before = commits(&store);
    let kept = futures_util::future::join_all((0..200).map(|_| store.keep(past()))).await;
    assert!(kept.into_iter().all(|kept| matches!(kept, Ok(Some(State::Done)))));
    // The first may go alone; the others find each other. 200 are four full batches.
    let commits = commits(&store) - before;
    assert!(commits <= 12, "200 jobs took {commits} commits");
    let commands =
        |kind| metric(&store, &format!("roughneck_store_commands_total{{command=\"{kind}\"}} "));
    assert_eq!(["keep", "submit", "begin", "finish"].map(commands), [200, 0, 0, 0]);
}

#[tokio::test]
async fn a_failing_command_does_not_spoil_its_batch() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let (one, two) = (new_job(), new_job());
    let stale = Run { job: one.id, token: 7 };
    let broken = NewJob { attempts_max: 0, ..new_job() };
    let (first, fenced, unknown, refused, last) = tokio::join!(
        store.submit(one.clone()),
        store.finish(stale, ending(done(), at(1))),
        store.cancel(crate::given::job_id(), at(1)),
        store.submit(broken),
        store.submit(two.clone()),
    );
    assert_eq!((first.unwrap().id(), last.unwrap().id()), (one.id, two.id));
    assert!(matches!(fenced, Err(StoreError::Fenced)));
    assert!(matches!(unknown, Err(StoreError::NoSuchJob(_))));
    assert!(matches!(refused, Err(StoreError::Broken { .. })));
    assert_eq!(store.job(one.id).await.unwrap().unwrap().state, State::Queued);
}

#[tokio::test]
async fn an_input_of_megabytes_goes_through() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let input = format!("\"{}\"", "\\u0000é\\\\\\n".repeat(400_000));
    let jobs = [0; 3].map(|_| NewJob { input: input.clone(), ..new_job() });
    let (one, two, three) = tokio::join!(
        store.submit(jobs[0].clone()),
        store.submit(jobs[1].clone()),
        store.submit(jobs[2].clone()),
    );
    for submitted in [one, two, three] {
        let job = store.job(submitted.unwrap().id()).await.unwrap().unwrap();
        assert!(job.input == input);
    }
}

/// Makes a job unreadable, as a bug or a broken disk could.
async fn spoil(database: &Sqlite, id: JobId) {
    sqlx::query("UPDATE job SET callback = 'no target!' WHERE id = ?1")
        .bind(id.to_string())
        .execute(&mut hands(database).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn rows_that_cannot_be_read_do_not_keep_the_others_from_the_sweeps() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let job = |run_at| NewJob { run_at: at(run_at), ..job_with_callback() };
    let (bad, good) = (job(0), job(0));
    let (bad_later, good_later) = (job(10), job(20));
    for job in [&bad, &good, &bad_later, &good_later] {
        store.submit(job.clone()).await.unwrap();
    }
    assert_eq!(store.claim(claim(5)).await.unwrap().claimed.len(), 2);
    for id in [bad.id, bad_later.id] {
        spoil(&database, id).await;
    }
    let state = async |id: JobId| store.job(id).await.unwrap().unwrap().state;
    // One at a time, so that the bad row is all the first sweep sees.
    let jobs = async |limit| store.reap(at(60_000), limit).await.unwrap().runs.len();
    assert_eq!((jobs(1).await, jobs(1).await), (0, 1));
    assert_eq!(state(good.id).await, State::Queued);
    let jobs = async |limit| store.promote(at(30), limit).await.unwrap().jobs;
    assert_eq!((jobs(1).await, jobs(1).await), (0, 1));
    assert_eq!(state(good_later.id).await, State::Queued);
    assert!(store.job(bad.id).await.unwrap_err().to_string().contains("read a job"));
    let due = |deadline| NewJob { deadline: Some(at(deadline)), ..job_with_callback() };
    let (bad_due, good_due) = (due(40), due(41));
    for job in [&bad_due, &good_due] {
        store.submit(job.clone()).await.unwrap();
    }
    spoil(&database, bad_due.id).await;
    let jobs = async |limit| store.fail_overdue(at(50), limit).await.unwrap().jobs;
    assert_eq!((jobs(1).await, jobs(1).await), (0, 1));
    assert_eq!(state(good_due.id).await, State::Failed);
    assert_eq!(store.recover(at(70_000)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_set_aside_and_the_next_one_is_claimed() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let jobs: Vec<NewJob> = (0..5).map(|rank| NewJob { rank: at(rank), ..new_job() }).collect();
    for job in &jobs {
        store.submit(job.clone()).await.unwrap();
    }
    for bad in [0, 1, 3] {
        spoil(&database, jobs[bad].id).await;
    }
    let ids = |claimed: Vec<Claimed>| claimed.iter().map(|c| c.job.id).collect::<Vec<_>>();
    assert_eq!(ids(store.claim(claim(1)).await.unwrap().claimed), [jobs[2].id]);
    assert_eq!(ids(store.claim(claim(5)).await.unwrap().claimed), [jobs[4].id]);
    let busy = "SELECT count(*) FROM slot WHERE job IS NOT NULL";
    assert_eq!(number(&database, busy).await, 2, "who is set aside holds no slot");
    let set_aside = "SELECT count(*) FROM job WHERE state = 'failed' AND finished_at_ms IS NOT NULL
        AND failure ->> 'code' = 'store-unreadable' AND reason LIKE '%callback%'";
    assert_eq!(number(&database, set_aside).await, 3);
    let events = store.events(jobs[0].id, 0).await.unwrap();
    let states: Vec<_> = events.iter().map(|event| event.state).collect();
    assert_eq!(states, [State::Queued, State::Failed]);
}

/// Three jobs of one concurrency key, of which the first runs and the others are parked.
async fn one_runs_and_two_are_parked(store: &SqliteStore) -> (Run, [JobId; 2]) {
    let concurrency = Some(ConcurrencyKey { key: "k".to_owned(), limit: 1 });
    let unique = |rank: u64| Some(UniqueKey { key: format!("draft {rank}"), until: None });
    let job = |rank| {
        let (concurrency, unique) = (concurrency.clone(), unique(rank));
        NewJob { concurrency, unique, rank: at(rank), ..new_job() }
    };
    let jobs = [1, 2, 3].map(job);
    let parked = [jobs[1].id, jobs[2].id];
    for job in jobs {
        store.submit(job).await.unwrap();
    }
    let claimed = store.claim(claim(5)).await.unwrap().claimed;
    assert_eq!(claimed.len(), 1);
    (claimed[0].run, parked)
}

#[tokio::test]
async fn a_parked_job_that_cannot_be_read_keeps_no_other_of_its_key_from_ending_or_from_its_turn() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let (run, [bad, next]) = one_runs_and_two_are_parked(&store).await;
    spoil(&database, bad).await;
    assert_eq!(store.finish(run, ending(done(), at(2))).await.unwrap(), State::Done);
    assert_eq!(store.claim(claim(5)).await.unwrap().claimed[0].job.id, next);
    let set_aside = "SELECT count(*) FROM job WHERE state = 'failed' AND parked = 0";
    assert_eq!(number(&database, set_aside).await, 1);
}

#[tokio::test]
async fn a_job_that_is_set_aside_gives_its_keys_back() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let (run, [bad, next]) = one_runs_and_two_are_parked(&store).await;
    store.finish(run, ending(done(), at(2))).await.unwrap();
    spoil(&database, bad).await;
    assert_eq!(store.claim(claim(5)).await.unwrap().claimed[0].job.id, next);
    let unique = Some(UniqueKey { key: "draft 2".to_owned(), until: None });
    let again = NewJob { unique, ..new_job() };
    assert_eq!(store.submit(again.clone()).await.unwrap(), Submitted::Created(again.id));
}

#[tokio::test]
async fn rows_that_cannot_be_read_keep_no_other_of_their_class_from_being_withdrawn() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let jobs = [new_job(), new_job(), new_job(), new_job()];
    for job in &jobs {
        store.submit(job.clone()).await.unwrap();
    }
    for running in &jobs[..2] {
        store.begin(running.id, at(1), at(60_000)).await.unwrap().unwrap();
    }
    spoil(&database, jobs[0].id).await;
    spoil(&database, jobs[2].id).await;
    let withdrawn = store.withdraw_all(&io(), "nobody waits", at(2), 9).await.unwrap();
    assert_eq!(withdrawn, 3, "the one that runs must be taken back first");
    let cancelled = "SELECT count(*) FROM job WHERE state = 'cancelled'";
    let set_aside = "SELECT count(*) FROM job WHERE state = 'failed'";
    let working = "SELECT count(*) FROM job WHERE state = 'working'";
    for (query, jobs) in [(cancelled, 2), (set_aside, 1), (working, 1)] {
        assert_eq!(number(&database, query).await, jobs, "{query}");
    }
}

#[tokio::test]
async fn dead_letters_that_cannot_be_read_keep_no_other_from_its_retry() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let ids = [new_job(), new_job(), new_job()].map(|job| job.id);
    for id in ids {
        store.submit(NewJob { id, ..new_job() }).await.unwrap();
    }
    for claimed in store.claim(claim(5)).await.unwrap().claimed {
        let verdict = Verdict::Fail { failure: failure() };
        store.finish(claimed.run, ending(verdict, at(2))).await.unwrap();
    }
    for bad in [0, 1] {
        spoil(&database, ids[bad]).await;
    }
    let retried = store.retry_many(DeadLetters::default(), 1, at(3)).await.unwrap();
    assert_eq!(retried, Cleared { jobs: 1, left: 2 });
    assert_eq!(store.job(ids[2]).await.unwrap().unwrap().state, State::Queued);
    let purged = store.purge(DeadLetters::default(), 9).await.unwrap();
    assert_eq!(purged, Cleared { jobs: 2, left: 0 });
}

#[tokio::test]
async fn a_page_goes_on_past_jobs_that_cannot_be_read() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.insert(0, store.submit(new_job()).await.unwrap().id());
    }
    for bad in [0, 1, 3] {
        spoil(&database, ids[bad]).await;
    }
    let page = async |limit| {
        let page = store.jobs(Filter { limit, ..Filter::default() }).await.unwrap();
        page.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(page(1).await, [ids[2]]);
    assert_eq!(page(2).await, [ids[2], ids[4]]);
    assert_eq!(page(9).await, [ids[2], ids[4], ids[5]]);
}

/// A job that ended with two notices for `cms` and one for `crm`.
async fn three_deliveries(store: &SqliteStore) -> JobId {
    let id = store.submit(new_job()).await.unwrap().id();
    let run = store.claim(claim(1)).await.unwrap().claimed.remove(0).run;
    let notices = [("cms", "first"), ("cms", "second"), ("crm", "elsewhere")];
    let notices = notices.map(|(target, event)| Notice {
        target: target.to_owned(),
        event: event.to_owned(),
        data: "{}".to_owned(),
    });
    let finish = Finish { notices: notices.to_vec(), ..ending(done(), at(1)) };
    store.finish(run, finish).await.unwrap();
    id
}

async fn due(store: &SqliteStore, limit: u32) -> Vec<String> {
    let due = store.due_deliveries(at(9), limit, &Busy::default()).await.unwrap().due;
    due.into_iter().map(|delivery| delivery.event).collect()
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_is_dead_and_the_others_go_on() {
    let spoiling = [
        "UPDATE delivery SET target = 'no target!' WHERE event = 'first'",
        "UPDATE delivery SET id = 'not an id, but as long as!' WHERE event = 'first'",
        "UPDATE delivery SET attempts = 9999999999 WHERE event = 'first'",
    ];
    for spoil in spoiling {
        let database = Sqlite::new();
        let rung = Arc::new(Rung::default());
        let store = database.store(rung.clone()).await;
        store.set_slots(&slots(10)).await.unwrap();
        let job = three_deliveries(&store).await;
        sqlx::query(spoil).execute(&mut hands(&database).await).await.unwrap();
        rung.after(&store).await;
        // One at a time, so that the bad row is all the first look sees.
        let first = store.due_deliveries(at(9), 1, &Busy::default()).await.unwrap();
        assert_eq!((first.due.len(), first.next_at), (0, Some(at(9))), "{spoil}");
        assert_eq!(rung.after(&store).await, [Change::Delivery]);
        assert_eq!(due(&store, 10).await, ["second", "elsewhere"], "{spoil}");
        assert_eq!(rung.after(&store).await, [], "it is buried once");
        let buried = "SELECT count(*) FROM delivery
            WHERE state = 'dead' AND finished_at_ms IS NOT NULL AND last_error LIKE '%cannot read%'";
        assert_eq!(number(&database, buried).await, 1);
        let shown = store.deliveries(job).await.unwrap();
        let shown: Vec<_> = shown.iter().map(|delivery| delivery.event.as_str()).collect();
        assert_eq!(shown, ["second", "elsewhere"]);
    }
}

#[tokio::test]
async fn a_notice_for_what_is_no_target_does_not_hold_up_the_outbox() {
    let database = Sqlite::new();
    let store = store(&database).await;
    store.submit(job_with_callback()).await.unwrap();
    let run = store.claim(claim(1)).await.unwrap().claimed[0].run;
    let (target, event, data) = ("No Target".to_owned(), "lost".to_owned(), "{}".to_owned());
    let finish = Finish { notices: vec![Notice { target, event, data }], ..ending(done(), at(1)) };
    store.finish(run, finish).await.unwrap();
    assert_eq!(due(&store, 10).await, ["job.done"]);
    assert_eq!(number(&database, "SELECT count(*) FROM delivery WHERE state = 'dead'").await, 1);
}

#[tokio::test]
async fn followers_of_a_delivery_that_is_retried_are_not_looked_at() {
    let database = Sqlite::new();
    let store = store(&database).await;
    let job = three_deliveries(&store).await;
    let open = "SELECT count(*) FROM delivery WHERE state = 'pending'";
    assert_eq!(number(&database, open).await, 2, "one for each target");
    let first = store.deliveries(job).await.unwrap().remove(0).id;
    let again = DeliveryOutcome::Retry { delay_ms: 100, error: "503".to_owned() };
    store.record_delivery(first, again, at(2)).await.unwrap();
    assert_eq!(number(&database, open).await, 2);
    let states = store.deliveries(job).await.unwrap().into_iter().map(|d| d.state);
    assert_eq!(states.collect::<Vec<_>>(), [DeliveryState::Pending; 3], "on the wire all wait");
}

#[tokio::test]
async fn a_hundred_idle_sweeps_commit_nothing() {
    let database = Sqlite::new();
    let store = store(&database).await;
    store.submit(NewJob { run_at: at(1000), ..new_job() }).await.unwrap();
    store.submit(new_job()).await.unwrap();
    store.claim(claim(1)).await.unwrap();
    store.submit(job_with_callback()).await.unwrap();
    let told = store.claim(claim(1)).await.unwrap().claimed.remove(0).run;
    store.finish(told, ending(done(), at(0))).await.unwrap();
    let before = commits(&store);
    for now in 0..100 {
        // The only job that has ended waits for its delivery.
        assert_eq!(store.retire(State::Done, at(now), 200).await.unwrap(), 0);
        assert_eq!(store.forget_fires(at(now), 200).await.unwrap(), 0);
        assert_eq!(store.promote(at(now), 10).await.unwrap().next_at, Some(at(1000)));
        assert_eq!(store.reap(at(now), 10).await.unwrap().next_at, Some(at(60_000)));
        // These reach the writer, which has nothing to write.
        assert!(store.claim(claim(1)).await.unwrap().claimed.is_empty());
        assert_eq!(store.renew(&[], at(now)).await.unwrap(), []);
    }
    assert_eq!(commits(&store), before);
    for sweep in ["promote", "reap", "retire", "forget_fires"] {
        let received = format!("roughneck_store_commands_total{{command=\"{sweep}\"}} ");
        assert_eq!(metric(&store, &received), 0, "the writer is not even asked to {sweep}");
    }
    assert_eq!(store.promote(at(1000), 10).await.unwrap().jobs, 1);
    assert_eq!(commits(&store), before + 1);
}

#[tokio::test]
async fn the_database_refuses_what_the_domain_rules_out() {
    let database = Sqlite::new();
    let store = store(&database).await;
    store.submit(new_job()).await.unwrap();
    let forbidden = [
        "UPDATE job SET state = 'working'",
        "UPDATE job SET state = 'done'",
        "UPDATE job SET state = 'paused'",
        "UPDATE job SET state = 'failed', finished_at_ms = 1",
        "UPDATE job SET lease_until_ms = 1",
        "UPDATE job SET finished_at_ms = 1",
        "UPDATE job SET output = '1'",
        "UPDATE job SET failure = 'no JSON'",
        "UPDATE job SET attempts_max = 0",
        "UPDATE job SET losses = 1",
        "UPDATE slot SET job = (SELECT id FROM job)",
        "UPDATE slot SET job = (SELECT id FROM job), token = 1",
        "UPDATE class SET slots = -1",
        "INSERT INTO attempt (job, run, attempt, started_at_ms) VALUES ('nobody', 1, 1, 1)",
        "INSERT INTO job_event (job, seq, at_ms, state, attempt) SELECT id, 0, 0, 'queued', 0 FROM job",
    ];
    let mut hands = hands(&database).await;
    for statement in forbidden {
        let refused = sqlx::query(statement).execute(&mut hands).await;
        let error = refused.map(|done| done.rows_affected()).unwrap_err().to_string();
        assert!(error.contains("constraint failed"), "{statement}: {error}");
    }
}
