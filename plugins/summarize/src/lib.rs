//! A text becomes a title, a summary and key points.
//!
//! [`request`] decides what to ask, [`answer`] what to accept; both are pure. This file only talks
//! to the host.

use roughneck_sdk::{Failure, Job, context, llm, log, progress};

mod answer;
mod request;

pub use answer::Output;
pub use request::Input;

/// The plugin.
#[derive(Debug)]
pub struct Summarize;

roughneck_sdk::export!(Summarize);

impl Job for Summarize {
    type Input = Input;
    type Output = Output;

    fn run(_kind: &str, input: Input) -> Result<Output, Failure> {
        let request = request::Request::new(input)?;
        log::info(format!(
            "summarising {} characters in at most {} points",
            request.text_chars, request.points_max
        ));
        progress::report(0, "reading the text");

        let mut stream = llm::chat(&request.model)
            .system(&request.system)
            .user(&request.user)
            .schema(&request.schema)
            .temperature(request::TEMPERATURE)
            .stream()?;
        let (mut written_chars, mut percent) = (0, 0);
        for piece in &mut stream {
            written_chars += piece?.chars().count();
            let now = request.percent(written_chars);
            if now > percent {
                percent = now;
                progress::report(percent, "writing the summary");
                context::check_cancelled()?;
            }
        }
        let completion = stream.finish()?;

        progress::report(99, "checking the summary");
        answer::check(
            &completion.text,
            &completion.finish_reason,
            completion.model,
            request.points_max,
        )
    }
}
