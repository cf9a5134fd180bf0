//! From the written manifest to the checked one.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Deserializer, de};

use super::{
    CONTRACT, Kind, Manifest, ManifestError, ModelHint, VERSION, contract, gates,
    limits::limits,
    text,
    wishes::wishes,
    written::{self, Written},
};
use crate::{
    class::Class,
    name::is_name,
    retry::{Backoff, RetryPolicy},
    schedule::{CATCH_UP_MAX, Schedule, Spec, UTC},
    strict,
};

/// Wall-clock limit of a kind that names none: ten minutes.
const TIMEOUT_MS_DEFAULT: u64 = 600_000;

/// No attempt may take longer than a day.
const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// A policy with more attempts than this is a mistake.
const ATTEMPTS_MAX: u32 = 100;

/// Reads a manifest. Its version is read first and alone, so that a newer manifest is told apart
/// from a mistaken one.
///
/// # Errors
/// [`ManifestError`] says what to change.
pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
    version(text)?;
    let written: Written = strict::from_toml(text)?;
    name(&written.plugin.name)?;
    world(&written.plugin.world)?;
    let source = source(written.component.source)?;
    let kinds = kinds(&written.kind)?;
    let schedules = schedules(&written.plugin.name, &written.cron, &kinds)?;
    Ok(Manifest {
        name: written.plugin.name,
        version: written.plugin.version,
        description: written.plugin.description,
        source,
        kinds,
        capabilities: wishes(written.capabilities)?,
        limits: limits(&written.limits)?,
        schedules,
    })
}

fn version(text: &str) -> Result<(), ManifestError> {
    #[derive(Deserialize)]
    struct Version {
        manifest: Option<i64>,
    }
    let version: Version = strict::from_toml(text)?;
    match version.manifest {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => Err(ManifestError::NewerVersion(newer)),
        Some(_) | None => Err(ManifestError::NoVersion),
    }
}

fn name(name: &str) -> Result<(), ManifestError> {
    if is_name(name) { Ok(()) } else { Err(ManifestError::Name(name.to_owned())) }
}

/// A kind is one name, or several with dots between them, the first of which says whose it is.
fn kind_name(name: &str) -> Result<(), ManifestError> {
    let is_good = name.len() <= 63 && name.split('.').all(is_name);
    if is_good { Ok(()) } else { Err(ManifestError::Name(name.to_owned())) }
}

/// `roughneck:plugin/job-llm@1.0.0`: our package, one of its worlds, in a version this host serves.
fn world(written: &str) -> Result<(), ManifestError> {
    let parts = written.split_once('/').and_then(|(package, rest)| {
        let (world, version) = rest.split_once('@')?;
        (package == CONTRACT.0).then_some((world, version))
    });
    let Some((world, version)) = parts else {
        return Err(ManifestError::Contract(written.to_owned()));
    };
    // A newer contract may have more worlds, so that its version is told first.
    contract::check_version(version)?;
    if contract::WORLDS.contains(&world) {
        Ok(())
    } else {
        Err(ManifestError::World(world.to_owned()))
    }
}

fn source(source: String) -> Result<String, ManifestError> {
    let beside = !source.is_empty() && !source.contains(['/', '\\']) && !source.starts_with('.');
    if beside { Ok(source) } else { Err(ManifestError::Source(source)) }
}

fn kinds(written: &[written::Kind]) -> Result<Vec<Kind>, ManifestError> {
    if written.is_empty() {
        return Err(ManifestError::NoKind);
    }
    let mut seen = BTreeSet::new();
    for name in written.iter().flat_map(|kind| kind.aliases.iter().chain([&kind.name])) {
        kind_name(name)?;
        if !seen.insert(name) {
            return Err(ManifestError::KindTwice(name.clone()));
        }
    }
    written.iter().map(kind).collect()
}

