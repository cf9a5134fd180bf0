//! From a file to compiled code.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use crate::{
    cache::Cache,
    read::{NotRead, read},
    refused::Refused,
};

/// Largest component. A whole Python interpreter has 18 MB.
const COMPONENT_BYTES_MAX: u64 = 64 << 20;

/// The first bytes of a component: wasm's magic number, then version 13 of layer 1.
const COMPONENT_HEADER: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

/// Compiled code and where it came from.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    /// SHA-256 of the file, in hexadecimal.
    pub(crate) digest_hex: String,
    /// How long the compiler took, or none if the code was in the cache.
    pub(crate) compile_time: Option<Duration>,
}

/// Reads, checks and compiles a component.
pub(crate) fn compile(
    path: &Path,
    engine: &Engine,
    cache: Option<&Cache>,
) -> Result<Compiled, Refused> {
    let wasm = component(path)?;
    let digest_hex = hex(&Sha256::digest(&wasm));
    if let Some(component) = cache.and_then(|cache| cache.get(engine, &digest_hex)) {
        return Ok(Compiled { component, digest_hex, compile_time: None });
    }
    let started = Instant::now();
    let component = caught(|| Component::from_binary(engine, &wasm)).map_err(|why| {
        let why = roughneck_capabilities::clip(&why, 300);
        let sentence = format!("{} does not compile: {why}; build it again", shown(path));
        Refused::new("component-invalid", sentence)
    })?;
    let compile_time = Some(started.elapsed());
    if let Some(Err(error)) = cache.map(|cache| cache.put(&digest_hex, &component)) {
        tracing::warn!(%error, "compiled code cannot be kept; the next start will compile it again");
    }
    Ok(Compiled { component, digest_hex, compile_time })
}

/// What the compiler made, or why not. If it panics on what a stranger wrote, one plugin is refused and
/// the host goes on.
fn caught<T>(compile: impl FnOnce() -> wasmtime::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(compile)) {
        Ok(compiled) => compiled.map_err(|error| error.root_cause().to_string()),
        Err(_) => Err("it makes the compiler crash".to_owned()),
    }
}

fn component(path: &Path) -> Result<Vec<u8>, Refused> {
    let wasm = read(path, COMPONENT_BYTES_MAX).map_err(|error| match error {
        NotRead::Failed(_) | NotRead::NotAFile => {
            let sentence = format!(
                "{} cannot be read ({error}); build the plugin, or correct `component.source` in plugin.toml",
                shown(path)
            );
            Refused::new("component-missing", sentence)
        }
        NotRead::TooLarge(bytes_max) => {
            let sentence = format!(
                "{} has more than the {bytes_max} bytes a component may have; build it for size and strip it",
                shown(path)
            );
            Refused::new("component-too-large", sentence)
        }
    })?;
    if wasm.starts_with(&COMPONENT_HEADER) { Ok(wasm) } else { Err(not_a_component(path, &wasm)) }
}

fn not_a_component(path: &Path, bytes: &[u8]) -> Refused {
    let what = if bytes.starts_with(b"\0asm") {
        "is a core module, not a component"
    } else {
        "is not WebAssembly"
    };
    let sentence = format!(
        "{} {what}; build one with `cargo build --release --target wasm32-wasip2`, or turn a module into one with `wasm-tools component new`",
        shown(path)
    );
    Refused::new("not-a-component", sentence)
}

/// The file's name; its folder is named beside the refusal.
fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_panics_refuses_one_plugin() {
        let panics = || -> wasmtime::Result<()> { panic!("a bug of the compiler") };
        assert!(caught(panics).unwrap_err().contains("makes the compiler crash"));
        assert_eq!(caught::<()>(|| Err(wasmtime::Error::msg("odd"))).unwrap_err(), "odd");
    }
}
