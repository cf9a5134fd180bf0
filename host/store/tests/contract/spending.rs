//! The memory of the token budgets.

use roughneck_jobs::budget::{Spent, Whose};

use crate::{crash::crashing, database, given::World};

fn spent(whose: Whose, tokens: u64) -> Spent {
    Spent { whose, tokens }
}

fn kind(tokens: u64) -> Spent {
    spent(Whose::Kind("draft".to_owned()), tokens)
}

fn caller(tokens: u64) -> Spent {
    spent(Whose::Caller("draft".to_owned()), tokens)
}

async fn remember(world: &World, date: &str, spent: &[Spent]) {
    world.remember_spent(date.to_owned(), spent.to_vec()).await.unwrap();
}

#[tokio::test]
async fn what_was_spent_on_a_day_is_the_last_that_was_said_of_it() {
    let world = World::new().await;
    remember(&world, "2026-11-29", &[kind(10), caller(3)]).await;
    remember(&world, "2026-11-30", &[kind(1)]).await;
    remember(&world, "2026-11-29", &[kind(25)]).await;
    remember(&world, "2026-11-29", &[]).await;
    let mut today = world.spent_on("2026-11-29").await.unwrap();
    today.sort_by_key(|one| one.tokens);
    assert_eq!(today, [caller(3), kind(25)]);
    assert_eq!(world.spent_on("2026-11-30").await.unwrap(), [kind(1)]);
    assert_eq!(world.spent_on("2026-12-01").await.unwrap(), []);
}

#[tokio::test]
async fn a_day_that_is_counted_again_gives_nothing_back() {
    let world = World::new().await;
    remember(&world, "2026-11-29", &[kind(25)]).await;
    remember(&world, "2026-11-29", &[kind(7)]).await;
    assert_eq!(world.spent_on("2026-11-29").await.unwrap(), [kind(25)]);
}

#[test]
fn what_was_spent_outlives_the_host() {
    let database = database::new();
    crashing(async || {
        let world = World::of(&*database).await;
        remember(&world, "2026-11-29", &[kind(25), caller(u64::MAX)]).await;
    });
    crashing(async || {
        let world = World::of(&*database).await;
        let most = u64::try_from(i64::MAX).unwrap();
        let mut kept = world.spent_on("2026-11-29").await.unwrap();
        kept.sort_by_key(|one| one.tokens);
        assert_eq!(kept, [kind(25), caller(most)]);
    });
}

#[tokio::test]
async fn old_days_are_forgotten_the_oldest_first() {
    let world = World::new().await;
    for date in ["2026-11-28", "2026-11-27", "2026-11-29"] {
        remember(&world, date, &[kind(1), caller(1)]).await;
    }
    assert_eq!(world.forget_spent("2026-11-29".to_owned(), 3).await.unwrap(), 3);
    assert_eq!(world.spent_on("2026-11-27").await.unwrap(), []);
    assert_eq!(world.spent_on("2026-11-28").await.unwrap().len(), 1);
    assert_eq!(world.forget_spent("2026-11-29".to_owned(), 3).await.unwrap(), 1);
    assert_eq!(world.spent_on("2026-11-29").await.unwrap().len(), 2);
}
