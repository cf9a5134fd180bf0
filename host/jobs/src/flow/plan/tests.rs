use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{
    input_key::{During, Unique},
    ports::catalog::Plugin,
};

struct Now(AtomicU64);
impl Clock for Now {
    fn now(&self) -> Millis {
        Millis(1_800_000_000_000)
    }
}
impl Entropy for Now {
    fn roll(&self) -> u128 {
        self.0.fetch_add(1, Ordering::Relaxed).into()
    }
}

fn served() -> Arc<Served> {
    let manifest = crate::manifest::parse(
        "manifest = 1\n[plugin]\nname = \"p1\"\nversion = \"1.0.0\"\nworld = \"roughneck:plugin/job-pure@1.0.0\"\n\
         [component]\nsource = \"p.wasm\"\n[[kind]]\nname = \"k1\"\nclass = \"io\"\n",
    )
    .unwrap();
    let kind = manifest.kinds[0].clone();
    Arc::new(Served { plugin: Arc::new(Plugin { digest: "sha256:0".into(), manifest }), kind })
}

fn read(json: &str) -> Result<Plan, String> {
    let submission: FlowSubmission =
        serde_json::from_str(json).map_err(|error| error.to_string())?;
    plan(submission).map_err(|error| error.to_string())
}

/// A flow of these jobs, each written as what follows its kind.
fn of(jobs: &[&str]) -> String {
    let jobs: Vec<String> = jobs.iter().map(|job| format!("{{\"kind\":\"k1\",{job}}}")).collect();
    format!("{{\"jobs\":[{}]}}", jobs.join(","))
}

fn accepted(json: &str) -> NewFlow {
    let plan = read(json).unwrap();
    let served = vec![served(); plan.jobs().len()];
    let now = Now(AtomicU64::new(1));
    plan.accept(&served, &now, &now).unwrap()
}

fn needs(flow: &NewFlow, place: usize) -> Vec<Need> {
    flow.jobs[place].member.clone().unwrap().needs
}

#[test]
fn needs_are_names_or_objects_and_may_come_before_what_they_name() {
    let flow = accepted(&of(&[
        r#""name":"send","needs":["render",{"job":"fetch","on_failure":"continue"}]"#,
        r#""name":"render","needs":[{"job":"fetch"}]"#,
        r#""name":"fetch""#,
    ]));
    let ids: Vec<JobId> = flow.jobs.iter().map(|job| job.id).collect();
    let need = |place: usize, on_failure| Need { job: ids[place], on_failure };
    assert_eq!(needs(&flow, 0), [need(1, OnFailure::Fail), need(2, OnFailure::Continue)]);
    assert_eq!(needs(&flow, 1), [need(2, OnFailure::Fail)]);
    assert_eq!(needs(&flow, 2), []);
    let members = flow.jobs.iter().map(|job| job.member.clone().unwrap());
    let places: Vec<_> = members.map(|member| (member.name, member.place, member.flow)).collect();
    let expected = [("send", 1), ("render", 2), ("fetch", 3)];
    assert_eq!(places, expected.map(|(name, place)| (name.to_owned(), place, flow.id)));
}

#[test]
fn a_rule_is_also_read_with_a_dash() {
    let flow = accepted(&of(&[
        r#""name":"a""#,
        r#""name":"b","needs":[{"job":"a","on-failure":"ignore"}]"#,
    ]));
    assert_eq!(needs(&flow, 1)[0].on_failure, OnFailure::Ignore);
}

