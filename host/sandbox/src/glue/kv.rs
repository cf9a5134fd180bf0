//! Glue of `roughneck:plugin/kv`.

use roughneck_capabilities::kv::Namespace;
use wasmtime::component::Resource;

use super::NotDone;
use crate::{
    bindings::roughneck::plugin::kv::{Host, HostStore},
    guest::Guest,
};

impl HostStore for Guest {
    fn open(&mut self, name: String) -> Result<Resource<Namespace>, NotDone> {
        let namespace = self.session.kv_open(&name)?;
        Ok(self.table.push(namespace)?)
    }

    async fn get(
        &mut self,
        this: Resource<Namespace>,
        key: String,
    ) -> Result<Option<Vec<u8>>, NotDone> {
        let namespace = self.table.get(&this)?;
        Ok(self.session.kv_get(namespace, &key).await?)
    }

    async fn set(
        &mut self,
        this: Resource<Namespace>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), NotDone> {
        let namespace = self.table.get(&this)?;
        Ok(self.session.kv_set(namespace, &key, value).await?)
    }

    async fn delete(&mut self, this: Resource<Namespace>, key: String) -> Result<bool, NotDone> {
        let namespace = self.table.get(&this)?;
        Ok(self.session.kv_delete(namespace, &key).await?)
    }

    fn drop(&mut self, this: Resource<Namespace>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Host for Guest {}
