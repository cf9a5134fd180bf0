//! A simulated Ollama server.
//!
//! It answers what a client of the real one would get: the same routes, bodies, order of keys, content types, error
//! texts, streaming, statistics and scheduling (one model loaded at a time, one request at a time on it), with load
//! times and token rates to choose. It runs no model. Its texts are made from the prompt, always the same for the same
//! prompt, and say `[simulated]`; with a JSON Schema as `format` it writes a value that follows the schema.
//!
//! Tests use [`FakeOllama`] as a library, look at what it was asked ([`FakeOllama::log`], [`FakeOllama::loads`],
//! [`FakeOllama::in_flight_max`]), dictate replies ([`Reply`]) and switch faults ([`Faults`]). The product runs the same
//! thing as `roughneck ollama-sim`, for machines without an Ollama.
//!
//! Where a rule is our own: a token is a word or a sign (see `words.rs`), `eval_count` is the tokens of the answer plus
//! one for the end of the sequence, `prompt_eval_count` is the tokens of every part of the prompt plus four for each,
//! and no prompt is ever cached. A tool is called if it is offered and the prompt names it, with arguments that follow its
//! schema; once its result is there, the answer is about that. Any chat model takes images, at 64 tokens each, and looks
//! at none. A model thinks only if it is asked to. Models can be pulled, made, copied and deleted, but nothing is ever
//! downloaded or kept. What upstream has on top and the simulator does not: web search and sounds.
//! Its cloud is as much of a simulation, and on the same machine: what is asked of it needs no runner.

mod admin;
mod answer;
mod anthropic;
mod call;
mod clock;
mod config;
mod dialect;
mod embed;
mod faults;
mod generation;
mod images;
mod inventory;
mod keep_alive;
mod key;
mod log;
mod logprobs;
mod names;
mod native;
mod openai;
mod options;
mod reply;
mod request;
mod ring;
mod router;
mod runner;
mod schema;
mod server;
mod shelf;
mod structured;
mod think;
mod tools;
mod translated;
mod wire;
mod words;
mod zstd;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::listener::Listener;
use server::Server;

pub use clock::Pace;
pub use config::{Capability, Config, Model, Remote};
pub use faults::{Faults, Page};
pub use log::Recorded;
pub use reply::Reply;
pub use runner::{Load, LoadOutcome};

/// A running simulator. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct FakeOllama {
    server: Arc<Server>,
    listener: Listener<Server>,
}

impl FakeOllama {
    /// Listens, and answers from now on.
    ///
    /// # Errors
    /// When the address of the configuration cannot be bound.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listen = config.listen;
        let server = Arc::new(Server::new(config));
        let listener = Listener::start(listen, Arc::clone(&server)).await?;
        Ok(Self { server, listener })
    }

    /// The address that was really bound.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// The base URL, without a slash at the end: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// What it was asked, in order, as far back as the configuration keeps it.
    #[must_use]
    pub fn log(&self) -> Vec<Recorded> {
        self.server.log.snapshot()
    }

    /// Every load of a model so far, in order, aborted ones too. Its length is the number of swaps.
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        self.server.runner.loads()
    }

    /// The blobs that were uploaded: bytes by digest.
    #[must_use]
    pub fn blobs(&self) -> BTreeMap<String, u64> {
        self.server.shelf.blobs()
    }

    /// The switches for faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.server.faults.clone()
    }

    /// Adds replies for the next requests that want an answer, after those that are still due.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.server.script.append(replies);
    }

    /// The most chat and generate requests, loads included, that were ever at work or waiting at one time. Unloads and
    /// embeddings do not count. A client that leaves counts until its connection is seen to close.
    #[must_use]
    pub fn in_flight_max(&self) -> usize {
        self.server.log.in_flight_max()
    }

    /// Goes away: closes the port, cuts every connection and forgets the loaded model. Clients are refused until
    /// [`Self::listen_again`].
    pub async fn stop_listening(&self) {
        self.server.log.stopping(true);
        self.listener.stop().await;
        self.server.runner.clear();
    }

    /// Comes back on the same port, with no model loaded.
    ///
    /// # Errors
    /// When somebody else took the port in the meantime.
    pub async fn listen_again(&self) -> io::Result<()> {
        self.server.log.stopping(false);
        self.listener.listen_again().await
    }

    /// Stops for good, and returns when every connection is gone.
    pub async fn shutdown(self) {
        self.stop_listening().await;
    }
}

impl Drop for FakeOllama {
    fn drop(&mut self) {
        self.server.log.stopping(true);
    }
}
