//! Glue of `roughneck:plugin/http`.

use roughneck_capabilities::http::Request;
use wasmtime::component::Resource;

use super::{NotDone, stop};
use crate::{
    bindings::roughneck::plugin::http::{Host, HostRequest, Response},
    guest::Guest,
};

impl HostRequest for Guest {
    fn new(&mut self, method: String, url: String) -> wasmtime::Result<Resource<Request>> {
        let request = self.session.http_request(&method, &url).map_err(stop)?;
        Ok(self.table.push(request)?)
    }

    fn header(
        &mut self,
        this: Resource<Request>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.session.count().map_err(stop)?;
        self.table.get_mut(&this)?.header(&name, &value);
        Ok(())
    }

    fn body(&mut self, this: Resource<Request>, data: Vec<u8>) -> wasmtime::Result<()> {
        self.session.count().map_err(stop)?;
        self.table.get_mut(&this)?.body(data);
        Ok(())
    }

    fn timeout_ms(&mut self, this: Resource<Request>, v: u32) -> wasmtime::Result<()> {
        self.session.count().map_err(stop)?;
        self.table.get_mut(&this)?.timeout_ms(v);
        Ok(())
    }

    fn drop(&mut self, this: Resource<Request>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Host for Guest {
    async fn send(&mut self, req: Resource<Request>) -> Result<Response, NotDone> {
        let request = self.table.delete(req)?;
        let response = self.session.http_send(request).await?;
        Ok(Response { status: response.status, headers: response.headers, body: response.body })
    }
}
