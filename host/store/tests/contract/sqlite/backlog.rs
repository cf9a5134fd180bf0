//! A webhook target that takes less than it is sent.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use roughneck_jobs::{
    delivery::Target,
    id::DeliveryId,
    ports::outbox::{Busy, Outbox as _},
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    database::Sqlite,
    given::{Rung, at},
};

/// Deliveries to one target that are due, each of a job of its own.
const BACKLOG: u32 = 100_000;

/// Deliveries of jobs that are not there, by hands that do not mind.
const DUE: &str = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?3)
    INSERT INTO delivery (id, job, target, event, body, state, next_at_ms)
    SELECT printf('01K9Z4T8N6%04d%012d', ?1, n), printf('01K9Z4T8N6%04d%012d', ?1, n), ?2, 'job.done', '{}', 'pending',
           ?4 + n
    FROM number";

/// A host whose target `busy` has a backlog, behind which something is due to others.
async fn backlog() -> (Sqlite, SqliteConnection) {
    let database = Sqlite::new();
    database.store(Arc::new(Rung::default())).await.close().await;
    let options = SqliteConnectOptions::new().filename(database.file()).foreign_keys(false);
    let mut hands = options.connect().await.unwrap();
    let groups =
        [("busy", BACKLOG, 0), ("aside", 3, 200_000), ("zone", 3, 199_999), ("later", 3, 900_000)];
    for (number, (target, deliveries, after)) in (0_i64..).zip(groups) {
        let due = sqlx::query(DUE).bind(number).bind(target).bind(deliveries).bind(at(after).0);
        due.execute(&mut hands).await.unwrap();
    }
    (database, hands)
}

fn id(group: u32, number: u32) -> DeliveryId {
    format!("01K9Z4T8N6{group:04}{number:012}").parse().unwrap()
}

fn busy(deliveries: Vec<DeliveryId>) -> Busy {
    Busy { deliveries, targets: vec!["busy".parse::<Target>().unwrap()] }
}

#[tokio::test]
async fn what_is_due_to_others_is_found_behind_the_backlog_of_a_busy_target() {
    let (database, hands) = backlog().await;
    hands.close().await.unwrap();
    let store = database.store(Arc::new(Rung::default())).await;
    let due = async |limit, busy: Busy| {
        let found = store.due_deliveries(at(300_000), limit, &busy).await.unwrap();
        (found.due.iter().map(|one| one.id).collect::<Vec<_>>(), found.next_at)
    };
    // The longest due first, whatever their targets are called.
    let all = vec![id(2, 1), id(1, 1), id(2, 2), id(1, 2), id(2, 3), id(1, 3)];
    assert_eq!(due(9, busy(Vec::new())).await, (all.clone(), Some(at(900_001))));
    assert_eq!(due(3, busy(Vec::new())).await, (all[..3].to_vec(), Some(at(300_000))));
    let under_way = vec![all[0], all[3], id(0, 7)];
    let rest = vec![all[1], all[2], all[4], all[5]];
    assert_eq!(due(9, busy(under_way)).await.0, rest);
    // With room, it is the backlog's turn.
    assert_eq!(due(2, Busy::default()).await.0, [id(0, 1), id(0, 2)]);
    assert_eq!(due(1_000, Busy::default()).await.0.len(), 1_000);
    store.close().await;
}

#[tokio::test]
async fn a_look_past_a_backlog_costs_a_few_steps_and_not_one_for_each_of_its_deliveries() {
    let (_database, mut hands) = backlog().await;
    let steps = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&steps);
    let mut handle = hands.lock_handle().await.unwrap();
    handle.set_progress_handler(1, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    });
    drop(handle);
    let (at, given) = (at(300_000).0, ["[]", "[\"busy\"]"]);
    let due = sqlx::query(include_str!("../../../sql/sqlite/delivery/due.sql"));
    let due = due.bind(at).bind(24).bind(given[0]).bind(given[1]).bind(256);
    assert_eq!(due.fetch_all(&mut hands).await.unwrap().len(), 0);
    let is_deep = sqlx::query_scalar(include_str!("../../../sql/sqlite/delivery/is_deep.sql"));
    let is_deep: bool = is_deep.bind(at).bind(256).fetch_one(&mut hands).await.unwrap();
    assert!(is_deep);
    let due = sqlx::query(include_str!("../../../sql/sqlite/delivery/due_of_others.sql"));
    let due = due.bind(at).bind(24).bind(given[0]).bind(given[1]);
    assert_eq!(due.fetch_all(&mut hands).await.unwrap().len(), 6);
    let steps = steps.load(Ordering::Relaxed);
    assert!(steps < 20_000, "{steps} steps of SQLite's machine");
}
