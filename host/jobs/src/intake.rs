//! From a submission to a job: names resolved, defaults filled in, limits checked.

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::{
    caller::Caller,
    class::{Class, IO},
    clock::{Clock, Entropy, Millis},
    deadline::{self, Deadline},
    delivery::Target,
    id::JobId,
    job::NewJob,
    json::{self, DEPTH_MAX},
    manifest::Kind,
    model::{Resolved, Site},
    ports::{catalog::Served, gateway, runner::Wish},
    priority::Priority,
    schedule::{Fire, Spec},
};

/// Largest input of a job, in bytes of JSON.
pub const INPUT_BYTES_MAX: usize = 4 << 20;

/// A start time further away than this, in either direction, is a mistake: a year, in milliseconds.
pub const RUN_AT_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// What a caller sends to `POST /jobs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// A ULID of the caller's own: the same id is the same job.
    pub id: Option<JobId>,
    /// What to run.
    pub kind: String,
    /// JSON for the plugin; `{}` by default.
    #[serde(default, deserialize_with = "json::sent")]
    pub input: Option<Box<RawValue>>,
    /// The kind's own priority by default.
    pub priority: Option<Priority>,
    /// Not before this instant: RFC 3339 or Unix milliseconds.
    #[serde(default, deserialize_with = "instant")]
    pub run_at: Option<Millis>,
    /// If it is not over by then, it fails: a duration, RFC 3339 or Unix milliseconds.
    #[serde(default, deserialize_with = "deadline::read")]
    pub deadline: Option<Deadline>,
    /// Who is told about the end: a URL, the name of a target, or `{"url": …}`.
    #[serde(default, deserialize_with = "callback")]
    pub callback: Option<Target>,
    /// On whose token budget it goes.
    pub caller: Option<Caller>,
}

impl Submission {
    /// The input as it will be kept: the caller's bytes, or `{}`.
    #[must_use]
    pub fn input(&self) -> &str {
        self.input.as_deref().map_or("{}", RawValue::get)
    }
}

/// Why a submission is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAccepted {
    /// Too large.
    #[error(
        "the input has {bytes} bytes and the limit is {INPUT_BYTES_MAX}; store the data elsewhere and submit its address"
    )]
    InputTooLarge {
        /// As counted.
        bytes: usize,
    },
    /// Few could read it.
    #[error(
        "the input is nested deeper than {DEPTH_MAX} levels; make it flatter, or send the inner part as text"
    )]
    InputTooDeep,
    /// Too far away.
    #[error("`run_at` is more than a year away; submit the job later, or use a schedule")]
    TooLate,
    /// Long past: surely another unit was meant.
    #[error("`run_at` is more than a year ago; write RFC 3339, or Unix milliseconds (not seconds)")]
    TooEarly,
    /// Over before it begins, or another unit was meant.
    #[error(
        "`deadline` has passed already; write a duration such as `5m`, RFC 3339, or Unix milliseconds (not seconds)"
    )]
    DeadlinePassed,
    /// Over before it may begin.
    #[error("`deadline` is not after `run_at`, so the job could never run")]
    DeadlineTooEarly,
    /// Nobody means that.
    #[error("`deadline` is more than a year after the job may begin; leave it out")]
    DeadlineTooLate,
}

