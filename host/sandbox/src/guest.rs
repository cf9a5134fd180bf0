//! What a store holds for its guest.

use std::sync::Arc;

use roughneck_capabilities::Session;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::{cpu::CpuMeter, memory::MemoryMeter};

/// Requests and streams a guest may hold at once.
const RESOURCES_MAX: usize = 256;

/// Handles of the empty WASI: standard streams and directories that are not there.
const WASI_RESOURCES_MAX: usize = 1024;

/// Random bytes of one call. They are made in the host's memory, which no limit of the guest counts.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// The state of one guest.
pub(crate) struct Guest {
    pub(crate) session: Session,
    /// Its requests, streams and stores.
    pub(crate) table: ResourceTable,
    pub(crate) memory: MemoryMeter,
    pub(crate) cpu: Arc<CpuMeter>,
    wasi: WasiCtx,
    wasi_table: ResourceTable,
}

impl Guest {
    pub(crate) fn new(session: Session, memory: MemoryMeter) -> Self {
        let table = |capacity_max| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(capacity_max);
            table
        };
        Self {
            session,
            table: table(RESOURCES_MAX),
            memory,
            cpu: Arc::new(CpuMeter::new()),
            wasi: no_authority(),
            wasi_table: table(WASI_RESOURCES_MAX),
        }
    }
}

/// WASI for languages whose runtime wants it at start: no file, no variable, no argument, no socket.
/// A clock and random numbers are all there is.
fn no_authority() -> WasiCtx {
    WasiCtx::builder()
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(RANDOM_BYTES_MAX)
        .build()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.wasi_table }
    }
}
