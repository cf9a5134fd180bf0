//! What the people who wait for the job see while it runs.

use crate::bindings::roughneck::plugin::progress;

/// How far the work is, 0 to 100, and what it does now. Reporting often is cheap: the last report
/// wins.
pub fn report(percent: u8, note: impl AsRef<str>) {
    progress::report(Some(percent), note.as_ref());
}

/// What the work does now, when nobody can say how far it is.
pub fn note(note: impl AsRef<str>) {
    progress::report(None, note.as_ref());
}
