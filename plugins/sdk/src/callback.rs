//! Durable notifications: signed, and delivered at least once if the attempt succeeds.

use serde::Serialize;

use crate::Failure;
use crate::bindings::roughneck::plugin::callback;

/// Queues `event` with `data` for `target`, a name of the manifest whose URL only the operator
/// knows.
///
/// # Errors
/// If the target is not granted, the event is too large, or `data` cannot be written as JSON.
pub fn notify(target: &str, event: &str, data: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(data).map_err(|error| {
        Failure::fail(
            "unwritable-event",
            format!("The event `{event}` cannot be written as JSON: {error}."),
        )
    })?;
    Ok(callback::notify(target, event, &json)?)
}
