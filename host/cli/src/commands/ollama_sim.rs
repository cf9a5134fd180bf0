//! `roughneck ollama-sim`: a simulated Ollama, for trying things out without a model.

use std::{io::Write as _, net::SocketAddr};

use anyhow::{Context, Result};
use roughneck_testkit::ollama::{Config, FakeOllama};

use crate::signals::StopSignals;

/// Arguments of `roughneck ollama-sim`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:11434", value_name = "ADDR:PORT")]
    listen: SocketAddr,
}

/// Runs the simulator until it is stopped.
///
/// # Errors
/// If it cannot listen.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let listen = arguments.listen;
    let fake = FakeOllama::start(Config { listen, ..Config::demo() }).await.with_context(|| {
        format!(
            "the simulator cannot listen on {listen}; choose another port with --listen 127.0.0.1:0"
        )
    })?;
    let url = fake.url();
    // It answers whether or not anybody reads this.
    let _ = writeln!(
        std::io::stdout(),
        "a SIMULATED Ollama answers at {url}\nno model runs here, and every text is made up"
    );
    StopSignals::listen()?.next().await;
    fake.shutdown().await;
    Ok(())
}
