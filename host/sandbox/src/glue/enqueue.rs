//! Glue of `roughneck:plugin/enqueue`.

use roughneck_capabilities::enqueue::Spec;
use wasmtime::component::Resource;

use super::{NotDone, failure, stop};
use crate::{
    bindings::roughneck::plugin::{
        enqueue::{Host, HostSpec},
        types::Failure,
    },
    guest::Guest,
};

impl HostSpec for Guest {
    fn new(
        &mut self,
        kind: String,
        name: String,
        input: Vec<u8>,
    ) -> wasmtime::Result<Resource<Spec>> {
        let spec = self.session.child(kind, name, input).map_err(stop)?;
        Ok(self.table.push(spec)?)
    }

    fn priority(&mut self, this: Resource<Spec>, name: String) -> wasmtime::Result<()> {
        self.session.count().map_err(stop)?;
        self.table.get_mut(&this)?.priority(&name);
        Ok(())
    }

    fn run_at_ms(&mut self, this: Resource<Spec>, unix_ms: u64) -> wasmtime::Result<()> {
        self.session.count().map_err(stop)?;
        self.table.get_mut(&this)?.run_at_ms(unix_ms);
        Ok(())
    }

    fn drop(&mut self, this: Resource<Spec>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Host for Guest {
    async fn submit(&mut self, s: Resource<Spec>) -> Result<String, NotDone> {
        let spec = self.table.delete(s)?;
        Ok(self.session.submit(spec).await?)
    }

    async fn await_all(
        &mut self,
        job_ids: Vec<String>,
    ) -> Result<Vec<Result<Vec<u8>, Failure>>, NotDone> {
        let ends = self.session.await_all(&job_ids).await?;
        Ok(ends.into_iter().map(|end| end.map_err(failure)).collect())
    }
}
