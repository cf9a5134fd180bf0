//! What is being changed of what is installed. Two clients that want the same thing at once share one
//! request to Ollama and hear the same of it; what would get in its way is refused.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use roughneck_jobs::ports::gateway::{Form, Reply, ReplyBody};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    errand::{Errand, Meeting},
    form,
};
use crate::{
    frames::{Frames, Framing, TooLong},
    response::Response,
};

/// How many pieces of news wait for a client that is slow to read. It misses those before them: each says
/// again how far the work is.
const NEWS_MAX: usize = 256;

/// The errands of one Ollama.
#[derive(Debug, Default)]
pub(crate) struct Errands(Mutex<Vec<Weak<Running>>>);

/// One that runs for as long as somebody follows it.
#[derive(Debug)]
struct Running {
    errand: Errand,
    told: Arc<Told>,
    _task: AbortOnDropHandle<()>,
}

/// What is told of an errand.
#[derive(Debug)]
pub(crate) struct Told {
    head: watch::Sender<Option<Head>>,
    news: Mutex<News>,
}

#[derive(Debug)]
struct News {
    /// The last line, for those who come later.
    last: Option<Bytes>,
    /// None once it is over.
    sender: Option<broadcast::Sender<Bytes>>,
}

/// How the answer begins.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// A client's part in an errand. When the last one is dropped, the errand is stopped.
#[derive(Debug)]
pub(crate) struct Follower {
    running: Arc<Running>,
    ear: Ear,
}

/// What is to be heard.
#[derive(Debug)]
struct Ear {
    /// The last that was told before.
    before: Option<Bytes>,
    /// None if it is over.
    news: Option<broadcast::Receiver<Bytes>>,
}

/// Another errand is in the way. It says what it does.
#[derive(Debug)]
pub(crate) struct InTheWay(pub(crate) String);

impl Errands {
    /// Follows the same errand if it runs, and otherwise has `begin` carry it out.
    ///
    /// # Errors
    /// [`InTheWay`].
    pub(crate) fn follow<F>(
        &self,
        errand: Errand,
        begin: impl FnOnce(Arc<Told>) -> F,
    ) -> Result<Follower, InTheWay>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|running| running.strong_count() > 0);
        for running in all.iter().filter_map(Weak::upgrade) {
            // What is over has happened, and may have to happen again.
            if running.told.is_over() {
                continue;
            }
            match errand.meets(&running.errand) {
                Meeting::Apart => {}
                Meeting::Same => {
                    let ear = running.told.listen();
                    return Ok(Follower { running, ear });
                }
                Meeting::InTheWay => return Err(InTheWay(running.errand.doing())),
            }
        }
        let told = Arc::new(Told::default());
        // Before it begins, so that nothing is missed.
        let ear = told.listen();
        let (work, tells) = (begin(Arc::clone(&told)), Arc::clone(&told));
        let task = tokio::spawn(async move {
            work.await;
            tells.end();
        });
        let running = Arc::new(Running { errand, told, _task: AbortOnDropHandle::new(task) });
        all.push(Arc::downgrade(&running));
        drop(all);
        Ok(Follower { running, ear })
    }
}

impl Default for Told {
    fn default() -> Self {
        let news = News { last: None, sender: Some(broadcast::Sender::new(NEWS_MAX)) };
        Self { head: watch::Sender::new(None), news: Mutex::new(news) }
    }
}

impl Told {
    /// Tells how the answer begins.
    fn begin(&self, head: Head) {
        self.head.send_replace(Some(head));
    }

    /// Tells whole lines.
    fn say(&self, lines: Bytes) {
        let mut news = self.news();
        if let Some(last) = Framing::Lines.split(&lines).last() {
            news.last = Some(lines.slice_ref(last));
        }
        if let Some(sender) = &news.sender {
            // That nobody listens any more is no error: the errand is about to be stopped.
            drop(sender.send(lines));
        }
    }

    /// Tells that Ollama was not asked.
    pub(crate) fn refuse(&self, reply: Reply) {
        let Reply { status, headers, body } = reply;
        self.begin(Head { status, headers });
        if let ReplyBody::Whole(body) = body {
            self.say(body);
        }
    }

    /// Tells all of an answer of Ollama's.
    pub(crate) async fn pass_on(&self, mut response: Response) {
        let headers = response.content_type().map(|r#type| ("content-type", r#type.to_owned()));
        let status = response.status().as_u16();
        self.begin(Head { status, headers: headers.into_iter().collect() });
        let mut frames = Frames::new(Framing::Lines);
        loop {
            let broken = match response.chunk().await {
                Ok(Some(chunk)) => match frames.push(chunk) {
                    Ok(lines) if lines.is_empty() => continue,
                    Ok(lines) => {
                        self.say(lines);
                        continue;
                    }
                    Err(TooLong) => "Ollama sent a line without an end".to_owned(),
                },
                Ok(None) => break,
                Err(cut) => format!("the connection to Ollama broke: {cut}"),
            };
            return self.say(form::broken_off(Form::Native, &broken, None));
        }
        let rest = frames.rest();
        if !rest.is_empty() {
            self.say(rest);
        }
    }

    fn end(&self) {
        self.news().sender = None;
    }

    fn is_over(&self) -> bool {
        self.news().sender.is_none()
    }

    fn listen(&self) -> Ear {
        let news = self.news();
        let sender = news.sender.as_ref();
        Ear { before: news.last.clone(), news: sender.map(broadcast::Sender::subscribe) }
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// How the answer begins.
    pub(crate) async fn head(&self) -> Head {
        let mut head = self.running.told.head.subscribe();
        loop {
            if let Some(head) = head.borrow_and_update().clone() {
                return head;
            }
            if head.changed().await.is_err() {
                // The sender lives as long as this follower.
                return std::future::pending().await;
            }
        }
    }

    /// The answer from now on, as it comes.
    pub(crate) fn stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        Box::pin(stream::unfold(self, async |mut follower| {
            Some((Ok(follower.ear.next().await?), follower))
        }))
    }

    /// The last line of the answer, once it is over; empty if there is none.
    pub(crate) async fn last(mut self) -> Bytes {
        let mut last = Bytes::new();
        while let Some(lines) = self.ear.next().await {
            last = Framing::Lines.split(&lines).last().map_or(last, |last| lines.slice_ref(last));
        }
        last
    }
}

impl Ear {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(before) = self.before.take() {
            return Some(before);
        }
        let news = self.news.as_mut()?;
        loop {
            match news.recv().await {
                Ok(lines) => return Some(lines),
                Err(RecvError::Lagged(_missed)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
