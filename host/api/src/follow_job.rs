//! `GET /jobs/{id}/events`: follows a job to its end, as Server-Sent Events.
//!
//! | event | data | kept |
//! |---|---|---|
//! | `state` | `seq at state attempt reason` | in the store |
//! | `progress` | `percent note attempt run` | while the run lives |
//! | `token` | `text attempt run offset`: a piece of the run's text | while the run lives |
//! | `end` | the job with its output | the stream closes after it |
//!
//! Every event carries an id. Whoever sends the last one back, as the header `Last-Event-ID` or as
//! `?last_event_id=`, misses no event and sees no byte of a living run's text twice. A retry is a new
//! run with a text of its own: `run` changes and `offset` starts at 0. If a run ends between two
//! reads, the rest of its text is not sent as tokens; the output in `end` is whole.
//!
//! A client that comes back after `end` is answered 204, which stops a browser's `EventSource`.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{
        IntoResponse, Response,
        sse::{KeepAlive, Sse},
    },
};

use crate::{
    App,
    code::Code,
    cursor::{Cursor, NotACursor, Place},
    event_stream::EventStream,
    job_path::JobPath,
    problem::Problem,
    query::Parameters,
};

/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Proxies such as nginx would collect events; this asks them not to.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

pub(crate) async fn follow_job(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cursor = last_event(&uri, &headers)?;
    // Before the look at the job, so that nothing happens unseen between the two.
    let watch = app.ports.control.watch(id);
    let job = app.ports.store.job(id).await?.ok_or_else(|| Problem::unknown_job(id))?;
    let had_ended = job.state.is_terminal();
    if had_ended
        && cursor.place == Place::End
        && app.ports.store.events(id, cursor.seq).await?.is_empty()
    {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = EventStream::new(app, id, watch, cursor, had_ended).into_events();
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    Ok(([UNBUFFERED], Sse::new(events).keep_alive(keep_alive)).into_response())
}

/// The header wins: a browser that comes back sends it beside the address it was first given.
fn last_event(uri: &Uri, headers: &HeaderMap) -> Result<Cursor, Problem> {
    let query = Parameters::read(uri, &["last_event_id"])?;
    let text = match headers.get("last-event-id") {
        Some(value) => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
        None => query.get("last_event_id").map(ToOwned::to_owned),
    };
    match text.as_deref() {
        None | Some("") => Ok(Cursor::default()),
        Some(text) => text
            .parse()
            .map_err(|error: NotACursor| Problem::new(Code::MalformedEventId, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use axum::response::{IntoResponse, sse::Sse};

    use roughneck_jobs::{
        event::Live,
        job::{DeadLetters, Job},
        ports::store::Store as _,
        state::State::{Cancelled, Done, Failed, Loading, Queued, Scheduled, Working},
    };
    use serde_json::json;

    use crate::{
        event_stream::EventStream,
        testing::{Host, Reader, Sent, a_job, json, text},
    };

    /// A host with one job that runs.
    fn running() -> (Host, Job) {
        let (host, job) = (Host::new(), a_job());
        host.fakes.store.put(job.clone());
        host.fakes.store.advance(job.id, Queued, 0);
        host.fakes.store.advance(job.id, Working, 1);
        host.fakes.control.show(Live { run: 1, attempt: 1, ..Live::default() });
        (host, job)
    }

    fn end(host: &Host, job: &Job) {
        host.fakes.store.put(Job { output: Some("{\"n\":\n1}".into()), ..job.clone() });
        host.fakes.store.advance(job.id, Done, 1);
        host.fakes.control.hide();
    }

    fn names(sent: &[Sent]) -> Vec<&str> {
        sent.iter().map(|sent| sent.event.as_str()).collect()
    }

    #[tokio::test]
    async fn a_reader_sees_states_progress_tokens_and_the_end_and_then_the_stream_closes() {
        let (host, job) = running();
        let mut reader = host.follow(job.id, "").await;
        let queued = reader.next().await.unwrap();
        assert_eq!((queued.event.as_str(), queued.id.as_str()), ("state", "1"));
        assert_eq!(
            queued.data,
            json!({"seq": 1, "at": "1970-01-01T00:00:00.001Z", "state": "queued", "attempt": 0})
        );
        assert_eq!(reader.next().await.unwrap().data["state"], "working");

        let live =
            Live { run: 1, attempt: 1, percent: Some(50), note: "half".into(), ..Live::default() };
        host.fakes.control.show(Live { reports: 1, text: "Grüße".into(), ..live });
        let progress = reader.next().await.unwrap();
        assert_eq!(progress.data, json!({"percent": 50, "note": "half", "attempt": 1, "run": 1}));
        let token = reader.next().await.unwrap();
        assert_eq!((token.event.as_str(), token.id.as_str()), ("token", "2-1-7"));
        assert_eq!(token.data, json!({"text": "Grüße", "attempt": 1, "run": 1, "offset": 0}));
        host.fakes.control.write(" 🦀");
        let token = reader.next().await.unwrap();
        assert_eq!((token.id.as_str(), &token.data["offset"]), ("2-1-12", &json!(7)));

        end(&host, &job);
        let rest = reader.rest().await;
        assert_eq!(names(&rest), ["state", "end"]);
        assert_eq!((rest[0].id.as_str(), rest[1].id.as_str()), ("3-1-12", "3-end"));
        assert_eq!(
            (&rest[1].data["state"], &rest[1].data["output"]),
            (&json!("done"), &json!({"n": 1}))
        );
    }

    #[tokio::test]
    async fn a_reader_that_loses_its_connection_after_every_event_misses_and_repeats_nothing() {
        let (host, job) = running();
        let whole: String = "añ€🦀 ".repeat(20);
        let mut pieces = whole.chars();
        let (mut last, mut read, mut seqs) = (String::new(), String::new(), Vec::new());
        loop {
            // The run is gone once the job has ended, so its text is read before.
            if read.len() < whole.len() {
                pieces.next().iter().for_each(|piece| host.fakes.control.write(&piece.to_string()));
            } else if seqs.len() == 3 {
                end(&host, &job);
            }
            if seqs.len() == 2 && read.len() >= 100 {
                host.fakes.store.advance(job.id, Loading, 1);
            }
            let sent = host.follow(job.id, &last).await.next().await.unwrap();
            assert_ne!(sent.id, last);
            last = sent.id;
            match sent.event.as_str() {
                "state" => seqs.push(sent.data["seq"].as_i64().unwrap()),
                "token" => {
                    assert_eq!(sent.data["offset"], read.len());
                    read.push_str(sent.data["text"].as_str().unwrap());
                }
                "end" => break,
                other => panic!("unexpected {other}"),
            }
        }
        assert_eq!(read, whole);
        assert_eq!(seqs, [1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_retry_starts_a_text_of_its_own() {
        let (host, job) = running();
        host.fakes.control.write("first");
        let mut reader = host.follow(job.id, "").await;
        reader.next_named("token").await;
        host.fakes.store.advance(job.id, Scheduled, 1);
        host.fakes.store.advance(job.id, Working, 2);
        host.fakes.control.show(Live {
            run: 2,
            attempt: 2,
            text: "second".into(),
            ..Live::default()
        });
        let token = reader.next_named("token").await;
        assert_eq!(token.data, json!({"text": "second", "attempt": 2, "run": 2, "offset": 0}));
        assert_eq!(token.id, "4-2-6");
    }

    #[tokio::test]
    async fn the_text_of_a_run_that_is_still_there_comes_before_its_end() {
        let (host, job) = running();
        host.fakes.control.write("all of it");
        host.fakes.store.advance(job.id, Cancelled, 1);
        let all = host.follow(job.id, "").await.rest().await;
        assert_eq!(names(&all), ["state", "state", "token", "state", "end"]);
    }

    #[tokio::test]
    async fn a_long_life_is_read_page_by_page() {
        let (host, job) = running();
        for _ in 0..224 {
            host.fakes.store.advance(job.id, Scheduled, 1);
            host.fakes.store.advance(job.id, Working, 1);
        }
        end(&host, &job);
        let all = host.follow(job.id, "50").await.rest().await;
        let seqs: Vec<i64> = all.iter().filter_map(|sent| sent.data["seq"].as_i64()).collect();
        assert_eq!(seqs, (51..=451).collect::<Vec<i64>>());
        assert_eq!(names(&all).last(), Some(&"end"));
    }

    #[tokio::test]
    async fn a_job_whose_events_fill_their_last_page_ends_as_well() {
        let (host, job) = running();
        for _ in 0..197 {
            host.fakes.store.advance(job.id, Loading, 1);
        }
        end(&host, &job);
        let all = host.follow(job.id, "").await.rest().await;
        assert_eq!((all.len(), all[200].event.as_str()), (201, "end"));
    }

    #[tokio::test]
    async fn a_slow_reader_buffers_nothing_and_gets_one_larger_piece() {
        let (host, job) = running();
        let mut reader = host.follow(job.id, "2").await;
        host.fakes.control.write("0");
        reader.next_named("token").await;
        let reads = host.fakes.store.reads_of_events.load(Ordering::SeqCst);
        for n in 1..1000 {
            host.fakes.control.write(&format!(" {n}"));
            tokio::task::yield_now().await;
        }
        assert_eq!(host.fakes.store.reads_of_events.load(Ordering::SeqCst), reads);
        let token = reader.next().await.unwrap();
        assert!(token.data["text"].as_str().unwrap().ends_with("998 999"));
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_after_the_end_follows_a_job_that_was_retried() {
        let (host, job) = running();
        host.fakes.store.advance(job.id, Failed, 1);
        host.fakes.control.hide();
        host.fakes.store.advance(job.id, Queued, 0);
        let mut reader = host.follow(job.id, "3-end").await;
        assert_eq!(reader.next().await.unwrap().data["state"], "queued");
        host.fakes.store.advance(job.id, Cancelled, 0);
        host.fakes.control.ring();
        assert_eq!(names(&reader.rest().await), ["state", "end"]);
    }

    #[tokio::test]
    async fn a_job_that_is_retried_between_the_look_and_the_first_read_has_not_ended() {
        let (host, job) = running();
        host.fakes.store.advance(job.id, Failed, 1);
        host.fakes.control.hide();
        host.fakes.store.advance(job.id, Queued, 0);
        let watch = host.app.ports.control.watch(job.id);
        let cursor = "3".parse().unwrap();
        let events = EventStream::new(Arc::clone(&host.app), job.id, watch, cursor, true);
        let mut reader = Reader::of(Sse::new(events.into_events()).into_response().into_body());
        assert_eq!(reader.next().await.unwrap().data["state"], "queued");
        // A bell without a change.
        host.fakes.control.ring();
        let later = async {
            tokio::task::yield_now().await;
            host.fakes.store.advance(job.id, Cancelled, 0);
            host.fakes.control.ring();
        };
        let (rest, ()) = tokio::join!(reader.rest(), later);
        assert_eq!(names(&rest), ["state", "end"]);
    }

    #[tokio::test]
    async fn the_stream_of_a_job_that_was_deleted_ends() {
        let (host, job) = running();
        let mut reader = host.follow(job.id, "").await;
        for state in ["queued", "working"] {
            assert_eq!(reader.next().await.unwrap().data["state"], state);
        }
        host.fakes.store.put(Job { state: Failed, ..job });
        host.fakes.store.purge(DeadLetters::default(), 1).await.unwrap();
        host.fakes.control.hide();
        assert_eq!(reader.rest().await, []);
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_after_the_end_is_told_to_stop() {
        let (host, job) = running();
        end(&host, &job);
        let all = host.follow(job.id, "2").await.rest().await;
        assert_eq!(names(&all), ["state", "end"]);
        let path = |id: &str| format!("/jobs/{}/events?last_event_id={id}", job.id);
        assert_eq!(host.get(&path(&all[1].id)).await.status(), 204);
        // Whoever missed the end itself still gets it.
        let response = host.get(&path(&all[0].id)).await;
        assert!(text(response).await.starts_with("event: end\n"));
    }

    #[tokio::test]
    async fn what_cannot_be_followed_is_refused() {
        let (host, job) = running();
        for (path, status, code) in [
            ("/jobs/01K9Z4T8N6Q0V5W3X2Y1R7S9AB/events".to_owned(), 404, "unknown-job"),
            ("/jobs/x/events".to_owned(), 400, "malformed-id"),
            (format!("/jobs/{}/events?last_event_id=x", job.id), 400, "malformed-event-id"),
            (format!("/jobs/{}/events?last=1", job.id), 400, "invalid-query"),
        ] {
            let response = host.get(&path).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(json(response).await["code"], code);
        }
    }

    #[tokio::test]
    async fn a_dropped_reader_leaves_no_watch_and_no_count() {
        let (host, job) = running();
        let mut reader = host.follow(job.id, "").await;
        reader.next().await.unwrap();
        assert_eq!((host.fakes.control.watchers(), host.app.metrics.streams.get()), (1, 1));
        drop(reader);
        assert_eq!((host.fakes.control.watchers(), host.app.metrics.streams.get()), (0, 0));
    }
}
