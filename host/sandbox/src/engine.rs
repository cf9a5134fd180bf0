//! The one engine of the host.

use wasmtime::{Config, Engine};

/// Wasm stack of a guest. Deep recursion traps instead of using up the host's stack.
const STACK_BYTES_MAX: usize = 512 << 10;

/// Makes the engine: components, compiled by Cranelift, interruptible by epochs. Memories are made on
/// demand, because a pool reserves address space for the largest plugin times all slots.
pub(crate) fn new() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        // Nothing of the host may leak through a difference between two CPUs.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    Engine::new(&config)
}
