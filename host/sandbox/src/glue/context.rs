//! Glue of `roughneck:plugin/context`.

use crate::{bindings::roughneck::plugin::context::Host, guest::Guest};

impl Host for Guest {
    fn job_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.session.job_id())
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.session.attempt())
    }

    fn max_attempts(&mut self) -> wasmtime::Result<u32> {
        Ok(self.session.max_attempts())
    }

    fn deadline(&mut self) -> wasmtime::Result<u64> {
        Ok(self.session.deadline())
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.session.cancelled())
    }

    fn trace_parent(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.session.trace_parent())
    }

    fn idempotency_key(&mut self, scope: String) -> wasmtime::Result<String> {
        Ok(self.session.idempotency_key(&scope))
    }

    fn config(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.session.config(&key))
    }
}
