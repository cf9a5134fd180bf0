//! Glue of `roughneck:plugin/log`.

use roughneck_jobs::job::LogLevel;

use crate::{
    bindings::roughneck::plugin::log::{Host, Level},
    guest::Guest,
};

impl Host for Guest {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.session.log(level, &message);
        Ok(())
    }
}
