//! The promises of the queue, held against a history.

mod attempts;
mod cancelled;
mod deliveries;
mod ends;
mod exclusion;
mod fence;
#[cfg(test)]
mod given;
mod kept;
mod once;
mod slots_left;

use crate::History;

/// One sentence for each promise that was broken. `slots` are the classes and what they have.
pub(crate) fn check(history: &History, slots: &[(&str, u32)]) -> Vec<String> {
    let mut broken = Vec::new();
    broken.extend(exclusion::check(history, slots));
    broken.extend(slots_left::check(history, slots));
    broken.extend(fence::check(history));
    broken.extend(ends::check(history));
    broken.extend(cancelled::check(history));
    broken.extend(attempts::check(history));
    broken.extend(kept::check(history));
    broken.extend(once::check(history));
    broken.extend(deliveries::check(history));
    broken
}