fn kind(written: &written::Kind) -> Result<Kind, ManifestError> {
    name(&written.class)?;
    let key = |key: &str| format!("{key} of the kind {}", written.name);
    let class = Class(written.class.clone());
    if class.is_attended() {
        let why = format!(
            "the class `{class}` is for clients that wait on open connections; name another one"
        );
        return Err(value(&key("class"), &why));
    }
    let timeout_ms = match &written.timeout {
        Some(text) => duration(&key("timeout"), text)?,
        None => TIMEOUT_MS_DEFAULT,
    };
    if timeout_ms == 0 || timeout_ms > TIMEOUT_MS_MAX {
        return Err(value(&key("timeout"), "must be more than 0 and at most 24h"));
    }
    Ok(Kind {
        name: written.name.clone(),
        aliases: written.aliases.clone(),
        description: written.description.clone(),
        class,
        priority: written.priority,
        timeout_ms,
        retry: written
            .retry
            .as_ref()
            .map_or_else(|| Ok(RetryPolicy::default()), |w| retry(&key("retry"), w))?,
        model: written
            .model
            .as_ref()
            .map(|model| ModelHint { tag: model.tag.clone(), num_ctx: model.num_ctx }),
        unique: gates::unique(&key("unique"), written.unique.as_ref())?,
        concurrency: gates::concurrency(&key("concurrency"), written.concurrency.as_ref())?,
        rate: gates::rate(&key("rate"), written.rate.as_ref())?,
    })
}

fn retry(key: &str, written: &written::Retry) -> Result<RetryPolicy, ManifestError> {
    let default = RetryPolicy::default();
    let attempts_max = written.max.unwrap_or(default.attempts_max);
    if attempts_max == 0 || attempts_max > ATTEMPTS_MAX {
        return Err(value(key, &format!("`max` counts the attempts, from 1 to {ATTEMPTS_MAX}")));
    }
    let backoff = match written.backoff {
        written::Backoff::Exponential => Backoff::Exponential {
            base_ms: duration(key, written.base.as_deref().unwrap_or("5s"))?,
            cap_ms: duration(key, written.cap.as_deref().unwrap_or("10m"))?,
        },
        written::Backoff::Fixed if written.delays.is_empty() => {
            return Err(value(key, "backoff \"fixed\" needs `delays`, such as [\"30s\", \"60s\"]"));
        }
        written::Backoff::Fixed => Backoff::Fixed {
            delays_ms: written
                .delays
                .iter()
                .map(|text| duration(key, text))
                .collect::<Result<_, _>>()?,
        },
        written::Backoff::Polynomial => Backoff::Polynomial,
    };
    Ok(RetryPolicy { attempts_max, backoff, jitter: written.jitter.unwrap_or(default.jitter) })
}

fn schedules(
    plugin: &str,
    written: &[written::Cron],
    kinds: &[Kind],
) -> Result<Vec<Arc<Schedule>>, ManifestError> {
    let mut ids = BTreeSet::new();
    let mut schedules = Vec::new();
    for entry in written {
        name(&entry.id)?;
        if !ids.insert(&entry.id) {
            return Err(value("cron.id", &format!("`{}` is named twice", entry.id)));
        }
        if !kinds.iter().any(|kind| kind.name == entry.kind) {
            return Err(ManifestError::CronKind { id: entry.id.clone(), kind: entry.kind.clone() });
        }
        let input = match &entry.input {
            Some(input) => serde_json::to_string(input)
                .map_err(|error| value(&format!("cron.{}.input", entry.id), &error.to_string()))?,
            None => "{}".to_owned(),
        };
        let schedule = Schedule::new(Spec {
            id: format!("{plugin}/{}", entry.id),
            kind: entry.kind.clone(),
            expr: entry.expr.clone(),
            zone: entry.timezone.clone().unwrap_or_else(|| UTC.to_owned()),
            input,
            priority: entry.priority,
            // Its author knows none of the operator's callers, and must not choose who pays.
            caller: None,
            missed: entry.missed,
            missed_max: entry.missed_max.unwrap_or(CATCH_UP_MAX),
            overlap: entry.overlap,
        })
        .map_err(|source| ManifestError::Cron { id: entry.id.clone(), source })?;
        if entry.enabled {
            schedules.push(Arc::new(schedule));
        }
    }
    Ok(schedules)
}

pub(super) fn duration(key: &str, text: &str) -> Result<u64, ManifestError> {
    text::duration_ms(text).map_err(|error| value(key, &error.to_string()))
}

pub(super) fn value(key: &str, why: &str) -> ManifestError {
    ManifestError::Value { key: key.to_owned(), why: why.to_owned() }
}

/// Reads a size such as `1MiB` for serde.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    text::size_bytes(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::{input_key::During, rate::Rate};

    const GOOD: &str = r#"
