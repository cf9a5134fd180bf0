//! The artifact of a call: the words of the model, as plain text. The result of the job has them too, wrapped
//! in the JSON of the surface that was called.

use roughneck_jobs::{job::Job, ports::gateway::KIND};

use crate::App;

/// Its name among the artifacts of the job.
pub(crate) const NAME: &str = "completion";

/// Its content type.
pub(crate) const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// The words, if the job is a call, has ended well, and kept them.
pub(crate) fn of(app: &App, job: &Job) -> Option<String> {
    let result = job.output.as_deref().filter(|_| job.kind == KIND)?;
    app.ports.gateway.completion(result)
}
