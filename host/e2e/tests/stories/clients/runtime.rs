//! What a client runs with. `cargo xtask clients` installs it.

use std::path::{Path, PathBuf};
use std::{fs, process};

/// A language that clients are written in.
#[derive(Clone, Copy)]
pub(super) enum Runtime {
    Python,
    Node,
}

impl Runtime {
    /// Why its clients cannot be tested on this machine, if so.
    pub(super) fn missing(self) -> Option<String> {
        let dir = self.installed();
        let sentence = fs::read_to_string(dir.join("missing")).ok();
        let ready = sentence.is_some() || dir.join("installed").exists();
        assert!(ready, "{} is missing; `cargo xtask clients` installs it", dir.display());
        sentence
    }

    /// A command that runs one of the scripts in `dir`, where it may leave what it likes.
    pub(super) fn command(self, script: &str, dir: &Path) -> process::Command {
        let mut command = match self {
            Self::Python => {
                let mut python = process::Command::new(self.installed().join("venv/bin/python"));
                python.args(["-B", "-X", "utf8"]).arg(self.scripts().join(script));
                python
            }
            Self::Node => {
                // Node looks for packages from where a script lies, and ours lie in the tree.
                for entry in fs::read_dir(self.scripts()).unwrap() {
                    let path = entry.unwrap().path();
                    fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
                }
                let packages = self.installed().join("node_modules");
                std::os::unix::fs::symlink(packages, dir.join("node_modules")).unwrap();
                let mut node = process::Command::new("node");
                node.arg(script);
                node
            }
        };
        // Keys, proxies and addresses of the tester's own are not the test's.
        command.current_dir(dir).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command
    }

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    fn scripts(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(self.name())
    }

    fn installed(self) -> PathBuf {
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients");
        clients.join(self.name())
    }
}
