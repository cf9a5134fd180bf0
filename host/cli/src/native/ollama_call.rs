//! The kind of calls that clients send to Ollama's surface. While their client waits the surface runs
//! them; here run those whose client comes back for the answer.

use std::sync::Arc;

use async_trait::async_trait;
use roughneck_jobs::{
    budget::PayingJob,
    caller::Caller,
    failure::{Failure, code},
    id::JobId,
    json,
    manifest::ManifestError,
    ports::{
        attended::{Attended, Halt},
        gateway::{CODE, CallRoute, ClientCall, Gateway, Origin, Place, Reply, ReplyBody},
        runner::{Assignment, Outcome, Runner, Supervisor},
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Native;

const MANIFEST: &str = r#"
manifest = 1

[plugin]
name = "ollama"
version = "1.0.0"
world = "roughneck:plugin/job-pure@1.0.0"
description = "Calls of Ollama's own surface."

[component]
source = "native"

[[kind]]
name = "ollama.call"
class = "ollama"
timeout = "1h"
description = "One call to Ollama: {\"path\": \"/api/chat\", \"body\": {…}}."
retry = { max = 3 }
"#;

/// The kind, over this gateway.
///
/// # Errors
/// [`ManifestError`], if the manifest above is wrong.
pub(crate) fn native(gateway: Arc<dyn Gateway>) -> Result<Native, ManifestError> {
    Native::new(MANIFEST, Arc::new(Calls(gateway)))
}

struct Calls(Arc<dyn Gateway>);

/// The input of a job.
#[derive(Deserialize)]
struct Input {
    path: String,
    /// On whose account the call goes, unless the job itself is for somebody.
    caller: Option<String>,
    body: Box<RawValue>,
}

#[async_trait]
impl Runner for Calls {
    async fn run(&self, assignment: Assignment, supervisor: Arc<dyn Supervisor>) -> Outcome {
        supervisor.began();
        let job = &assignment.job;
        let paying = PayingJob { id: job.id, spent: job.usage.tokens(), max: None };
        let call = match call(&job.input, job.caller.as_ref()) {
            Ok(call) => ClientCall { job: Some(paying), ..call },
            Err(why) => return Outcome::Failed(Failure::fatal(code::INVALID_INPUT, why)),
        };
        let place = Place { rank: job.rank, priority: job.priority };
        let run = Arc::new(Run { id: job.id, supervisor });
        match self.0.admit(call).await {
            Ok(admitted) => ended(admitted.run(place, run).await),
            Err(reply) => ended(reply),
        }
    }
}

/// The call that an input holds. Whom the job is for pays for it, and otherwise whom the input names.
fn call(input: &str, caller: Option<&Caller>) -> Result<ClientCall, String> {
    let input: Input = serde_json::from_str(input)
        .map_err(|error| format!("the input must be {{\"path\": …, \"body\": {{…}}}}: {error}"))?;
    let route = CallRoute::at(&input.path).ok_or_else(|| {
        let paths = CallRoute::ALL.map(CallRoute::path).join(", ");
        format!("`{}` is no path of a call; there are {paths}", input.path)
    })?;
    let body = input.body.get().to_owned().into();
    let caller = caller.map(ToString::to_string).or(input.caller);
    let (job, origin) = (None, Origin::Job);
    Ok(ClientCall { route, body, user_agent: None, caller, origin, job })
}

/// How the job ends that got this answer.
fn ended(reply: Reply) -> Outcome {
    let Reply { status, headers, body } = reply;
    let text = match body {
        ReplyBody::Whole(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // It was asked for in one piece.
        ReplyBody::Stream(_) => String::new(),
    };
    if (200..300).contains(&status) {
        if json::is_too_deep(&text) {
            let why = format!("the answer is nested deeper than {} levels", json::DEPTH_MAX);
            return Outcome::Failed(Failure::fatal(code::INVALID_OUTPUT, why));
        }
        return Outcome::Done { output: text };
    }
    let message = format!("the call was answered with status {status}: {text}");
    let header = |name: &str| headers.iter().find(|(known, _)| *known == name);
    if let Some((_, code)) = header(CODE) {
        let wait_s = header("retry-after").and_then(|(_, wait_s)| wait_s.parse::<u64>().ok());
        return refused(code, message, wait_s);
    }
    match status {
        503 => Outcome::Postponed(Failure::retry(code::OLLAMA_UNAVAILABLE, message)),
        404 => Outcome::Failed(Failure::fatal(code::MODEL_NOT_INSTALLED, message)),
        400..500 => Outcome::Failed(Failure::fatal(code::OLLAMA_REFUSED, message)),
        _ => Outcome::Failed(Failure::retry(code::OLLAMA_BROKE_OFF, message)),
    }
}

/// It was the host that refused the call, as for want of tokens, and said why: the job waits, unless that would be in vain.
fn refused(code: &str, message: String, wait_s: Option<u64>) -> Outcome {
    let Some(wait_s) = wait_s else { return Outcome::Failed(Failure::fatal(code, message)) };
    let retry_after_ms = Some(wait_s.saturating_mul(1000));
    Outcome::Postponed(Failure { retry_after_ms, ..Failure::retry(code, message) })
}

/// A run that the engine keeps the books of: it stops the run by dropping it, and hears of its end by
/// what it returns.
struct Run {
    id: JobId,
    supervisor: Arc<dyn Supervisor>,
}

#[async_trait]
impl Attended for Run {
    fn id(&self) -> JobId {
        self.id
    }

    fn supervisor(&self) -> Arc<dyn Supervisor> {
        Arc::clone(&self.supervisor)
    }

    fn begin(&self) {}

    async fn halted(&self) -> Halt {
        std::future::pending().await
    }

    fn end(&self, _: Outcome) {}
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::failure::Disposition;

    use super::*;

    #[test]
    fn the_manifest_can_be_read() {
        assert!(roughneck_jobs::manifest::parse(MANIFEST).is_ok());
    }

    #[test]
    fn an_input_that_is_no_call_says_what_one_is() {
        for (input, words) in [
            ("{}", "the input must be {\"path\": …, \"body\": {…}}: missing field `path`"),
            (r#"{"path":"/api/tags","body":{}}"#, "`/api/tags` is no path of a call"),
        ] {
            let why = call(input, None).unwrap_err();
            assert!(why.starts_with(words), "{why}");
        }
        let named = call(r#"{"path":"/api/chat","caller":"alice","body":{}}"#, None).unwrap();
        assert_eq!((named.route, named.caller.as_deref()), (CallRoute::Chat, Some("alice")));
        assert_eq!(call(r#"{"path":"/api/chat","body":{}}"#, None).unwrap().caller, None);
    }

    #[test]
    fn whom_the_job_is_for_pays_for_its_call_whoever_its_input_names() {
        let bob: Caller = "bob".parse().unwrap();
        for input in [
            r#"{"path":"/api/chat","body":{}}"#,
            r#"{"path":"/api/chat","caller":"alice","body":{}}"#,
        ] {
            assert_eq!(call(input, Some(&bob)).unwrap().caller.as_deref(), Some("bob"));
        }
    }

    #[test]
    fn a_call_that_the_host_refuses_waits_if_it_is_told_how_long_and_fails_otherwise() {
        let refused = |wait: Option<&str>| {
            let mut headers = vec![(CODE, "over-budget".to_owned())];
            headers.extend(wait.map(|wait| ("retry-after", wait.to_owned())));
            ended(Reply { status: 429, headers, body: ReplyBody::Whole("used up".into()) })
        };
        let Outcome::Postponed(failure) = refused(Some("90")) else { panic!("it must wait") };
        assert_eq!((failure.code.as_str(), failure.retry_after_ms), ("over-budget", Some(90_000)));
        assert!(failure.message.contains("used up"), "{}", failure.message);
        let Outcome::Failed(failure) = refused(None) else { panic!("it must fail") };
        assert_eq!(failure.disposition, Disposition::Fail);
        let headers = vec![(CODE, "cloud-disabled".to_owned())];
        let body = ReplyBody::Whole("ollama cloud is disabled".into());
        let outcome = ended(Reply { status: 403, headers, body });
        let Outcome::Failed(failure) = outcome else { panic!("it must fail") };
        assert_eq!(
            (failure.code.as_str(), failure.disposition),
            ("cloud-disabled", Disposition::Fail)
        );
        let headers = vec![("retry-after", "10".to_owned()), (CODE, "model-moved".to_owned())];
        let body = ReplyBody::Whole("answers elsewhere now".into());
        let outcome = ended(Reply { status: 503, headers, body });
        let Outcome::Postponed(failure) = outcome else { panic!("it must wait") };
        assert_eq!((failure.code.as_str(), failure.retry_after_ms), ("model-moved", Some(10_000)));
        // One of Ollama's own is none of ours.
        let body = ReplyBody::Whole("slow down".into());
        let outcome = ended(Reply { status: 429, headers: Vec::new(), body });
        assert!(matches!(outcome, Outcome::Failed(_)));
    }
}
