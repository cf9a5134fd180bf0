//! The promises of the queue, held against a history.

mod attempts;
mod cancelled;
mod deadlines;
mod deliveries;
mod ends;
mod exclusion;
mod fence;
mod fires;
mod flows;
#[cfg(test)]
mod given;
mod kept;
mod once;
mod parked;
mod pauses;
mod slots_left;

use crate::History;

/// One sentence for each promise that was broken. `slots` are the classes and what they have.
pub(crate) fn check(history: &History, slots: &[(&str, u32)]) -> Vec<String> {
    let mut broken = Vec::new();
    broken.extend(exclusion::check(history, slots));
    broken.extend(slots_left::check(history, slots));
    broken.extend(parked::check(history));
    broken.extend(fence::check(history));
    broken.extend(ends::check(history));
    broken.extend(cancelled::check(history));
    broken.extend(attempts::check(history));
    broken.extend(kept::check(history));
    broken.extend(once::check(history));
    broken.extend(deliveries::check(history));
    broken.extend(flows::check(history));
    broken.extend(fires::check(history));
    broken.extend(pauses::check(history));
    broken.extend(deadlines::check(history));
    broken
}
