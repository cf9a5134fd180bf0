//! Secrets, and who can read them.

use std::{fs, path::Path};

use roughneck_jobs::signature::Secret;

use super::finding::Finding;
use crate::{config::Config, private, signing_secret};

pub(super) fn look(data_dir: &Path, file: Option<&Path>, config: &Config) -> Vec<Finding> {
    let mut findings = vec![signing(&data_dir.join(signing_secret::FILE))];
    let targets = config.callbacks.targets().unwrap_or_default();
    if targets.values().any(|target| target.secret.is_some()) {
        findings.extend(file.map(private_file));
    }
    findings
}

/// The host's own.
fn signing(path: &Path) -> Finding {
    let shown = path.display();
    if !path.exists() {
        return Finding::ok("secret", "the one that signs webhooks is made by the first start");
    }
    match fs::read_to_string(path).map(|text| text.trim().parse::<Secret>().is_ok()) {
        Ok(true) => private_file(path),
        Ok(false) => Finding::fail(
            "secret",
            format!("{shown} does not hold a signing secret"),
            "take it from a backup, or delete it to get a new one, which every receiver of webhooks must then be given",
        ),
        Err(error) => Finding::fail(
            "secret",
            format!("{shown} cannot be read ({error})"),
            "give it to the user of the host",
        ),
    }
}

/// A file that is there and holds a secret.
fn private_file(path: &Path) -> Finding {
    let shown = path.display();
    if private::is_open_to_others(path) {
        return Finding::warn(
            "secret",
            format!("{shown} holds a secret and can be read by other users"),
            format!("run `chmod 600 {shown}`"),
        );
    }
    Finding::ok("secret", format!("{shown} is for its owner alone"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{commands::doctor::finding::Status, system::System};

    #[test]
    fn a_secret_is_judged_by_its_text_and_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(signing_secret::FILE);
        assert_eq!(signing(&path).status, Status::Ok);
        signing_secret::load(dir.path(), &System).unwrap();
        assert_eq!(signing(&path).status, Status::Ok);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(signing(&path).status, Status::Warn);
        fs::write(&path, "hunter2").unwrap();
        let finding = signing(&path);
        assert_eq!(finding.status, Status::Fail);
        assert!(!format!("{finding:?}").contains("hunter2"));
    }
}
