//! `roughneck model load`: has a model loaded before somebody waits for it.

use anyhow::Result;
use serde::Serialize;

use super::{Host, installed, ps};
use crate::{
    client::{Caller, with_hint},
    terminal::{self, clean},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The model, or an alias of the host
    name: String,
    /// The context to load it with, in tokens [default: the host's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    num_ctx: Option<u64>,
}

/// A call that asks nothing: Ollama loads the model for it.
#[derive(Serialize)]
struct Load<'a> {
    model: &'a str,
    /// Only embedders have one, and they are refused without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
}

#[derive(Serialize)]
struct Options {
    num_ctx: u64,
}

pub(super) async fn run(host: &Host, caller: &Caller, arguments: &Arguments) -> Result<()> {
    let Arguments { name, num_ctx } = arguments;
    let models = installed(host).await?;
    let is_embedder = models.iter().any(|model| model.is_called(name) && model.is_embedder());
    let path = if is_embedder { "/api/embed" } else { "/api/generate" };
    let load = Load {
        model: name,
        input: is_embedder.then_some(""),
        options: num_ctx.map(|num_ctx| Options { num_ctx }),
    };
    let answered = async { caller.call(path, &load, None).await?.last().await };
    let last = match answered.await {
        Ok(last) => last,
        Err(error) => return Err(with_hint(&host.client, name, error).await),
    };
    if host.json {
        return terminal::print(&format!("{}\n", last.text));
    }
    terminal::tell(&format!("{} is loaded", clean(name)));
    ps::run(host).await
}