#[test]
fn a_job_of_a_flow_has_every_field_of_a_job() {
    let id = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB";
    let job = format!(
        r#""name":"a","id":"{id}","input":{{"z": 1.0}},"priority":"low","run_at":1800000005000,"callback":"cms","caller":"alice""#
    );
    let flow = accepted(&of(&[&job]));
    let job = &flow.jobs[0];
    assert_eq!((job.id.to_string().as_str(), job.input.as_str()), (id, r#"{"z": 1.0}"#));
    assert_eq!((job.priority, job.run_at), (Priority::LOW, Millis(1_800_000_005_000)));
    assert_eq!(job.callback, Some(Target::Named("cms".into())));
    assert_eq!(job.caller, Some("alice".parse().unwrap()));
    assert_eq!(job.rank, Priority::LOW.rank(job.run_at), "computed now, and kept");
}

#[test]
fn every_flow_that_does_not_fit_together_is_told_why() {
    let a = r#""name":"a""#;
    let table = [
        (of(&[]), "a flow has at least one job"),
        (
            of(&[r#""name":"a b""#]),
            "`a b` cannot name a job: use 1 to 100 letters, digits, `-`, `_` and `.`",
        ),
        (of(&[a, a]), "two jobs of the flow are called `a`"),
        (
            of(&[r#""name":"fetch""#, r#""name":"b","needs":["fetsh"]"#]),
            "job `b` needs `fetsh`, and the flow has no such job; did you mean `fetch`?",
        ),
        (
            of(&[r#""name":"b","needs":["elsewhere"]"#]),
            "job `b` needs `elsewhere`, and the flow has no such job",
        ),
        (of(&[a, r#""name":"b","needs":["a",{"job":"a"}]"#]), "job `b` needs `a` twice"),
        (of(&[r#""name":"a","needs":["a"]"#]), "`a` needs itself, so it could never begin"),
        (
            of(&[
                r#""name":"a","needs":["c"]"#,
                r#""name":"b","needs":["a"]"#,
                r#""name":"c","needs":["b"]"#,
            ]),
            "the jobs need each other in a circle: `a` needs `c`, `c` needs `b`, `b` needs `a`",
        ),
        (
            of(&[a, r#""name":"b","input":{"x":{"$result":"a"}}"#]),
            "the input of job `b` refers to the result of `a`, which is not among its `needs`",
        ),
        (
            of(&[a, r#""name":"b","needs":["a"],"input":{"$result":"a","at":"x"}"#]),
            "the input of job `b`: `x` is no JSON Pointer: it must begin with `/`, as in `/items/0/title`",
        ),
        (
            r#"{"name":"","jobs":[{"name":"a","kind":"k1"}]}"#.to_owned(),
            "the name of a flow has 1 to 200 characters, none of them a control",
        ),
    ];
    for (json, expected) in table {
        assert_eq!(read(&json).map(drop), Err(expected.to_owned()), "{json}");
    }
}

#[test]
fn what_is_no_submission_is_told_by_its_reader() {
    for (json, part) in [
        (of(&[r#""name":"a","need":[]"#]), "unknown field `need`"),
        (of(&[r#""name":"a","needs":[7]"#]), "the name of a job, or {\"job\""),
        (of(&[r#""name":"a","needs":[{"job":"b","when":1}]"#]), "unknown field `when`"),
        (
            of(&[r#""name":"a","needs":[{"job":"b","on_failure":"skip"}]"#]),
            "unknown variant `skip`",
        ),
        (of(&[r#""needs":[]"#]), "missing field `name`"),
    ] {
        let error = read(&json).unwrap_err();
        assert!(error.contains(part), "{json}: {error}");
    }
}

#[test]
fn a_flow_is_bounded_in_jobs_and_needs() {
    let jobs = |count: usize, needs: usize| {
        let needs: Vec<String> = (0..needs).map(|n| format!("\"j{n}\"")).collect();
        let needs = needs.join(",");
        let jobs: Vec<String> =
            (0..count).map(|n| format!("\"name\":\"j{n}\",\"needs\":[{needs}]")).collect();
        of(&jobs.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(read(&jobs(JOBS_MAX, 0)).is_ok());
    let told = read(&jobs(JOBS_MAX + 1, 0)).unwrap_err();
    assert_eq!(told, "the flow has 2001 jobs, and the limit is 2000; submit it in parts");
    let told = read(&jobs(JOBS_MAX, 11)).unwrap_err();
    assert_eq!(told, "the flow has 22000 needs, and the limit is 20000; submit it in parts");
}

#[test]
fn two_jobs_of_one_id_are_refused() {
    let id = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB";
    let job = |name: &str| format!("\"name\":\"{name}\",\"id\":\"{id}\"");
    let told = read(&of(&[&job("a"), &job("b")])).unwrap_err();
    assert_eq!(told, format!("two jobs of the flow have the id {id}"));
}

#[test]
fn a_job_that_passes_a_limit_of_jobs_is_named() {
    let plan = read(&of(&[r#""name":"a""#, r#""name":"late","run_at":9999999999999"#])).unwrap();
    let now = Now(AtomicU64::new(1));
    let refused = plan.accept(&[served(), served()], &now, &now).unwrap_err();
    let (job, error) = ("late".to_owned(), NotAccepted::TooLate);
    assert_eq!(refused, JobsNotAccepted::One { job, error });
}

#[test]
fn two_jobs_that_their_kind_takes_for_one_are_refused() {
    let mut once = Served::clone(&served());
    once.kind.unique = Some(Unique { pointer: "/id".to_owned(), during: During::Active });
    let once = Arc::new(once);
    let accept = |first: u32, second: u32| {
        let job = |name: &str, id: u32| format!("\"name\":\"{name}\",\"input\":{{\"id\":{id}}}");
        let plan = read(&of(&[&job("a", first), &job("b", second)])).unwrap();
        let now = Now(AtomicU64::new(1));
        plan.accept(&[once.clone(), once.clone()], &now, &now)
    };
    assert!(accept(1, 2).is_ok());
    let told = accept(7, 7).unwrap_err().to_string();
    assert_eq!(told, "jobs `a` and `b` are the same to the kind `k1`, which wants its jobs unique");
}

#[test]
fn the_digest_tells_submissions_apart_by_what_they_ask_for() {
    let digest = |json: &str, kind: &str| {
        let plan = read(json).unwrap();
        plan.digest(vec![kind; plan.jobs().len()])
    };
    let base = of(&[r#""name":"a""#, r#""name":"b","needs":["a"]"#]);
    let same = base.replace("{\"jobs\"", "{\"name\":\"n\",\"jobs\"");
    assert_eq!(digest(&base, "k1"), digest(&same, "k1"));
    assert_eq!(digest(&base, "k1").len(), 64);
    let others = [
        of(&[r#""name":"a""#, r#""name":"b""#]),
        of(&[r#""name":"a","input":1"#, r#""name":"b","needs":["a"]"#]),
        of(&[r#""name":"a""#, r#""name":"b","needs":[{"job":"a","on_failure":"ignore"}]"#]),
    ];
    for other in others {
        assert_ne!(digest(&base, "k1"), digest(&other, "k1"), "{other}");
    }
    assert_ne!(digest(&base, "k1"), digest(&base, "k2"));
}
