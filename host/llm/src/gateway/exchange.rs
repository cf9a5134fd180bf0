//! One call of a client, from its place in the queue to the last byte of its answer.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    future::BoxFuture,
    stream::{self, BoxStream},
};
use roughneck_jobs::{
    failure::code,
    model::{LlmError, Resolved, Site},
    ports::{
        attended::{Attended, Halt},
        gateway::{Admitted, Origin, Place, Reply, ReplyBody},
    },
};
use tokio::time::Instant;

use super::{
    Waits,
    asked::{Asked, Wish},
    flow::{Flow, halted},
    form,
    gathered::{self, WHOLE_BYTES_MAX},
    keeping,
    opening::{Opened, Opening},
    outcome::{self, Answer, Ended},
    reading,
    refused::Refused,
    unload::unload,
};
use crate::{
    broken::Broken,
    client,
    config::Config,
    course::Course,
    lane::Shared,
    metrics,
    queue::{Queue, Seat, Turn},
    response::Response,
    stand_in::StandIn,
    stats, telling,
};

/// A call whose model is there.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) model: Resolved,
    /// What it goes out by, if not by the model itself.
    pub(crate) stand_in: Option<Arc<StandIn>>,
    pub(crate) course: Course,
    pub(super) waits: Waits,
}

type Opens = BoxFuture<'static, Result<Opened, Refused>>;
type Answers = BoxFuture<'static, Result<Whole, Refused>>;

#[async_trait]
impl Admitted for Exchange {
    fn model(&self) -> &str {
        &self.model.name
    }

    fn record(&self) -> String {
        outcome::record(&self.asked, &self.model.name, self.shared.config.record)
    }

    async fn run(self: Box<Self>, place: Place, job: Arc<dyn Attended>) -> Reply {
        let Self { shared, asked, model, stand_in, mut course, waits } = *self;
        let Waits { kept: bytes, outside } = waits;
        let is_here = model.site == Site::Here;
        if asked.wish == Wish::Unload && is_here {
            return unload(&Call { shared, asked, job }, &model, course).await;
        }
        let options = shared.options(&asked, &model, stand_in.as_deref());
        let key = shared.inventory.key(&model, &options, asked.shift);
        let is_wanted = is_here && asked.unloads() && shared.is_wanted_by_jobs(&key).await;
        let seat = Seat { key: key.clone(), rank: place.rank, priority: place.priority };
        let queue = shared.queue_of(asked.route, &model);
        let Ok(ticket) = queue.move_in(seat, outside) else {
            course.fail(metrics::Outcome::Rejected);
            return Call { shared, asked, job }.refused(&Refused::full());
        };
        let waiter = Waiter { queue: queue.clone(), ticket: ticket.number() };
        let call = Call { shared, asked, job };
        let Call { shared, asked, job } = call.clone();
        let opens = move |says| {
            let (priority, kept, lost_at) = (place.priority, Some(bytes), None);
            let opening = Opening {
                shared,
                asked,
                model,
                stand_in,
                key,
                is_wanted,
                priority,
                job,
                says,
                course,
                kept,
                lost_at,
            };
            opening.run(ticket)
        };
        let supervisor = call.job.supervisor();
        if !call.asked.streams {
            // All of it: a job waits for its answer until the store has heard of the call, and nobody for its turn.
            let works = call.clone();
            let answers = telling::beside(supervisor, |says| works.piece(opens(says)));
            return call.answer_whole(Box::pin(answers), waiter).await;
        }
        // A client's supervisor waits for nothing.
        let mut opens: Opens = Box::pin(telling::beside(supervisor, opens));
        let mut stops = halted(&call.job);
        let quiet = call.shared.config.quiet_for;
        tokio::select! {
            biased;
            halt = &mut stops => call.refused(&Refused::halted(&halt)),
            opened = &mut opens => call.answer(opened).await,
            () = tokio::time::sleep(quiet) => call.wait(opens, waiter),
        }
    }
}

/// Knows the place of a call in the queue.
struct Waiter {
    queue: Queue,
    ticket: u64,
}

impl Waiter {
    /// From 1; 0 once it does not wait any more.
    fn position(&self) -> usize {
        self.queue.position(self.ticket).unwrap_or(0)
    }
}

