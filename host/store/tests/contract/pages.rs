//! Pages of jobs.

use roughneck_jobs::{
    id::JobId,
    job::{Filter, Job, NewJob},
    state::State,
};

use crate::given::{World, at, done, new_job};

async fn page(world: &World, filter: Filter) -> Vec<JobId> {
    world.jobs(filter).await.unwrap().into_iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn pages_begin_with_the_newest_and_go_on_from_their_last_job() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, world.submitted(new_job()).await);
    }
    let first = page(&world, Filter { limit: 2, ..Filter::default() }).await;
    assert_eq!(first, ids[..2]);
    let before = Some(first[1]);
    let rest = page(&world, Filter { limit: 9, before, ..Filter::default() }).await;
    assert_eq!(rest, ids[2..]);
    assert_eq!(page(&world, Filter { limit: 0, ..Filter::default() }).await, ids[..1]);
}

#[tokio::test]
async fn a_page_can_be_of_one_state_of_one_kind_or_of_both() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.end(run, done(), at(1)).await;
    let queued = world.submitted(new_job()).await;
    let other = world.submitted(NewJob { kind: "test.other".to_owned(), ..new_job() }).await;
    let filter = |state, kind: Option<&str>| Filter {
        state,
        kind: kind.map(str::to_owned),
        limit: 500,
        ..Filter::default()
    };
    let echo = Some("test.echo");
    assert_eq!(page(&world, filter(None, None)).await, [other, queued, run.job]);
    assert_eq!(page(&world, filter(Some(State::Queued), None)).await, [other, queued]);
    assert_eq!(page(&world, filter(None, echo)).await, [queued, run.job]);
    assert_eq!(page(&world, filter(Some(State::Done), echo)).await, [run.job]);
    assert_eq!(page(&world, filter(Some(State::Failed), echo)).await, []);
}

#[tokio::test]
async fn a_page_has_neither_inputs_nor_outputs_and_the_job_has_both() {
    let world = World::new().await;
    let run = world.running(new_job()).await;
    world.end(run, done(), at(1)).await;
    let kind = Some("test.echo".to_owned());
    let job = world.get_job(run.job).await;
    assert!(!job.input.is_empty() && job.output.is_some());
    for (state, kind) in
        [(None, None), (Some(State::Done), None), (None, kind.clone()), (Some(State::Done), kind)]
    {
        let filter = Filter { state, kind, limit: 1, ..Filter::default() };
        let light = Job { input: String::new(), output: None, ..job.clone() };
        assert_eq!(world.jobs(filter).await.unwrap(), [light]);
    }
}
