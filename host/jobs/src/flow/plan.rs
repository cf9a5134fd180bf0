//! From a submission of a flow to its jobs: names resolved, circles refused, limits checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{json, value::RawValue};
use sha2::{Digest as _, Sha256};

use super::{
    INPUTS_BYTES_MAX, JOBS_MAX, NEEDS_MAX, Need, NewFlow, NewMember, OnFailure, order::order,
    reference,
};
use crate::{
    caller::Caller,
    clock::{Clock, Entropy, Millis},
    deadline::{self, Deadline},
    delivery::Target,
    id::{FlowId, JobId},
    intake::{self, NotAccepted, Submission},
    job::NewJob,
    ports::catalog::Served,
    priority::Priority,
    strict::nearest,
};

/// Longest name of a job in its flow, in bytes.
const JOB_NAME_BYTES_MAX: usize = 100;

/// Longest name of a flow, in characters.
const FLOW_NAME_CHARS_MAX: usize = 200;

/// Jobs of a circle that a refusal names.
const CIRCLE_SHOWN_MAX: usize = 10;

/// What a caller sends to `POST /flows`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowSubmission {
    /// A ULID of the caller's own: the same id is the same flow.
    pub id: Option<FlowId>,
    /// What people call it.
    pub name: Option<String>,
    /// Its jobs.
    pub jobs: Vec<Listed>,
}

/// A job of the submission: what `POST /jobs` takes, with a name and needs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// By which the others need it.
    name: String,
    /// What must be over first.
    #[serde(default)]
    needs: Vec<Needed>,
    id: Option<JobId>,
    kind: String,
    #[serde(default, deserialize_with = "crate::json::sent")]
    input: Option<Box<RawValue>>,
    priority: Option<Priority>,
    #[serde(default, deserialize_with = "intake::instant")]
    run_at: Option<Millis>,
    #[serde(default, deserialize_with = "deadline::read")]
    deadline: Option<Deadline>,
    #[serde(default, deserialize_with = "intake::callback")]
    callback: Option<Target>,
    caller: Option<Caller>,
}

/// A need as it is written: a name, or an object with a rule.
#[derive(Debug)]
struct Needed {
    job: String,
    on_failure: OnFailure,
}

/// Why a flow is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAFlow {
    /// Nothing in it.
    #[error("a flow has at least one job")]
    Empty,
    /// Too many jobs, needs, or bytes.
    #[error("the flow has {count} {what}, and the limit is {max}; submit it in parts")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// As counted.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A name that cannot be used.
    #[error("the name of a flow has 1 to {FLOW_NAME_CHARS_MAX} characters, none of them a control")]
    Name,
    /// A name of a job that cannot be used.
    #[error(
        "`{0}` cannot name a job: use 1 to {JOB_NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`"
    )]
    JobName(String),
    /// Two jobs of one name.
    #[error("two jobs of the flow are called `{0}`")]
    Twice(String),
    /// Two jobs of one id.
    #[error("two jobs of the flow have the id {0}")]
    IdTwice(JobId),
    /// A need of nothing.
    #[error("job `{job}` needs `{need}`, and the flow has no such job{}", did_you_mean(suggestion.as_deref()))]
    UnknownNeed {
        /// The job.
        job: String,
        /// What it needs.
        need: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// One job is needed twice by another.
    #[error("job `{job}` needs `{need}` twice")]
    NeedTwice {
        /// The job.
        job: String,
        /// What it needs.
        need: String,
    },
    /// Jobs that wait for each other.
    #[error("{}", circle(.0))]
    Circle(Vec<String>),
    /// A reference that cannot be used.
    #[error("the input of job `{job}`: {wrong}")]
    Reference {
        /// The job.
        job: String,
        /// What is wrong.
        wrong: reference::NotAReference,
    },
    /// A reference to a job that is not needed.
    #[error(
        "the input of job `{job}` refers to the result of `{name}`, which is not among its `needs`"
    )]
    NotNeeded {
        /// The job.
        job: String,
        /// To which it refers.
        name: String,
    },
}

/// Why the jobs of a flow are not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JobsNotAccepted {
    /// One is refused as any job would be.
    #[error("job `{job}`: {error}")]
    One {
        /// Its name.
        job: String,
        /// Why.
        error: NotAccepted,
    },
    /// Two would be one: their kind wants them unique.
    #[error(
        "jobs `{job}` and `{other}` are the same to the kind `{kind}`, which wants its jobs unique"
    )]
    Same {
        /// The first one.
        job: String,
        /// The second one.
        other: String,
        /// Their kind.
        kind: String,
    },
}

