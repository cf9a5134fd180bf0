//! Glue of `roughneck:plugin/context`.

use super::{NotDone, failure};
use crate::{
    bindings::roughneck::plugin::{
        context::{Host, Need},
        types::Failure,
    },
    guest::Guest,
};

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

    fn needs(&mut self) -> wasmtime::Result<Vec<Need>> {
        let needs = self.session.needs().iter().map(|need| Need {
            name: need.name.clone(),
            job_id: need.job.to_string(),
            state: need.state.as_str().to_owned(),
        });
        Ok(needs.collect())
    }

    async fn need_output(&mut self, name: String) -> Result<Option<Vec<u8>>, NotDone> {
        Ok(self.session.need_output(&name).await?)
    }

    fn need_failure(&mut self, name: String) -> wasmtime::Result<Option<Failure>> {
        Ok(self.session.need_failure(&name).cloned().map(failure))
    }
}
