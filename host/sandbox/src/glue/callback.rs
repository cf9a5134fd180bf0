//! Glue of `roughneck:plugin/callback`.

use super::NotDone;
use crate::{bindings::roughneck::plugin::callback::Host, guest::Guest};

impl Host for Guest {
    fn notify(&mut self, target: String, event: String, json: String) -> Result<(), NotDone> {
        Ok(self.session.notify(&target, &event, json)?)
    }
}
