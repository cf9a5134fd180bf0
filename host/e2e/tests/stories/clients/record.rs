//! What the clients saw, as `host/docs/clients.md` has it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::script::Answer;

/// The clients that are tested.
const CLIENTS: [&str; 6] = [
    "PyPI ollama",
    "npm ollama",
    "PyPI langchain-ollama",
    "PyPI openai",
    "npm openai",
    "PyPI anthropic",
];

/// The directory of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn record() -> PathBuf {
    root().join("host/docs/clients.md")
}

/// The sections of the record, each from its heading on.
fn sections() -> Vec<String> {
    let text = fs::read_to_string(record()).unwrap();
    text.split("\n## ").skip(1).map(|section| format!("## {}", section.trim_end())).collect()
}

/// Fails if the record of this client is another, and leaves the right one in `target/clients`.
pub(super) fn check(direct: &[Answer], differences: &[(&str, &str, &str)]) {
    let client = direct[0].client.as_str();
    assert!(CLIENTS.contains(&client), "{client} is not among those of the record");
    let section = section(direct, differences);
    if sections().iter().any(|recorded| *recorded == section.trim_end()) {
        return;
    }
    let right = root().join("target/clients").join(format!("{client}.md"));
    fs::write(&right, &section).unwrap();
    panic!("{} is out of date; put {} into it", record().display(), right.display());
}

#[test]
fn the_record_has_a_section_for_each_client_and_no_other() {
    let sections = sections();
    let client = |section: &String| {
        let (client, _version) = section.lines().next()?.strip_prefix("## ")?.rsplit_once(' ')?;
        Some(client.to_owned())
    };
    let clients: Vec<String> = sections.iter().filter_map(client).collect();
    assert_eq!(clients, CLIENTS);
}

/// A heading and a table.
fn section(direct: &[Answer], differences: &[(&str, &str, &str)]) -> String {
    let Answer { client, version, .. } = &direct[0];
    let mut text = format!("## {client} {version}\n\n| check | what it saw |\n| --- | --- |\n");
    for answer in direct {
        let mut line = |check: &str, saw: &str| {
            let saw = saw.replace('|', "\\|").replace('\n', " ");
            let _infallible = writeln!(text, "| {check} | {saw} |");
        };
        line(&answer.check, &answer.saw);
        let other = differences
            .iter()
            .find(|(client, check, _)| (*client, *check) == (&answer.client, &answer.check));
        if let Some((_, check, saw)) = other {
            line(&format!("{check}, through the host"), saw);
        }
    }
    text
}
