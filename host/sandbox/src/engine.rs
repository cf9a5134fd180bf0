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
        // No toolchain of plugins needs it, and limits are simpler without sizes near 2^64.
        .wasm_memory64(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        // Nothing of the host may leak through a difference between two CPUs.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    Engine::new(&config)
}

#[cfg(test)]
mod tests {
    use wasmtime::Module;

    #[test]
    fn memories_and_tables_have_32_bit_addresses() {
        let engine = super::new().unwrap();
        let module = |section: &[u8]| [&b"\0asm\x01\0\0\0"[..], section].concat();
        // Section, its length, one entry: a memory or a table of functions, flags, no page or element.
        for (section, is_valid) in [
            (&[5, 3, 1, 0, 0][..], true),
            (&[5, 3, 1, 4, 0], false),
            (&[4, 4, 1, 0x70, 0, 0], true),
            (&[4, 4, 1, 0x70, 4, 0], false),
        ] {
            let checked = Module::validate(&engine, &module(section));
            assert_eq!(checked.is_ok(), is_valid, "{section:?}: {checked:?}");
        }
    }
}
