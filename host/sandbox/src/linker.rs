//! What a component may link to.

use wasmtime::{
    Engine,
    component::{HasSelf, Linker},
};

use crate::{bindings::roughneck::plugin, guest::Guest};

/// The contract and an empty WASI. Every component links to the same: what it may *do* is decided by
/// the gates when it is loaded and by its session when it runs.
pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    plugin::types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::context::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::progress::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::llm::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::http::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::callback::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::kv::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    plugin::enqueue::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    Ok(linker)
}
