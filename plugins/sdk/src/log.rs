//! The job's own log: kept with the attempt, bounded by the manifest's `log` limit, and never a
//! reason to wait.

use crate::bindings::roughneck::plugin::log::{Level, write};

/// For someone who looks into this plugin.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// A step of the work.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Something is odd, and the job goes on.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Something failed.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}
