//! The first gate: what a component imports is what its manifest names, in a contract this host
//! speaks.

use roughneck_jobs::manifest::{CONTRACT, Capabilities, contract};

use crate::refused::Refused;

/// Interfaces of the contract that need no wish.
const FREE: [&str; 4] = ["types", "context", "progress", "log"];

/// Packages of WASI 0.2 that are there and empty. Runtimes of interpreted languages import them all,
/// `sockets` included, without using them.
const EMPTY_WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// `name` of the interface every plugin exports.
const JOB: &str = "job";

/// An import or export such as `roughneck:plugin/llm@1.0.0`, taken apart.
struct Interface<'a> {
    package: &'a str,
    name: &'a str,
    version: &'a str,
}

impl<'a> Interface<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (package, rest) = text.split_once('/')?;
        let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
        Some(Self { package, name, version })
    }
}

/// Checks every import.
pub(crate) fn check_imports<'a>(
    imports: impl IntoIterator<Item = &'a str>,
    wanted: &Capabilities,
) -> Result<(), Refused> {
    for import in imports {
        let Some(interface) = Interface::parse(import) else { return Err(unknown(import)) };
        if interface.package == CONTRACT.0 {
            check_version(&interface)?;
            check_wish(import, interface.name, wanted)?;
        } else if !is_empty_wasi(&interface) {
            return Err(unknown(import));
        }
    }
    Ok(())
}

/// Checks that the component exports the job, in a version this host can call.
pub(crate) fn check_exports<'a>(exports: impl IntoIterator<Item = &'a str>) -> Result<(), Refused> {
    let job = exports
        .into_iter()
        .filter_map(Interface::parse)
        .find(|interface| interface.package == CONTRACT.0 && interface.name == JOB);
    match job {
        Some(job) => check_version(&job),
        None => Err(Refused::new(
            "export-missing",
            format!(
                "the component does not export `{}/{JOB}`; build it against one of the worlds of {}@{}",
                CONTRACT.0, CONTRACT.0, CONTRACT.1
            ),
        )),
    }
}

/// wasmtime would link a newer version as long as it uses nothing new, and fail with a puzzle when it
/// does.
fn check_version(interface: &Interface<'_>) -> Result<(), Refused> {
    contract::check_version(interface.version)
        .map_err(|error| Refused::because("contract-version", &error))
}

fn check_wish(import: &str, name: &str, wanted: &Capabilities) -> Result<(), Refused> {
    let (is_wanted, line) = match name {
        "llm" => (wanted.llm.is_some(), r#"llm = { models = ["default"] }"#),
        "http" => (wanted.http.is_some(), r#"http = { hosts = ["api.example.com"] }"#),
        "callback" => (wanted.callback.is_some(), r#"callback = { targets = ["cms"] }"#),
        "kv" => (wanted.kv.is_some(), r#"kv = { max-bytes = "1MiB" }"#),
        "enqueue" => (wanted.submit.is_some(), r#"submit = { kinds = ["page"] }"#),
        free if FREE.contains(&free) => return Ok(()),
        _ => return Err(unknown(import)),
    };
    if is_wanted {
        return Ok(());
    }
    Err(Refused::new(
        "capability-undeclared",
        format!(
            "the component uses `{name}`, which plugin.toml does not declare; add under [capabilities] a line such as `{line}`"
        ),
    ))
}

fn is_empty_wasi(interface: &Interface<'_>) -> bool {
    let package = interface.package.strip_prefix("wasi:");
    package.is_some_and(|package| EMPTY_WASI.contains(&package))
        && interface.version.starts_with("0.2.")
}

fn unknown(import: &str) -> Refused {
    let shown = roughneck_capabilities::clip(import, 128);
    let advice = if import.starts_with("wasi:http/") {
        "use `http` of the contract, which the operator can grant host by host"
    } else {
        "remove what needs it from the plugin"
    };
    Refused::new(
        "import-unknown",
        format!("the component imports `{shown}`, which this host does not provide; {advice}"),
    )
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::manifest::{KvWish, LlmWish};

    use super::*;

    fn wanted() -> Capabilities {
        Capabilities {
            llm: Some(LlmWish { models: vec!["*".into()] }),
            kv: Some(KvWish { bytes_max: 1 }),
            ..Capabilities::default()
        }
    }

    #[test]
    fn free_wanted_and_empty_imports_pass() {
        let imports = [
            "roughneck:plugin/types@1.0.0",
            "roughneck:plugin/context@1.0.0",
            "roughneck:plugin/progress@1.0.0",
            "roughneck:plugin/log@1.0.7",
            "roughneck:plugin/llm@1.0.0",
            "roughneck:plugin/kv@1.0.0",
            "wasi:cli/environment@0.2.6",
            "wasi:sockets/tcp@0.2.12",
            "wasi:filesystem/preopens@0.2.0",
        ];
        assert_eq!(check_imports(imports, &wanted()), Ok(()));
    }

    #[test]
    fn every_other_import_is_refused_with_its_own_sentence() {
        let table = [
            ("roughneck:plugin/http@1.0.0", "capability-undeclared", "http = { hosts ="),
            ("roughneck:plugin/callback@1.0.0", "capability-undeclared", "callback = { targets ="),
            ("roughneck:plugin/enqueue@1.0.0", "capability-undeclared", "submit = { kinds ="),
            ("roughneck:plugin/secrets@1.0.0", "import-unknown", "does not provide"),
            (
                "roughneck:plugin/context@2.0.0",
                "contract-version",
                "@2.0.0; this host speaks 1.0.0",
            ),
            ("roughneck:plugin/context@1.3.0", "contract-version", "speaks roughneck:plugin@1.3"),
            ("roughneck:plugin/context@0.9.0", "contract-version", "rebuild the plugin"),
            ("roughneck:plugin/context@1.0.0-rc.1", "contract-version", "rebuild the plugin"),
            ("roughneck:plugin/context", "contract-version", "rebuild the plugin"),
            ("wasi:http/outgoing-handler@0.2.6", "import-unknown", "use `http` of the contract"),
            ("wasi:cli/environment@0.3.0", "import-unknown", "does not provide"),
            ("wasi:keyvalue/store@0.2.0", "import-unknown", "does not provide"),
            ("acme:jobs/handler@1.0.0", "import-unknown", "does not provide"),
            ("env", "import-unknown", "`env`"),
        ];
        for (import, code, sentence) in table {
            let refused = check_imports([import], &wanted()).unwrap_err();
            assert_eq!(refused.code, code, "{import}");
            assert!(refused.message.contains(sentence), "{import}: {}", refused.message);
        }
    }

    #[test]
    fn the_job_must_be_exported() {
        assert_eq!(check_exports(["init", "roughneck:plugin/job@1.0.0"]), Ok(()));
        assert_eq!(check_exports(["wasi:cli/run@0.2.6"]).unwrap_err().code, "export-missing");
        let newer = check_exports(["roughneck:plugin/job@2.0.0"]).unwrap_err();
        assert_eq!(newer.code, "contract-version");
    }
}