/// What all ways of answering need.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) asked: Arc<Asked>,
    pub(super) job: Arc<dyn Attended>,
}

impl Call {
    pub(super) fn refused(&self, refused: &Refused) -> Reply {
        self.job.end(refused.outcome());
        let mut reply = refused.reply(self.asked.route, self.shared.clock.now());
        reply.headers.push((JOB_ID, self.job.id().to_string()));
        reply
    }

    /// Answers as Ollama does, in pieces if there is anything to say.
    async fn answer(&self, opened: Result<Opened, Refused>) -> Reply {
        match opened {
            Ok(opened) if comes_in_pieces(&opened.response) => {
                let flow = Flow::new(settled(opened));
                let r#type = form::stream_type(self.asked.route.form());
                let body = ReplyBody::Stream(self.shared.readers.stream(flow));
                Reply { status: 200, headers: stream_headers(&*self.job, r#type), body }
            }
            Ok(opened) => self.reply(self.whole(opened).await),
            Err(refused) => self.refused(&refused),
        }
    }

    /// Answers in one piece.
    async fn answer_whole(self, mut answers: Answers, waiter: Waiter) -> Reply {
        let Config { quiet_for, heartbeat_whole, .. } = self.shared.config;
        let begins_early = heartbeat_whole && self.asked.origin == Origin::Client;
        tokio::select! {
            biased;
            answered = &mut answers => self.reply(answered),
            () = tokio::time::sleep(quiet_for), if begins_early => self.wait_whole(answers, &waiter),
        }
    }

    /// The answer in one piece, once it is there.
    async fn piece(
        self,
        opens: impl Future<Output = Result<Opened, Refused>>,
    ) -> Result<Whole, Refused> {
        let mut stops = halted(&self.job);
        let opened = tokio::select! {
            biased;
            halt = &mut stops => return Err(Refused::halted(&halt)),
            opened = opens => opened?,
        };
        if comes_in_pieces(&opened.response) {
            self.gather(opened).await
        } else {
            self.whole(opened).await
        }
    }

    pub(super) fn reply(&self, whole: Result<Whole, Refused>) -> Reply {
        match whole {
            Ok(Whole { status, r#type, body }) => {
                let headers = headers(&*self.job, &r#type);
                Reply { status, headers, body: ReplyBody::Whole(body) }
            }
            Err(refused) => self.refused(&refused),
        }
    }

    /// Commits to an answer in one piece before it is there. What goes wrong from now on can only be told
    /// in its body.
    fn wait_whole(self, answers: Answers, waiter: &Waiter) -> Reply {
        let headers = waiting_headers(&*self.job, form::JSON, waiter);
        let waiting = Some((answers, Duration::ZERO));
        let body = stream::unfold((self, waiting), |(call, waiting)| async move {
            let (mut answers, quiet) = waiting?;
            let answered = tokio::select! {
                biased;
                answered = &mut answers => answered,
                () = tokio::time::sleep(quiet) => {
                    let waiting = Some((answers, call.shared.config.quiet_for));
                    return Some((Ok(form::space()), (call, waiting)));
                }
            };
            let body = match answered {
                Ok(whole) => whole.body,
                Err(refused) => {
                    call.job.end(refused.outcome());
                    refused.body(call.asked.route)
                }
            };
            Some((Ok(body), (call, None)))
        });
        Reply { status: 200, headers, body: ReplyBody::Stream(Box::pin(body)) }
    }

    /// Commits to an answer before there is one: the connection has been silent for long.
    fn wait(self, opens: Opens, waiter: Waiter) -> Reply {
        let r#type = form::stream_type(self.asked.route.form());
        let headers = waiting_headers(&*self.job, r#type, &waiter);
        let waiting = Stage::Waiting { halts: halted(&self.job), opens, waiter, is_first: true };
        let body = stream::unfold((self, waiting), |(call, stage)| async move {
            let (bytes, stage) = call.step(stage).await?;
            Some((Ok(bytes), (call, stage)))
        });
        Reply { status: 200, headers, body: ReplyBody::Stream(Box::pin(body)) }
    }

    async fn step(&self, stage: Stage) -> Option<(Bytes, Stage)> {
        match stage {
            Stage::Over => None,
            Stage::Flowing(mut flow) => {
                let bytes = futures_util::StreamExt::next(&mut flow).await?.ok()?;
                Some((bytes, Stage::Flowing(flow)))
            }
            Stage::Waiting { mut opens, mut halts, waiter, is_first } => {
                let quiet = if is_first { Duration::ZERO } else { self.shared.config.quiet_for };
                let opened = tokio::select! {
                    biased;
                    halt = &mut halts => Err(Refused::halted(&halt)),
                    opened = &mut opens => opened,
                    () = tokio::time::sleep(quiet) => {
                        let sign = self.sign_of_life(&waiter);
                        let stage = Stage::Waiting { opens, halts, waiter, is_first: false };
                        return Some((sign, stage));
                    }
                };
                Some(self.begun(opened).await)
            }
        }
    }

    /// The first bytes of an answer whose status was sent before.
    async fn begun(&self, opened: Result<Opened, Refused>) -> (Bytes, Stage) {
        let refused = match opened {
            Ok(opened) if comes_in_pieces(&opened.response) => {
                let mut flow = Flow::new(settled(opened));
                let first = flow.next().await.unwrap_or_default();
                return (first, Stage::Flowing(self.shared.readers.stream(flow)));
            }
            Ok(opened) => match self.whole(opened).await {
                Ok(Whole { status: 200..300, body, .. }) => {
                    return (form::piece(self.asked.route.form(), &body), Stage::Over);
                }
                // It has ended with that.
                Ok(Whole { status, body, .. }) => {
                    let refused = Refused::new(status, client::words(&body), code::OLLAMA_REFUSED);
                    return (refused.last_piece(self.asked.route), Stage::Over);
                }
                Err(refused) => refused,
            },
            Err(refused) => refused,
        };
        self.job.end(refused.outcome());
        (refused.last_piece(self.asked.route), Stage::Over)
    }

    fn sign_of_life(&self, waiter: &Waiter) -> Bytes {
        let Asked { route, model, .. } = &*self.asked;
        form::sign_of_life(*route, model, &self.shared.now(), waiter.position())
    }

    /// Puts an answer together that Ollama was asked for in pieces. Until it is whole the client has nothing
    /// of it, so it may be begun anew.
    async fn gather(&self, mut opened: Opened) -> Result<Whole, Refused> {
        while comes_in_pieces(&opened.response) {
            let mut flow = Flow::gathering(opened);
            while flow.advance().await?.is_some() {}
            let gathered = flow.gathered();
            let Some((opening, turn)) = flow.gave_way() else {
                let (r#type, body) = (form::JSON.to_owned(), gathered.whole());
                return Ok(Whole { status: 200, r#type, body });
            };
            opened = self.again(opening, turn).await?;
        }
        self.whole(opened).await
    }

    async fn again(&self, opening: Opening, turn: Turn) -> Result<Opened, Refused> {
        tokio::select! {
            biased;
            halt = halted(&self.job) => Err(Refused::halted(&halt)),
            opened = opening.again(turn) => opened,
        }
    }

    /// Hands over an answer that comes in one piece, an error among them.
    ///
    /// # Errors
    /// There is none; the job has not ended.
    async fn whole(&self, opened: Opened) -> Result<Whole, Refused> {
        let Opened { mut response, mut turn, mut opening } = settled(opened);
        let status = response.status().as_u16();
        let mut stops = halted(&self.job);
        let patience = self.asked.patience(&self.shared.config);
        let deadline = opening.course.dispatched_at() + patience;
        let read = tokio::select! {
            biased;
            halt = &mut stops => Err(Refused::halted(&halt)),
            read = tokio::time::timeout_at(deadline, read(&mut response)) => {
                let silent = |_| Broken::silent(patience);
                let read = read.map_err(silent).and_then(|read| read);
                let read = read.and_then(|body| costing(status, body));
                read.map_err(|broken| {
                    turn.went_wrong(&broken);
                    let Opening { model, course, .. } = &mut opening;
                    self.shared.failed(course, model.site, &broken);
                    Refused::of(self.asked.route, &self.asked.model, &broken.error)
                })
            }
        };
        let r#type = response.content_type().unwrap_or(form::JSON).to_owned();
        match &read {
            Ok(_whole) => response.done(),
            Err(_broken) => drop(response),
        }
        let (body, figures) = read?;
        turn.is_answered();
        let body = match figures {
            Some(_) => opening.unmasked(body),
            None => opening.unmasked_words(body),
        };
        if let Some(figures) = figures {
            if self.asked.wish == Wish::Answer {
                turn.went_well();
            } else {
                turn.residency().confirm(Instant::now());
            }
            drop(turn);
            keeping::after(&self.shared, &self.asked, &opening.model, &opening.key);
            let Opening { model, course, .. } = &mut opening;
            let cost = self.shared.answered(course, model.site, &figures);
            self.job.supervisor().spent(&cost.usage);
            let kept = self.shared.config.record.keeps_words();
            let kept = kept.then(|| serde_json::from_slice(&body).ok()).flatten();
            let answer = kept.map_or(Answer::None, Answer::Whole);
            self.job.end(outcome::done(&Ended { status, reason: "", answer }));
        } else {
            self.turned_down(&mut opening.course, Some(turn), status, &body);
        }
        Ok(Whole { status, r#type, body })
    }

    /// Ollama has refused it.
    pub(super) fn turned_down(
        &self,
        course: &mut Course,
        turn: Option<Turn>,
        status: u16,
        body: &[u8],
    ) {
        let message = client::words(body);
        let broken = Broken::from(LlmError::Refused { status, message: message.clone() });
        let site = turn.as_ref().map_or(Site::Here, Turn::site);
        if let Some(mut turn) = turn {
            turn.went_wrong(&broken);
        }
        course.refused();
        self.shared.failed(course, site, &broken);
        self.job.end(Refused::new(status, message, code::OLLAMA_REFUSED).outcome());
    }
}

/// A call whose answer is about to reach its client: it is not interrupted any more.
fn settled(mut opened: Opened) -> Opened {
    opened.turn.settle();
    opened
}

/// Whether it is an answer in pieces. Ollama answers some requests with one object whatever was asked for: loads, and
/// those that want to see no more than the prompt.
fn comes_in_pieces(response: &Response) -> bool {
    response.status().is_success() && response.content_type().is_some_and(form::is_stream)
}

/// An answer in one piece.
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) r#type: String,
    pub(super) body: Bytes,
}

/// Where the body of an answer is that was begun before it was there.
enum Stage {
    Waiting { opens: Opens, halts: BoxFuture<'static, Halt>, waiter: Waiter, is_first: bool },
    Flowing(BoxStream<'static, io::Result<Bytes>>),
    Over,
}

/// The header with the id of the job.
pub(crate) const JOB_ID: &str = "x-roughneck-job-id";

fn headers(job: &dyn Attended, r#type: &str) -> Vec<(&'static str, String)> {
    vec![("content-type", r#type.to_owned()), (JOB_ID, job.id().to_string())]
}

/// Of a stream that no proxy may hold back.
fn stream_headers(job: &dyn Attended, r#type: &str) -> Vec<(&'static str, String)> {
    let mut headers = headers(job, r#type);
    headers.push(("cache-control", "no-cache".to_owned()));
    headers.push(("x-accel-buffering", "no".to_owned()));
    headers
}

/// Of an answer that is begun while its call waits.
fn waiting_headers(
    job: &dyn Attended,
    r#type: &str,
    waiter: &Waiter,
) -> Vec<(&'static str, String)> {
    let mut headers = stream_headers(job, r#type);
    headers.push(("x-queue-position", waiter.position().to_string()));
    headers
}

/// What an answer in one piece cost; none for a refusal.
///
/// # Errors
/// It is neither: something else answers there, such as a proxy that wants a login first.
fn costing(status: u16, body: Bytes) -> Result<(Bytes, Option<stats::Figures>), Broken> {
    let figures = match status {
        200..300 => reading::whole(&body),
        400.. => return Ok((body, None)),
        _ => None,
    };
    let Some(figures) = figures else {
        let words = client::words(&body);
        let why = format!("what answers is not Ollama (status {status}: {words})");
        return Err(Broken::off(metrics::Outcome::Error, why));
    };
    Ok((body, Some(figures)))
}

pub(super) async fn read(response: &mut Response) -> Result<Bytes, Broken> {
    let body = response.read(WHOLE_BYTES_MAX).await.map_err(|cut| Broken::cut(&cut))?;
    body.ok_or_else(gathered::too_large)
}
