//! `roughneck demo`: one job from end to end, with every step shown.
//!
//! It starts a real `roughneck serve` as a child process, talks to it over HTTP only, and plays the
//! receiver of the webhook. Without an Ollama it brings its own simulated one, and says so.

#![expect(clippy::indexing_slicing, reason = "indexing a JSON value never panics")]

mod host;
mod job;
mod screen;
mod upstream;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use roughneck_testkit::receiver::{Receiver, verify};

use crate::{signals::StopSignals, terminal::OutputClosed};
use host::{Host, Ready};
use screen::Screen;
use upstream::Upstream;

/// What is summarised when no text is named: this project's own front page.
const TEXT_DEFAULT: &str = include_str!("../../../../README.md");

/// How long the webhook may take.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(60);

/// Arguments of `roughneck demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of built plugins, as `cargo xtask guests` leaves it
    #[arg(long, default_value = "target/guests", value_name = "DIR")]
    plugins: PathBuf,
    /// The text to summarise [default: the README]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Stay up afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Tells the story. A signal ends it early; the host is stopped and its data removed in any case.
///
/// # Errors
/// The step that failed, and what to look at.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let mut stop = StopSignals::listen()?;
    crate::commands::serve::install_tls();
    let screen = Screen::new()?;
    let text = match &arguments.text {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("the text {} cannot be read", path.display()))?,
        None => TEXT_DEFAULT.to_owned(),
    };

    let upstream = Upstream::find().await?;
    screen.step("ollama", &upstream.story())?;
    let mut host = Host::start(&arguments.plugins, upstream.url())?;
    let story = async {
        let ready = host.ready().await?;
        screen.step("host", &ready.story())?;
        let id = tell(&ready, &text, upstream.is_simulated(), &screen).await?;
        screen.go_on(&ready.url, &id, arguments.keep)
    };
    let told = tokio::select! {
        // First: a signal may also end a host that is only being started, and that is not what happened.
        biased;
        () = stop.next() => Err(anyhow!("interrupted")),
        told = story => told,
    };
    let told = match told {
        Ok(()) if arguments.keep => {
            stop.next().await;
            Ok(())
        }
        Ok(()) => Ok(()),
        // Nobody would read what else there is to say.
        Err(error) if error.is::<OutputClosed>() => Err(error),
        Err(error) => Err(error.context(host.last_words())),
    };
    let stopped = host.stop().await;
    upstream.stop().await;
    told?;
    stopped?;
    screen.step("stop", "the host has stopped cleanly (exit 0)")
}

/// The job's story, from its submission to its webhook. Returns its id.
async fn tell(host: &Ready, text: &str, is_simulated: bool, screen: &Screen) -> Result<String> {
    let receiver = Receiver::start().await.context("no port is free for the webhook receiver")?;
    screen.step("webhook", &format!("a receiver waits at {}", receiver.url()))?;

    let submitted = job::submit(&host.url, text, &receiver.url()).await?;
    screen.step("job", &submitted.story())?;
    let job = job::follow(&host.url, &submitted.id, screen).await?;
    ensure!(
        job["state"] == "done",
        "the job ended as {}: {}",
        job["state"],
        job["error"]["message"]
    );
    screen.result(&job, is_simulated)?;

    let deliveries =
        receiver.wait_for(1, WEBHOOK_LIMIT).await.context("the webhook did not come")?;
    let delivery = deliveries.first().context("the webhook did not come")?;
    verify(&host.secret, &delivery.headers, &delivery.body)
        .context("the webhook's signature is wrong")?;
    screen.webhook(&delivery.body, &delivery.headers)?;
    Ok(submitted.id)
}

/// A client that goes straight to this machine, whatever proxy the environment names.
fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}