manifest = 1
[plugin]
name = "newsletter"
version = "2.4.0"
world = "roughneck:plugin/job-llm@1.0.0"
[component]
source = "newsletter.wasm"
[[kind]]
name = "draft-section"
class = "ollama"
timeout = "15m"
aliases = ["draft"]
model = { tag = "default", num-ctx = 16384 }
retry = { max = 3, backoff = "fixed", delays = ["30s", "60s"], jitter = false }
unique = { key = "/issue", during = "24h", on-conflict = "return-existing" }
concurrency = { key = "/issue", limit = 1 }
rate = { count = 30, per = "1m" }
[capabilities]
llm = { models = ["qwen3:*"] }
kv = { max-bytes = "1MiB" }
[limits]
memory = "128MiB"
cpu = "30s"
tokens-per-job = 60000
[[cron]]
id = "weekly"
kind = "draft-section"
expr = "0 6 * * MON"
timezone = "Europe/Berlin"
input = { issue = "auto" }
[ext.acme]
owner = "content"
"#;

    #[test]
    fn a_good_manifest_reads_whole() {
        let manifest = parse(GOOD).unwrap();
        let kind = &manifest.kinds[0];
        assert_eq!((kind.timeout_ms, kind.retry.attempts_max), (900_000, 3));
        assert_eq!(kind.retry.backoff, Backoff::Fixed { delays_ms: vec![30_000, 60_000] });
        assert_eq!(kind.unique.as_ref().unwrap().during, During::For(86_400_000));
        assert_eq!(kind.concurrency.as_ref().unwrap().limit, 1);
        assert_eq!(kind.rate, Some(Rate { count: 30, per_ms: 60_000 }));
        assert_eq!(manifest.limits.memory_bytes_max, 128 << 20);
        assert_eq!(manifest.limits.job_tokens_max, Some(60_000));
        assert_eq!(manifest.capabilities.kv.as_ref().unwrap().bytes_max, 1 << 20);
        assert_eq!(manifest.schedules[0].spec.id, "newsletter/weekly");
        assert_eq!(manifest.schedules[0].spec.input, r#"{"issue":"auto"}"#);
    }

    #[test]
    fn a_priority_is_a_name_or_a_number() {
        for (written, expected) in [("\"high\"", "high"), ("60", "60"), ("25", "low")] {
            let line = format!("class = \"ollama\"\npriority = {written}");
            let manifest = parse(&GOOD.replace("class = \"ollama\"", &line)).unwrap();
            assert_eq!(manifest.kinds[0].priority.to_string(), expected);
        }
    }

    #[test]
    fn each_mistake_gets_its_own_sentence() {
        let table = [
            ("manifest = 1", "", "the first line must be `manifest = 1`"),
            ("manifest = 1", "manifest = 7", "newer than this host reads (1); upgrade roughneck"),
            ("timeout = ", "time-out = ", "did you mean `timeout`?"),
            ("@1.0.0", "@2.0.0", "rebuild the plugin"),
            ("@1.0.0", "@1.7.0", "speaks roughneck:plugin@1.7; this one speaks 1.0.0: upgrade"),
            ("roughneck:plugin/", "acme:jobs/", "this host speaks roughneck:plugin@1.0.0"),
            ("job-llm@", "job-lmm@", "one of job-pure, job-llm, job-io, job-full"),
            ("\"newsletter\"", "\"News Letter\"", "`News Letter` is not a name"),
            ("newsletter.wasm", "../x.wasm", "beside plugin.toml"),
            ("class = \"ollama\"", "class = \"client\"", "clients that wait on open connections"),
            ("class = \"ollama\"", "class = \"ollama\"\npriority = 101", "a number from 0 (bulk)"),
            ("\"15m\"", "\"15 parsecs\"", "timeout of the kind draft-section"),
            ("\"15m\"", "\"0s\"", "at most 24h"),
            ("max = 3", "max = 0", "from 1 to 100"),
            ("delays = [\"30s\", \"60s\"], ", "", "needs `delays`"),
            ("during = \"24h\"", "during = \"sometimes\"", "`during` is `active`, `forever`, or"),
            (
                "{ key = \"/issue\", limit",
                "{ key = \"issue\", limit",
                "such as `/issue`, not `issue`",
            ),
            (
                "limit = 1 }",
                "limit = 0 }",
                "concurrency of the kind draft-section`: `limit` is from 1",
            ),
            ("count = 30", "count = 0", "`count` is from 1 to 1000000"),
            ("\"return-existing\"", "\"replace\"", "return-existing"),
            ("[\"draft\"]", "[\"draft-section\"]", "`draft-section` is named twice"),
            ("kind = \"draft-section\"", "kind = \"other\"", "names the kind `other`"),
            ("0 6 * * MON", "every monday", "the cron entry `weekly` cannot be used"),
            ("128MiB", "5GiB", "more than 4GiB"),
            ("cpu = \"30s\"", "cpu = \"25h\"", "`limits.cpu`: a run may compute for at most 24h"),
            ("cpu = \"30s\"", "cpu = \"0s\"", "`limits.cpu`: must be at least 1ms"),
            ("cpu = \"30s\"", "host-calls = 1000001", "at most 1000000 host calls"),
            (
                "cpu = \"30s\"",
                "output = \"17MiB\"",
                "`limits.output`: a result may have at most 16MiB",
            ),
            ("cpu = \"30s\"", "log = \"5MiB\"", "at most 4MiB"),
            (
                "tokens-per-job = 60000",
                "tokens-per-job = 0",
                "`limits.tokens-per-job`: must be at least 1",
            ),
            ("max-bytes = \"1MiB\"", "max-bytes = \"1GiB\"", "`kv.max-bytes`: a plugin may keep"),
            ("[\"qwen3:*\"]", "[\"\"]", "`llm.models`: a model has 1 to 256 bytes"),
            ("max-bytes", "maxbytes", "did you mean `max-bytes`?"),
        ];
        for (from, to, expected) in table {
            assert!(GOOD.contains(from), "{from}");
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            let cause = error.source().map(ToString::to_string);
            let error = error.to_string();
            assert!(error.contains(expected), "{from} -> {to}: {error}");
            assert!(cause.is_none_or(|cause| !error.contains(&cause)), "twice: {error}");
        }
    }

    #[test]
    fn an_older_patch_and_every_world_of_the_contract_are_read() {
        for world in ["job-pure@1.0.0", "job-llm@1.0.9", "job-io@1.0.0", "job-full@1.0.0"] {
            assert!(parse(&GOOD.replace("job-llm@1.0.0", world)).is_ok(), "{world}");
        }
    }

    #[test]
    fn patterns_that_can_match_nothing_and_too_many_of_them_are_refused() {
        let long = "x".repeat(64);
        let many = format!("[{}]", "\"a\",".repeat(101));
        let table = [
            ("http = { hosts = [\"*\", \"*.example.com:8443\", \"[::1]:80\"] }", None),
            ("http = { hosts = [\"\"] }", Some("`http.hosts`: a host is written like")),
            ("http = { hosts = [\"https://example.com\"] }", Some("without a scheme")),
            ("http = { hosts = [\"Example.com\"] }", Some("in lower case")),
            ("callback = { targets = [\"cms\", \"team-*\"] }", None),
            ("callback = { targets = [\"\"] }", Some("`callback.targets`: a target is named")),
            ("callback = { targets = [\"a b\"] }", Some("1 to 63 lower-case letters")),
            (&format!("callback = {{ targets = [\"{long}\"] }}"), Some("1 to 63")),
            (&format!("callback = {{ targets = {many} }}"), Some("names at most 100")),
        ];
        for (line, refused) in table {
            let text = GOOD.replace("kv = {", &format!("{line}\nkv = {{"));
            match (parse(&text), refused) {
                (Ok(_), None) => {}
                (Err(error), Some(sentence)) => {
                    assert!(error.to_string().contains(sentence), "{line}: {error}");
                }
                (parsed, _) => panic!("{line}: {parsed:?}"),
            }
        }
    }

    #[test]
    fn a_manifest_without_kinds_is_refused() {
        let (head, _) = GOOD.split_once("[[kind]]").unwrap();
        assert_eq!(parse(head).unwrap_err(), ManifestError::NoKind);
    }

    #[test]
    fn a_disabled_schedule_is_checked_and_left_out() {
        let off = GOOD.replace("expr =", "enabled = false\nexpr =");
        assert!(parse(&off).unwrap().schedules.is_empty());
        assert!(parse(&off.replace("0 6 * * MON", "nonsense")).is_err());
    }

    #[test]
    fn a_kind_may_be_several_names_with_dots_between_them() {
        for (name, is_good) in [
            ("ollama.call", true),
            ("draft", true),
            ("ollama.", false),
            (".call", false),
            ("ollama..call", false),
            ("Ollama.call", false),
        ] {
            assert_eq!(kind_name(name).is_ok(), is_good, "{name}");
        }
        assert!(kind_name(&"long.".repeat(13)).is_err());
    }
}
