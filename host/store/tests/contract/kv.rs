//! The state of plugins.

use roughneck_jobs::{
    ports::kv::{Key, Written},
    run::Run,
};

use crate::given::{World, at, done, new_job};

fn key(key: &str) -> Key {
    Key { plugin: "echo".to_owned(), namespace: "default".to_owned(), key: key.to_owned() }
}

async fn set(world: &World, run: Run, name: &str, value: &[u8], bytes_max: u64) -> Written {
    world.set(run, key(name), value.to_vec(), bytes_max).await.unwrap()
}

#[tokio::test]
async fn a_value_reads_back_until_it_is_deleted() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    assert_eq!(world.get(&key("a")).await.unwrap(), None);
    assert_eq!(set(&world, run, "a", b"\x00\xff", 100).await, Written::Stored);
    assert_eq!(world.get(&key("a")).await.unwrap().as_deref(), Some(&b"\x00\xff"[..]));
    assert_eq!(set(&world, run, "a", b"", 100).await, Written::Stored);
    assert_eq!(world.get(&key("a")).await.unwrap().as_deref(), Some(&b""[..]));
    assert!(world.delete(run, key("a")).await.unwrap());
    assert!(!world.delete(run, key("a")).await.unwrap());
    assert_eq!(world.get(&key("a")).await.unwrap(), None);
}

#[tokio::test]
async fn plugins_and_namespaces_do_not_see_each_other() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    set(&world, run, "a", b"1", 100).await;
    let plugin = Key { plugin: "other".to_owned(), ..key("a") };
    let namespace = Key { namespace: "other".to_owned(), ..key("a") };
    for other in [plugin, namespace] {
        assert_eq!(world.get(&other).await.unwrap(), None);
        assert!(!world.delete(run, other).await.unwrap());
    }
}

#[tokio::test]
async fn a_write_past_the_limit_is_refused_with_the_size_and_changes_nothing() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    assert_eq!(set(&world, run, "aa", b"12345678", 10).await, Written::Stored);
    assert_eq!(set(&world, run, "b", b"", 10).await, Written::Full { bytes: 11 });
    assert_eq!(set(&world, run, "aa", b"123456789", 10).await, Written::Full { bytes: 11 });
    assert_eq!(world.get(&key("aa")).await.unwrap().as_deref(), Some(&b"12345678"[..]));
    assert_eq!(world.get(&key("b")).await.unwrap(), None);

    assert_eq!(set(&world, run, "aa", b"1", 10).await, Written::Stored, "shorter makes room");
    assert_eq!(set(&world, run, "b", b"123456", 10).await, Written::Stored);
    assert_eq!(set(&world, run, "c", b"", 10).await, Written::Full { bytes: 11 });
    world.delete(run, key("b")).await.unwrap();
    assert_eq!(set(&world, run, "c", b"123456", 10).await, Written::Stored, "so does a deletion");
}

#[tokio::test]
async fn the_limit_counts_all_namespaces_of_a_plugin_and_no_other_plugin() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    set(&world, run, "a", b"123456789", 10).await;
    let namespace = Key { namespace: "other".to_owned(), ..key("a") };
    let full = world.set(run, namespace, Vec::new(), 10).await.unwrap();
    assert_eq!(full, Written::Full { bytes: 11 });
    let plugin = Key { plugin: "other".to_owned(), ..key("a") };
    assert_eq!(world.set(run, plugin, Vec::new(), 10).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn a_state_above_a_lowered_limit_can_shrink() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    set(&world, run, "a", b"123456789", 10).await;
    assert_eq!(set(&world, run, "a", b"1234567", 5).await, Written::Stored);
    assert_eq!(set(&world, run, "a", b"1234567", 5).await, Written::Full { bytes: 8 });
}

#[tokio::test]
async fn state_outlives_the_job_that_wrote_it() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    set(&world, run, "a", b"1", 100).await;
    world.end(run, done(), at(1)).await;
    let next = world.running(new_job()).await;
    assert_eq!(world.get(&key("a")).await.unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(set(&world, next, "a", b"2", 100).await, Written::Stored);
}