/// A flow whose jobs fit together.
#[derive(Debug)]
pub struct Plan {
    /// The id of the caller's own, if there is one.
    pub id: Option<FlowId>,
    name: Option<String>,
    jobs: Vec<Planned>,
}

/// A job of a [`Plan`].
#[derive(Debug)]
pub struct Planned {
    /// Its name in the flow.
    pub name: String,
    /// What `POST /jobs` would take.
    pub submission: Submission,
    /// Places of needed jobs, from 0.
    needs: Vec<(usize, OnFailure)>,
}

/// Checks a submission.
///
/// # Errors
/// [`NotAFlow`] says what does not fit.
pub fn plan(submission: FlowSubmission) -> Result<Plan, NotAFlow> {
    let FlowSubmission { id, name, jobs } = submission;
    check_size(&jobs)?;
    if name.as_deref().is_some_and(|name| !is_flow_name(name)) {
        return Err(NotAFlow::Name);
    }
    let places = places(&jobs)?;
    let needs = jobs.iter().map(|job| needs(job, &places)).collect::<Result<Vec<_>, _>>()?;
    let graph: Vec<Vec<usize>> =
        needs.iter().map(|needs| needs.iter().map(|(place, _)| *place).collect()).collect();
    if let Err(circle) = order(&graph) {
        let names = circle.into_iter().filter_map(|place| jobs.get(place));
        return Err(NotAFlow::Circle(names.map(|job| job.name.clone()).collect()));
    }
    jobs.iter().try_for_each(check_references)?;
    let jobs = jobs.into_iter().zip(needs).map(|(job, needs)| planned(job, needs)).collect();
    Ok(Plan { id, name, jobs })
}

impl Plan {
    /// Its jobs, in the order of the submission.
    #[must_use]
    pub fn jobs(&self) -> &[Planned] {
        &self.jobs
    }

