//! `roughneck model unload`: takes a model out of memory.

use anyhow::Result;
use serde_json::json;

use super::{Host, installed};
use crate::{
    client::{Caller, with_hint},
    terminal::{self, clean},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The model, or an alias of the host
    name: String,
}

pub(super) async fn run(host: &Host, caller: &Caller, arguments: &Arguments) -> Result<()> {
    let name = &arguments.name;
    // An Ollama that is away has nothing loaded; the call would wait for it in silence.
    installed(host).await?;
    let unload = json!({ "model": name, "keep_alive": 0 });
    let call = match caller.call("/api/generate", &unload, None).await {
        Ok(call) => call,
        Err(error) => return Err(with_hint(&host.client, name, error).await),
    };
    let is_kept = call.is_kept;
    let last = call.last().await?;
    if host.json {
        return terminal::print(&format!("{}\n", last.text));
    }
    let done = if is_kept { "stays loaded: others use it or wait for it" } else { "is unloaded" };
    terminal::print(&format!("{} {done}\n", clean(name)))
}
