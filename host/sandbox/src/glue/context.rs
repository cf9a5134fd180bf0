//! Glue of `roughneck:plugin/context`.

use super::stop;
use crate::{bindings::roughneck::plugin::context::Host, guest::Guest};

impl Host for Guest {
    fn job_id(&mut self) -> wasmtime::Result<String> {
        self.session.job_id().map_err(stop)
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        self.session.attempt().map_err(stop)
    }

    fn max_attempts(&mut self) -> wasmtime::Result<u32> {
        self.session.max_attempts().map_err(stop)
    }

    fn deadline(&mut self) -> wasmtime::Result<u64> {
        self.session.deadline().map_err(stop)
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        self.session.cancelled().map_err(stop)
    }

    fn trace_parent(&mut self) -> wasmtime::Result<Option<String>> {
        self.session.trace_parent().map_err(stop)
    }

    fn idempotency_key(&mut self, scope: String) -> wasmtime::Result<String> {
        self.session.idempotency_key(&scope).map_err(stop)
    }

    fn config(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.session.config(&key).map_err(stop)
    }
}