    /// Tells whether two submissions ask for the same: names, kinds, inputs and needs. `kinds` are the
    /// present names of the jobs' kinds.
    pub fn digest<'a>(&self, kinds: impl IntoIterator<Item = &'a str>) -> String {
        let jobs: serde_json::Value = self
            .jobs
            .iter()
            .zip(kinds)
            .map(|(job, kind)| json!([job.name, kind, job.submission.input(), job.needs]))
            .collect();
        let digest = Sha256::digest(jobs.to_string().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Makes the flow. `served` tells for each job who serves its kind.
    ///
    /// # Errors
    /// [`JobsNotAccepted`].
    pub fn accept(
        self,
        served: &[Arc<Served>],
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<NewFlow, JobsNotAccepted> {
        let digest = self.digest(served.iter().map(|served| served.kind.name.as_str()));
        let Self { id, name, jobs } = self;
        let flow = id.unwrap_or_else(|| FlowId::new(clock, entropy));
        let (mut accepted, mut members) = (Vec::new(), Vec::new());
        for (job, served) in jobs.into_iter().zip(served) {
            let Planned { name, submission, needs } = job;
            let job = intake::accept(submission, served, clock, entropy)
                .map_err(|error| JobsNotAccepted::One { job: name.clone(), error })?;
            accepted.push(job);
            members.push((name, needs));
        }
        check_unique(&accepted, &members)?;
        let ids: Vec<JobId> = accepted.iter().map(|job| job.id).collect();
        let jobs = accepted.into_iter().zip(members).zip(1..).map(|((job, member), place)| {
            let (name, needs) = member;
            let need = |(place, on_failure): (usize, OnFailure)| {
                ids.get(place).map(|job| Need { job: *job, on_failure })
            };
            let needs = needs.into_iter().filter_map(need).collect();
            NewJob { member: Some(NewMember { flow, name, place, needs }), ..job }
        });
        let jobs = jobs.collect();
        Ok(NewFlow {
            id: flow,
            idempotency_key: None,
            name,
            digest,
            enqueued_at: clock.now(),
            jobs,
        })
    }
}

fn check_unique<T>(jobs: &[NewJob], members: &[(String, T)]) -> Result<(), JobsNotAccepted> {
    let mut holders = BTreeMap::new();
    for (job, (name, _)) in jobs.iter().zip(members) {
        let Some(unique) = &job.unique else { continue };
        if let Some(holder) = holders.insert(&unique.key, name) {
            let (job, other, kind) = (holder.clone(), name.clone(), job.kind.clone());
            return Err(JobsNotAccepted::Same { job, other, kind });
        }
    }
    Ok(())
}

fn check_size(jobs: &[Listed]) -> Result<(), NotAFlow> {
    let needs = jobs.iter().map(|job| job.needs.len()).sum();
    let bytes = jobs.iter().filter_map(|job| job.input.as_ref()).map(|input| input.get().len());
    if jobs.is_empty() {
        return Err(NotAFlow::Empty);
    }
    for (what, count, max) in [
        ("jobs", jobs.len(), JOBS_MAX),
        ("needs", needs, NEEDS_MAX),
        ("bytes of inputs", bytes.sum(), INPUTS_BYTES_MAX),
    ] {
        if count > max {
            return Err(NotAFlow::TooLarge { what, count, max });
        }
    }
    Ok(())
}

fn is_flow_name(name: &str) -> bool {
    (1..=FLOW_NAME_CHARS_MAX).contains(&name.chars().count()) && !name.contains(char::is_control)
}

fn is_job_name(name: &str) -> bool {
    (1..=JOB_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn places(jobs: &[Listed]) -> Result<BTreeMap<&str, usize>, NotAFlow> {
    let (mut places, mut ids) = (BTreeMap::new(), BTreeSet::new());
    for (place, job) in jobs.iter().enumerate() {
        if !is_job_name(&job.name) {
            return Err(NotAFlow::JobName(job.name.chars().take(64).collect()));
        }
        if places.insert(job.name.as_str(), place).is_some() {
            return Err(NotAFlow::Twice(job.name.clone()));
        }
        if let Some(id) = job.id.filter(|id| !ids.insert(*id)) {
            return Err(NotAFlow::IdTwice(id));
        }
    }
    Ok(places)
}

fn needs(
    job: &Listed,
    places: &BTreeMap<&str, usize>,
) -> Result<Vec<(usize, OnFailure)>, NotAFlow> {
    let (mut needs, mut seen) = (Vec::with_capacity(job.needs.len()), BTreeSet::new());
    for Needed { job: needed, on_failure } in &job.needs {
        let name = job.name.clone();
        let Some(place) = places.get(needed.as_str()) else {
            return Err(NotAFlow::UnknownNeed {
                job: name,
                need: needed.chars().take(64).collect(),
                suggestion: nearest(needed, places.keys().copied()).map(str::to_owned),
            });
        };
        if !seen.insert(place) {
            return Err(NotAFlow::NeedTwice { job: name, need: needed.clone() });
        }
        needs.push((*place, *on_failure));
    }
    Ok(needs)
}

fn check_references(job: &Listed) -> Result<(), NotAFlow> {
    let Some(input) = &job.input else { return Ok(()) };
    let names = reference::names(input.get())
        .map_err(|wrong| NotAFlow::Reference { job: job.name.clone(), wrong })?;
    match names.into_iter().find(|name| !job.needs.iter().any(|need| need.job == *name)) {
        Some(name) => Err(NotAFlow::NotNeeded {
            job: job.name.clone(),
            name: name.chars().take(64).collect(),
        }),
        None => Ok(()),
    }
}

fn planned(job: Listed, needs: Vec<(usize, OnFailure)>) -> Planned {
    let Listed { name, needs: _, id, kind, input, priority, run_at, deadline, callback, caller } =
        job;
    let submission = Submission { id, kind, input, priority, run_at, deadline, callback, caller };
    Planned { name, submission, needs }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn circle(names: &[String]) -> String {
    if let [name] = names {
        return format!("`{name}` needs itself, so it could never begin");
    }
    let nexts = names.iter().cycle().skip(1);
    let pairs = names.iter().zip(nexts).take(CIRCLE_SHOWN_MAX);
    let shown: Vec<String> = pairs.map(|(name, next)| format!("`{name}` needs `{next}`")).collect();
    let more = if names.len() > CIRCLE_SHOWN_MAX { ", and so on" } else { "" };
    format!("the jobs need each other in a circle: {}{more}", shown.join(", "))
}

impl<'de> Deserialize<'de> for Needed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            job: String,
            #[serde(default, alias = "on-failure")]
            on_failure: OnFailure,
        }
        struct NameOrObject;
        impl<'de> Visitor<'de> for NameOrObject {
            type Value = Needed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a job, or {\"job\": …, \"on_failure\": …}")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Needed, E> {
                Ok(Needed { job: name.to_owned(), on_failure: OnFailure::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Needed, A::Error> {
                let Written { job, on_failure } =
                    Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Needed { job, on_failure })
            }
        }
        deserializer.deserialize_any(NameOrObject)
    }
}

#[cfg(test)]
mod tests;
