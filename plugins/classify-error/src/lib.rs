//! A stack trace gets a category of a fixed taxonomy, with a reason.
//!
//! [`taxonomy`] is the list, [`request`] decides what to ask, [`answer`] what to accept; all are
//! pure. This file only talks to the host.

use roughneck_sdk::{Failure, Job, llm, progress};

mod answer;
mod request;
mod taxonomy;

pub use answer::Output;
pub use request::Input;

/// The plugin.
#[derive(Debug)]
pub struct ClassifyError;

roughneck_sdk::export!(ClassifyError);

impl Job for ClassifyError {
    type Input = Input;
    type Output = Output;

    fn run(_kind: &str, input: Input) -> Result<Output, Failure> {
        let request = request::Request::new(&input)?;
        progress::note("asking the model");
        let completion = llm::chat(request::MODEL)
            .system(&request.system)
            .user(&request.user)
            .schema(&request.schema)
            .temperature(request::TEMPERATURE)
            .seed(request::SEED)
            .complete()?;
        answer::check(&completion.text, completion.model)
    }
}
