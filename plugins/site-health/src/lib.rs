//! Watches a web page: fetches it, compares with the last time, and notifies when it went down or
//! came back.
//!
//! [`watch`] holds what to expect of a page and what a change is; it is pure. This file only talks
//! to the host.

use std::time::Duration;

use roughneck_sdk::{Failure, Job, callback, context, http, kv, log};

mod watch;

use watch::{Expectation, Memory, Sighting};
pub use watch::{Input, Output};

/// A page that takes longer is down for its visitors. Well below the kind's timeout, so that a slow
/// page is a result.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const STORE: &str = "sites";
const EVENT: &str = "site.changed";

/// The plugin.
#[derive(Debug)]
pub struct SiteHealth;

roughneck_sdk::export!(SiteHealth);

impl Job for SiteHealth {
    type Input = Input;
    type Output = Output;

    fn run(_kind: &str, input: Input) -> Result<Output, Failure> {
        let expectation = Expectation::new(input)?;
        let store = kv::open(STORE)?;
        let job_id = context::job_id();
        let memory: Option<Memory> = store.get(&expectation.url)?;
        let previous = memory.and_then(|memory| memory.before(&job_id));
        let now = look(&expectation)?;
        log::info(format!("{}: {now}", expectation.url));

        let output = Output::compare(&expectation, previous, now);
        if output.changed {
            callback::notify(&expectation.target, EVENT, &output)?;
        }
        // The notification leaves when the job ends, the state is kept at once. If the host dies between
        // the two, the next attempt compares with the same state as this one and notifies again.
        store.set(&expectation.url, &Memory::new(job_id, previous, output.state()))?;
        Ok(output)
    }
}

/// A page that nobody serves is a finding. A page that the host does not let us fetch is a failure:
/// its sentence says which grant lacks.
fn look(expectation: &Expectation) -> Result<Sighting, Failure> {
    match http::get(&expectation.url).timeout(ANSWER_WITHIN).send() {
        Ok(response) => Ok(expectation.judge(response.status(), response.body())),
        Err(error) if http::is_unreachable(&error) => Ok(Sighting::unreachable(error.message)),
        Err(error) => Err(error.into()),
    }
}
