//! Ollama's surface beside a proxy that does nothing: `cargo xtask bench gateway`.
//!
//! What it does: a simulated Ollama that takes no time ([`ollama`]) is asked directly, through nginx
//! ([`proxy`]) and through the host, in turns. What a way adds is its figure less the direct one's.
//!
//! To add a cell, write a file here and a line in [`ALL`].

mod chunks;
mod first_byte;
mod gap;
mod ollama;
mod proxy;

use std::net::SocketAddr;

use anyhow::Result;

use crate::{host::Host, stand::Stand, table::Row, wire::Request};

use ollama::Ollama;
use proxy::Proxy;

pub(crate) use ollama::{COMMAND as OLLAMA, simulate};
pub(crate) use proxy::Installed;

/// A cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    FirstByte,
    Chunks,
    Gap,
}

/// All cells, by the name that `--only` takes.
pub(crate) const ALL: [(&str, Cell); 3] =
    [("first-byte", Cell::FirstByte), ("chunks", Cell::Chunks), ("gap", Cell::Gap)];

impl Cell {
    /// Measures the cell, beside the proxy if there is one.
    ///
    /// # Errors
    /// If a process does not do what it should.
    pub(crate) async fn measure(
        self,
        stand: &Stand,
        proxy: Option<&Installed>,
    ) -> Result<Vec<Row>> {
        match self {
            Self::FirstByte => first_byte::measure(stand, proxy).await,
            Self::Chunks => chunks::measure(stand, proxy).await,
            Self::Gap => gap::measure(stand).await,
        }
    }
}

/// A streaming chat whose answer is at most so many tokens long.
fn chat(tokens_max: usize) -> Request {
    let body = format!(
        r#"{{"model":"qwen3:4b","messages":[{{"role":"user","content":"Why is the sky blue?"}}],"options":{{"num_predict":{tokens_max}}}}}"#
    );
    Request::post("/api/chat", &body)
}

/// An Ollama, and the ways to it.
struct Ways {
    ollama: Ollama,
    proxy: Option<Proxy>,
    host: Host,
}

/// A way to Ollama.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Direct,
    Proxy,
    Host,
}

impl Ways {
    /// Starts an Ollama whose answers have so many words, and what stands in front of it.
    async fn start(stand: &Stand, proxy: Option<&Installed>, words: usize) -> Result<Self> {
        let ollama = Ollama::start(stand, words).await?;
        let host = Host::start_before(stand, &format!("http://{}", ollama.address)).await?;
        let proxy = match proxy {
            Some(_) => Some(Proxy::start(stand, ollama.address).await?),
            None => None,
        };
        Ok(Self { ollama, proxy, host })
    }

    /// Those that there are, in the order in which they take their turns.
    fn all(&self) -> Vec<Way> {
        let proxy = self.proxy.as_ref().map(|_| Way::Proxy);
        [Some(Way::Direct), proxy, Some(Way::Host)].into_iter().flatten().collect()
    }

    fn address(&self, way: Way) -> SocketAddr {
        match (way, &self.proxy) {
            (Way::Proxy, Some(proxy)) => proxy.address,
            (Way::Direct | Way::Proxy, _) => self.ollama.address,
            (Way::Host, _) => self.host.address,
        }
    }

    /// CPU time of what stands in the way so far, in microseconds.
    fn cpu_us(&self, way: Way) -> f64 {
        match (way, &self.proxy) {
            (Way::Proxy, Some(proxy)) => proxy.process.cpu_us(),
            (Way::Direct | Way::Proxy, _) => 0.0,
            (Way::Host, _) => self.host.process.cpu_us(),
        }
    }

    async fn kill(self) -> Result<()> {
        self.host.kill().await?;
        if let Some(proxy) = self.proxy {
            proxy.process.kill().await?;
        }
        self.ollama.process.kill().await
    }
}
