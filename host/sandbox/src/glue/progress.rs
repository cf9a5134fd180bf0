//! Glue of `roughneck:plugin/progress`.

use crate::{bindings::roughneck::plugin::progress::Host, guest::Guest};

impl Host for Guest {
    fn report(&mut self, percent: Option<u8>, note: String) -> wasmtime::Result<()> {
        self.session.report(percent, &note);
        Ok(())
    }
}
