//! The kinds that `cargo xtask bench queue` measures the queue with: no sandbox, no work. They are off
//! unless `serve` is told `--bench-kinds`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roughneck_jobs::{
    failure::{Failure, code},
    manifest::ManifestError,
    ports::runner::{Assignment, Outcome, Runner, Supervisor},
};

use super::Native;
use crate::system;

/// The world is that of a plugin which is granted nothing; there is no component behind it.
const MANIFEST: &str = r#"
manifest = 1

[plugin]
name = "bench"
version = "1.0.0"
world = "roughneck:plugin/job-pure@1.0.0"
description = "Kinds to measure the queue with."

[component]
source = "native"

[[kind]]
name = "noop"
class = "io"
description = "Returns its input at once."
retry = { max = 1 }

[[kind]]
name = "stamp"
class = "io"
description = "Returns the instant it began, in microseconds since the Unix epoch."
retry = { max = 1 }

[[kind]]
name = "hold"
class = "io"
timeout = "1h"
description = "Holds its slot until it is cancelled or its time is up."
retry = { max = 1 }
"#;

/// The kinds of the benchmark.
///
/// # Errors
/// [`ManifestError`], if the manifest above is wrong.
pub(crate) fn native() -> Result<Native, ManifestError> {
    Native::new(MANIFEST, Arc::new(Bench))
}

struct Bench;

#[async_trait]
impl Runner for Bench {
    async fn run(&self, assignment: Assignment, supervisor: Arc<dyn Supervisor>) -> Outcome {
        supervisor.began();
        let kind = &assignment.served.kind;
        let output = match kind.name.as_str() {
            "noop" => assignment.job.input,
            "stamp" => format!(r#"{{"began_us":{}}}"#, system::unix_us()),
            "hold" => {
                // Dropped in the middle when the job is cancelled.
                tokio::time::sleep(Duration::from_millis(kind.timeout_ms)).await;
                "null".to_owned()
            }
            other => {
                let message = format!("the benchmark has no kind `{other}`");
                return Outcome::Failed(Failure::fatal(code::KIND_MISSING, message));
            }
        };
        Outcome::Done { output }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_can_be_read() {
        assert!(native().is_ok());
    }
}
