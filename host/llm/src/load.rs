//! Loading a model: a request of the host's own, which no client can abort by leaving.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use roughneck_jobs::{model::Site, ports::runner::Supervisor};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    broken::Broken, lane::Shared, metrics::Outcome, queue::Turn, request, runner_key::RunnerKey,
    swap::Swap,
};

/// Where it is said what a call waits for. Never waits, unlike the store that hears of it.
pub(crate) type Says = mpsc::UnboundedSender<Said>;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Its model is being loaded.
    Loading,
    /// Nothing any more: Ollama gets it.
    Ready,
    /// Its turn, again.
    GaveWay,
}

/// Does work that says what it waits for, and passes that on beside it: the store must not keep the turn, nor the
/// GPU idle. Returns once all that was said is passed on, so what holds the turn must not be what the work results in.
pub(crate) async fn telling<T, Work>(
    supervisor: Arc<dyn Supervisor>,
    work: impl FnOnce(Says) -> Work,
) -> T
where
    Work: Future<Output = T>,
{
    let (says, mut said) = mpsc::unbounded_channel();
    let is_over = AtomicBool::new(false);
    let works = async {
        let done = work(says.clone()).await;
        is_over.store(true, Ordering::Relaxed);
        done
    };
    let tells = async {
        // That the work is over is seen in the same poll. A channel that closes would wake this task from within itself.
        let next = |cx: &mut Context<'_>| match said.poll_recv(cx) {
            // Something may be there all the same: a task that has had its share of the thread is told to wait.
            Poll::Pending if is_over.load(Ordering::Relaxed) => Poll::Ready(said.try_recv().ok()),
            polled @ (Poll::Pending | Poll::Ready(_)) => polled,
        };
        pass_on(&*supervisor, next).await;
    };
    let (done, ()) = tokio::join!(biased; works, tells);
    done
}

/// Passes on what is said, in its order, until nothing more can be said.
pub(crate) async fn tell(supervisor: &dyn Supervisor, mut said: mpsc::UnboundedReceiver<Said>) {
    pass_on(supervisor, |cx| said.poll_recv(cx)).await;
}

async fn pass_on(
    supervisor: &dyn Supervisor,
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Said>>,
) {
    while let Some(said) = poll_fn(&mut next).await {
        match said {
            Said::Loading => supervisor.loading(true).await,
            Said::Ready => supervisor.loading(false).await,
            Said::GaveWay => supervisor.gave_way().await,
        }
    }
}

/// The route by which a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As one that generates.
    Generate,
    /// As one that embeds: some of them refuse to generate.
    Embed,
}

/// What is to be loaded.
pub(crate) struct Wanted<'a> {
    /// The name that Ollama knows.
    pub(crate) name: &'a str,
    pub(crate) key: &'a RunnerKey,
    pub(crate) way: Way,
}

/// What is to be loaded, and why.
struct Load {
    name: String,
    key: RunnerKey,
    way: Way,
    swap: Swap,
}

/// Makes sure that a model is loaded, if it is one of this machine. Returns the turn, and what the load took if there
/// was one. A model that Ollama fails to load is not tried each time: that would put the loaded one out.
pub(crate) async fn ensure_loaded(
    shared: &Arc<Shared>,
    mut turn: Turn,
    wanted: Wanted<'_>,
    says: &Says,
) -> Result<(Turn, Option<Duration>), Broken> {
    match turn.site() {
        Site::Here => {}
        Site::Cloud => return Ok((turn, None)),
    }
    if turn.residency().is_doubtful(Instant::now()) {
        let running = shared.inventory.running().await.map_err(Broken::from);
        let running = running.inspect_err(|broken| turn.went_wrong(broken))?;
        let loaded = running.into_iter().map(|running| running.loaded).collect();
        turn.residency().observe(loaded, Instant::now());
    }
    let Wanted { name, key, way } = wanted;
    let Some(swap) = turn.residency().swap_for(key) else { return Ok((turn, None)) };
    if let Some(error) = turn.barred() {
        return Err(error.into());
    }
    let load = Load { name: name.to_owned(), key: key.clone(), way, swap };
    // A task, so that the load goes on if the job is cancelled: closing the connection would make
    // Ollama throw minutes of work away that the next job may need. It keeps the turn until then.
    let task = tokio::spawn(run(Arc::clone(shared), turn, load));
    let _nobody_listens = says.send(Said::Loading);
    let ended = task.await;
    let _nobody_listens = says.send(Said::Ready);
    let stopped = |_| Broken::off(Outcome::Cancelled, "the load was stopped with the host");
    ended.map_err(stopped)?.map(|(turn, took)| (turn, Some(took)))
}

async fn run(shared: Arc<Shared>, mut turn: Turn, load: Load) -> Result<(Turn, Duration), Broken> {
    let began_at = Instant::now();
    // Until it is done nobody knows what is loaded.
    turn.residency().doubt();
    turn.asks();
    let asked = ask(&shared, &load.name, load.way, &load.key).await;
    asked.inspect_err(|broken| {
        tracing::warn!(model = load.name, error = %broken.error, "Ollama has not loaded a model");
        turn.load_went_wrong(broken);
    })?;
    let took = began_at.elapsed();
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(model = load.name, key = %load.key, took_ms, "Ollama has loaded a model");
    turn.loaded(&load.name, load.key, load.swap, took);
    shared.stirred.notify_one();
    Ok((turn, took))
}

/// Asks Ollama to load a model and to keep it for as long as the operator wants. If it is loaded, the time begins anew.
pub(crate) async fn ask(
    shared: &Shared,
    name: &str,
    way: Way,
    key: &RunnerKey,
) -> Result<(), Broken> {
    let keep_alive = shared.config.keep_alive.as_deref();
    let body = request::load(name, way, key, keep_alive)?;
    let path = match way {
        Way::Generate => "/api/generate",
        Way::Embed => "/api/embed",
    };
    let patience = shared.config.first_byte;
    let answer = async {
        let response = shared.client.post(path, body).await?;
        response.finish().await.map_err(|cut| Broken::cut(&cut))
    };
    let answered = tokio::time::timeout(patience, answer).await;
    answered.unwrap_or_else(|_elapsed| Err(Broken::silent(patience)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use roughneck_jobs::{delivery::Notice, job::LogLine, ports::runner::Standing, usage::Usage};
    use tokio::task::coop;

    use super::*;

    #[derive(Default)]
    struct Witness(Mutex<Vec<bool>>);

    #[async_trait]
    impl Supervisor for Witness {
        fn standing(&self) -> Standing {
            Standing::Held
        }
        fn began(&self) {}
        async fn loading(&self, loading: bool) {
            self.0.lock().unwrap().push(loading);
        }
        async fn gave_way(&self) {}
        fn text(&self, _piece: &str) {}
        fn retract(&self) {}
        fn progress(&self, _percent: Option<u8>, _note: String) {}
        fn log(&self, _line: LogLine) {}
        fn spent(&self, _usage: &Usage) {}
        fn notify(&self, _notice: Notice) {}
    }

    #[tokio::test]
    async fn what_is_said_last_is_heard_from_a_task_that_has_had_its_share_of_the_thread() {
        let witness = Arc::new(Witness::default());
        let works = |says: Says| async move {
            while coop::has_budget_remaining() {
                coop::consume_budget().await;
            }
            for said in [Said::Loading, Said::Ready] {
                says.send(said).unwrap();
            }
        };
        tokio::spawn(telling(Arc::clone(&witness) as _, works)).await.unwrap();
        assert_eq!(*witness.0.lock().unwrap(), [true, false]);
    }
}
