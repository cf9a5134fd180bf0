//! `roughneck model unload`: takes a model out of memory.

use anyhow::Result;
use serde_json::json;

use super::Host;
use crate::{
    client::Caller,
    terminal::{self, clean},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The model, or an alias of the host
    name: String,
}

pub(super) async fn run(host: &Host, caller: &Caller, arguments: &Arguments) -> Result<()> {
    let name = &arguments.name;
    let unload = json!({ "model": name, "keep_alive": 0 });
    let last = caller.call("/api/generate", &unload, None).await?.last().await?;
    if host.json {
        return terminal::print(&format!("{}\n", last.text));
    }
    // The host answers the same if it keeps the model, because Ollama's clients know no other answer.
    terminal::print(&format!("{} is unloaded, unless a job uses it or waits for it\n", clean(name)))
}
