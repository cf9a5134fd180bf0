//! What the clients saw, as `host/docs/clients.md` has it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::script::Answer;

/// Fails if the record of this client is another, and leaves the right one in `target/clients`.
pub(super) fn check(direct: &[Answer], differences: &[(&str, &str, &str)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let record = root.join("host/docs/clients.md");
    let section = section(direct, differences);
    if fs::read_to_string(&record).unwrap().contains(&section) {
        return;
    }
    let right = root.join("target/clients").join(format!("{}.md", direct[0].client));
    fs::write(&right, &section).unwrap();
    panic!("{} is out of date; put {} into it", record.display(), right.display());
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