/// Makes the job of a submission to a kind that is served.
///
/// # Errors
/// [`NotAccepted`] if a limit is passed.
pub fn accept(
    submission: Submission,
    served: &Served,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<NewJob, NotAccepted> {
    let now = clock.now();
    let input = submission.input().to_owned();
    if input.len() > INPUT_BYTES_MAX {
        return Err(NotAccepted::InputTooLarge { bytes: input.len() });
    }
    if json::is_too_deep(&input) {
        return Err(NotAccepted::InputTooDeep);
    }
    let run_at = submission.run_at.unwrap_or(now);
    if now.since_ms(run_at) > RUN_AT_MS_MAX {
        return Err(NotAccepted::TooEarly);
    }
    let run_at = run_at.max(now);
    if run_at.since_ms(now) > RUN_AT_MS_MAX {
        return Err(NotAccepted::TooLate);
    }
    let deadline = submission.deadline.map(|deadline| deadline.of(now, run_at)).transpose()?;
    let kind = &served.kind;
    let priority = submission.priority.unwrap_or(kind.priority);
    Ok(NewJob {
        unique: kind.unique.as_ref().map(|unique| unique.key(&kind.name, &input, now)),
        concurrency: kind.concurrency.as_ref().map(|limit| limit.key(&kind.name, &input)),
        id: submission.id.unwrap_or_else(|| JobId::new(clock, entropy)),
        idempotency_key: None,
        kind: served.kind.name.clone(),
        class: served.kind.class.clone(),
        priority,
        rank: priority.rank(run_at),
        enqueued_at: now,
        run_at,
        deadline,
        attempts_max: served.kind.retry.attempts_max,
        model: model(kind, &input),
        input,
        callback: submission.callback,
        trace_parent: None,
        caller: submission.caller,
        fire: None,
        member: None,
    })
}

/// The model that a job will ask for, by the name that its kind has for it, if that is known. A call of Ollama's surface
/// brings its own.
fn model(kind: &Kind, input: &str) -> Option<String> {
    if kind.name == gateway::KIND {
        gateway::model_of(input)
    } else {
        kind.model.as_ref().map(|model| model.tag.clone())
    }
}

/// The model that a call of Ollama's surface names, which says where the job belongs.
#[must_use]
pub fn called(job: &NewJob) -> Option<&str> {
    job.model.as_deref().filter(|_| job.kind == gateway::KIND)
}

/// A call whose model was found: it keeps its name, and is of the class whose slots it needs. One that is answered
/// elsewhere needs none of the GPU.
#[must_use]
pub fn placed(job: NewJob, model: &Resolved) -> NewJob {
    let class = match model.site {
        Site::Here => job.class,
        Site::Cloud => Class(IO.to_owned()),
    };
    NewJob { class, model: Some(model.name.clone()), ..job }
}

/// Makes the job of a schedule's fire, or of a run by hand if there is no instant.
///
/// # Errors
/// [`NotAccepted`] if a limit is passed.
pub fn fire(
    schedule: &Spec,
    at: Option<Millis>,
    served: &Served,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<NewJob, NotAccepted> {
    let submission = Submission {
        id: None,
        kind: schedule.kind.clone(),
        input: RawValue::from_string(schedule.input.clone()).ok(),
        priority: schedule.priority,
        run_at: None,
        deadline: None,
        callback: None,
        caller: schedule.caller.clone(),
    };
    let job = accept(submission, served, clock, entropy)?;
    Ok(NewJob { fire: Some(Fire { schedule: schedule.id.clone(), at }), ..job })
}

/// Makes the job of a child that a plugin wants. Its input is JSON.
///
/// # Errors
/// [`NotAccepted`] if a limit is passed.
pub fn child(
    wish: Wish,
    served: &Served,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<NewJob, NotAccepted> {
    let submission = Submission {
        id: None,
        kind: wish.kind,
        input: RawValue::from_string(wish.input).ok(),
        priority: wish.priority,
        run_at: wish.run_at,
        deadline: None,
        callback: None,
        // Whoever has its parent done has it done; the run knows who that is.
        caller: None,
    };
    accept(submission, served, clock, entropy)
}

pub(crate) fn instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Millis>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Instant {
        Millis(i64),
        Text(String),
    }
    let wrong = || {
        de::Error::custom(
            "`run_at` must be RFC 3339, such as 2027-01-31T06:00:00Z, or Unix milliseconds, \
             and at most a year away",
        )
    };
    match Option::<Instant>::deserialize(deserializer).map_err(|_| wrong())? {
        None => Ok(None),
        Some(Instant::Millis(ms)) => Ok(Some(Millis(ms))),
        Some(Instant::Text(text)) => text.parse().map(Some).map_err(|_| wrong()),
    }
}

pub(crate) fn callback<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Target>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Callback {
        Text(String),
        Object { url: String },
    }
    let callback = Option::<Callback>::deserialize(deserializer).map_err(|_| {
        de::Error::custom(
            "`callback` must be a URL, the name of a target, or {\"url\": \"https://…\"}",
        )
    })?;
    match callback {
        None => Ok(None),
        Some(Callback::Text(text) | Callback::Object { url: text }) => {
            Target::new(&text).map(Some).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{manifest::ModelHint, ports::catalog::Plugin};

    struct Now;
    impl Clock for Now {
        fn now(&self) -> Millis {
            Millis(1_800_000_000_000)
        }
    }
    impl Entropy for Now {
        fn roll(&self) -> u128 {
            7
        }
    }

    fn served() -> Served {
        let manifest = crate::manifest::parse(
            "manifest = 1\n[plugin]\nname = \"p1\"\nversion = \"1.0.0\"\nworld = \"roughneck:plugin/job-pure@1.0.0\"\n\
             [component]\nsource = \"p.wasm\"\n[[kind]]\nname = \"k1\"\nclass = \"io\"\npriority = \"low\"\n",
        )
        .unwrap();
        let kind = manifest.kinds[0].clone();
        Served { plugin: Arc::new(Plugin { digest: "sha256:0".into(), manifest }), kind }
    }

    fn read(json: &str) -> Result<Submission, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_caller_leaves_out_comes_from_the_manifest() {
        let job = accept(read(r#"{"kind":"k1"}"#).unwrap(), &served(), &Now, &Now).unwrap();
        assert_eq!((job.priority, job.input.as_str(), job.attempts_max), (Priority::LOW, "{}", 4));
        assert_eq!((job.run_at, job.rank), (Now.now(), Priority::LOW.rank(Now.now())));
    }

    #[test]
    fn the_model_is_the_one_that_the_kind_names_and_no_alias_is_resolved() {
        let mut served = served();
        let job = |served: &Served| accept(read(r#"{"kind":"k1"}"#).unwrap(), served, &Now, &Now);
        assert_eq!(job(&served).unwrap().model, None);
        served.kind.model = Some(ModelHint { tag: "default".to_owned(), num_ctx: None });
        assert_eq!(job(&served).unwrap().model.as_deref(), Some("default"));
    }

    #[test]
    fn the_model_of_a_call_of_ollama_s_surface_is_the_one_that_it_names() {
        let mut served = served();
        served.kind.name = gateway::KIND.to_owned();
        let model = |input: &str| {
            let submission = read(&format!(r#"{{"kind":"ollama.call","input":{input}}}"#));
            accept(submission.unwrap(), &served, &Now, &Now).unwrap().model
        };
        let call = r#"{"path":"/api/chat","body":{"messages":[],"model":"fast"}}"#;
        assert_eq!(model(call).as_deref(), Some("fast"));
        let endless = format!(r#"{{"body":{{"model":"{}"}}}}"#, "m".repeat(513));
        for senseless in ["{}", r#"{"body":{"model":7}}"#, r#"{"body":[]}"#, "7", &endless] {
            assert_eq!(model(senseless), None, "{senseless}");
        }
    }

    #[test]
    fn a_call_that_is_answered_elsewhere_takes_no_slot_of_the_gpu() {
        let mut served = served();
        (served.kind.name, served.kind.class) = (gateway::KIND.to_owned(), Class("ollama".into()));
        let call = r#"{"kind":"ollama.call","input":{"body":{"model":"big"}}}"#;
        let job = accept(read(call).unwrap(), &served, &Now, &Now).unwrap();
        assert_eq!(called(&job), Some("big"));
        for (site, class) in [(Site::Here, "ollama"), (Site::Cloud, IO)] {
            let model = Resolved { name: "kimi:cloud".to_owned(), digest: None, site };
            let placed = placed(job.clone(), &model);
            assert_eq!((placed.class.0.as_str(), placed.model), (class, Some(model.name)));
        }
        let other = NewJob { kind: "k1".to_owned(), ..job };
        assert_eq!(called(&other), None, "a plugin asks for its models itself");
    }

    #[test]
    fn the_input_keeps_its_bytes_and_its_key_order() {
        let submission = read(r#"{"kind":"k1","input":{"z": 1.0,"a":[ ]}}"#).unwrap();
        assert_eq!(
            accept(submission, &served(), &Now, &Now).unwrap().input,
            r#"{"z": 1.0,"a":[ ]}"#
        );
    }

    #[test]
    fn an_input_that_is_null_is_one() {
        let input = |json: &str| accept(read(json).unwrap(), &served(), &Now, &Now).unwrap().input;
        assert_eq!(input(r#"{"kind":"k1","input":null}"#), "null");
        assert_eq!(input(r#"{"kind":"k1"}"#), "{}");
    }

    #[test]
    fn a_start_time_is_rfc_3339_or_milliseconds_and_at_most_a_year_away() {
        let run_at = |json: &str| read(&format!(r#"{{"kind":"k1","run_at":{json}}}"#));
        assert_eq!(
            run_at("\"2027-01-31T06:00:00Z\"").unwrap().run_at,
            Some(Millis(1_801_375_200_000))
        );
        assert_eq!(run_at("5").unwrap().run_at, Some(Millis(5)));
        assert!(run_at("\"tomorrow\"").unwrap_err().contains("RFC 3339"));
        let seconds = run_at("1795333333").unwrap();
        assert_eq!(accept(seconds, &served(), &Now, &Now), Err(NotAccepted::TooEarly));
        let late = run_at("9999999999999").unwrap();
        assert_eq!(accept(late, &served(), &Now, &Now), Err(NotAccepted::TooLate));
    }

    #[test]
    fn a_deadline_counts_from_the_instant_at_which_the_job_is_accepted() {
        let accepted = |json: &str| accept(read(json).unwrap(), &served(), &Now, &Now);
        let job = accepted(r#"{"kind":"k1","deadline":"5m"}"#).unwrap();
        assert_eq!(job.deadline, Some(Now.now().plus_ms(300_000)));
        assert_eq!(accepted(r#"{"kind":"k1"}"#).unwrap().deadline, None);
        let run_at = Now.now().plus_ms(300_000).0;
        let never = format!(r#"{{"kind":"k1","run_at":{run_at},"deadline":"5m"}}"#);
        assert_eq!(accepted(&never), Err(NotAccepted::DeadlineTooEarly));
    }

    #[test]
    fn a_job_is_for_whom_its_submission_says_and_for_nobody_by_default() {
        let caller = |json: &str| {
            let job = accept(read(json).unwrap(), &served(), &Now, &Now).unwrap();
            job.caller.map(|caller| caller.to_string())
        };
        assert_eq!(caller(r#"{"kind":"k1","caller":"alice"}"#).as_deref(), Some("alice"));
        assert_eq!(caller(r#"{"kind":"k1","caller":null}"#), None);
        assert_eq!(caller(r#"{"kind":"k1"}"#), None);
        let refused = read(r#"{"kind":"k1","caller":" alice"}"#).unwrap_err();
        assert!(
            refused.starts_with("`caller` names whom a job is for in 1 to 128 bytes"),
            "{refused}"
        );
    }

    #[test]
    fn a_callback_is_a_url_a_name_or_an_object_with_a_url() {
        let callback =
            |json: &str| read(&format!(r#"{{"kind":"k1","callback":{json}}}"#)).map(|s| s.callback);
        assert_eq!(callback("\"cms\"").unwrap(), Some(Target::Named("cms".into())));
        assert_eq!(
            callback(r#"{"url":"https://a"}"#).unwrap(),
            Some(Target::Url("https://a".into()))
        );
        assert!(callback("42").unwrap_err().contains("the name of a target"));
        assert!(callback("\"ftp://a\"").unwrap_err().contains("http://"));
        assert!(callback("\"http://a:99999/\"").unwrap_err().contains("not a port"));
    }

    #[test]
    fn unknown_fields_and_oversized_inputs_are_refused() {
        assert!(
            read(r#"{"kind":"k1","prio":"high"}"#).unwrap_err().contains("unknown field `prio`")
        );
        let input = RawValue::from_string(format!("\"{}\"", "a".repeat(INPUT_BYTES_MAX))).unwrap();
        let submission = Submission { input: Some(input), ..read(r#"{"kind":"k1"}"#).unwrap() };
        assert!(matches!(
            accept(submission, &served(), &Now, &Now),
            Err(NotAccepted::InputTooLarge { .. })
        ));
    }

    #[test]
    fn an_input_that_few_could_read_is_refused() {
        let accepted = |levels: usize| {
            let input = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let submission = read(&format!(r#"{{"kind":"k1","input":{input}}}"#)).unwrap();
            accept(submission, &served(), &Now, &Now).map(|job| job.input.len())
        };
        assert_eq!(accepted(DEPTH_MAX), Ok(2 * DEPTH_MAX));
        assert_eq!(accepted(DEPTH_MAX + 1), Err(NotAccepted::InputTooDeep));
    }
}
