//! A panic ends the guest with a trap that says nothing, so its words go to the job's log first.

use std::panic;
use std::sync::Once;

use crate::log;

pub(crate) fn report_to_log() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| panic::set_hook(Box::new(|report| log::error(report.to_string()))));
}
