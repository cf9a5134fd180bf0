//! Configuration: `roughneck.toml`, then `ROUGHNECK_*`, then flags; the last one wins. No
//! configuration at all works.

mod budgets;
mod callbacks;
mod classes;
mod guard;
mod intake;
mod ollama;
mod retention;
mod server;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use roughneck_jobs::{grant::Grant, manifest::text, strict};
use serde::Deserialize;

pub(crate) use budgets::Budgets;
pub(crate) use callbacks::Callbacks;
pub(crate) use classes::Classes;
pub(crate) use guard::Guard;
pub(crate) use intake::Intake;
pub(crate) use ollama::Ollama;
pub(crate) use retention::Retention;
pub(crate) use server::Server;

/// The file that is read when it exists and no other is named.
const FILE_DEFAULT: &str = "roughneck.toml";

/// The folder of plugins in the data folder.
const PLUGINS_DEFAULT: &str = "plugins";

/// Everything an operator can set. There are secrets in it, so it is not `Debug`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Where the queue, the compiled plugins and the secrets live. `./data` by default.
    data_dir: Option<PathBuf>,
    /// Folders of plugins. `plugins` in the data folder by default.
    plugins: Option<Vec<PathBuf>>,
    /// How long running jobs may take to finish when the host stops. `30s` by default.
    stop_limit: Option<String>,
    /// The HTTP surface.
    pub(crate) server: Server,
    /// The Ollama behind the lane.
    pub(crate) ollama: Ollama,
    /// Slots by class.
    pub(crate) classes: Classes,
    /// What pauses a kind by itself.
    pub(crate) guard: Guard,
    /// How many tokens may be used.
    pub(crate) budgets: Budgets,
    /// When no new jobs are taken.
    pub(crate) intake: Intake,
    /// How long ended jobs are kept.
    pub(crate) retention: Retention,
    /// Webhooks.
    pub(crate) callbacks: Callbacks,
    /// What each plugin may do.
    pub(crate) grants: BTreeMap<String, Grant>,
}

/// What flags and the environment override.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Overrides {
    /// The configuration file [default: roughneck.toml, if it exists]
    #[arg(long, env = "ROUGHNECK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the queue and all other state live [default: ./data]
    #[arg(long, env = "ROUGHNECK_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:7117]
    #[arg(long, env = "ROUGHNECK_LISTEN", value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// The Ollama behind the lane [default: OLLAMA_HOST, or http://127.0.0.1:11434]
    // The help would show its value, which may hold a password.
    #[arg(long, env = "ROUGHNECK_OLLAMA_URL", hide_env_values = true, value_name = "URL")]
    ollama_url: Option<String>,
    /// A folder of plugins; may be given several times [default: DATA_DIR/plugins]
    #[arg(long, env = "ROUGHNECK_PLUGINS", value_name = "DIR", value_delimiter = ':')]
    plugins: Vec<PathBuf>,
}

#[cfg(test)]
impl Overrides {
    /// Nothing but this file.
    pub(crate) fn of(file: &Path) -> Self {
        Self { config: Some(file.to_owned()), ..Self::default() }
    }
}

impl Config {
    /// Reads the file, lays the overrides over it, and checks the whole.
    ///
    /// # Errors
    /// A sentence that names the file, the line and the key.
    pub(crate) fn load(overrides: &Overrides) -> Result<Self> {
        let mut config = match Self::file(overrides) {
            Some(path) => Self::read(&path)?,
            None => Self::default(),
        };
        if let Some(data_dir) = &overrides.data_dir {
            config.data_dir = Some(data_dir.clone());
        }
        if let Some(listen) = &overrides.listen {
            config.server.listen.clone_from(listen);
        }
        if let Some(url) = &overrides.ollama_url {
            config.ollama.url = Some(url.clone());
        }
        if !overrides.plugins.is_empty() {
            config.plugins = Some(overrides.plugins.clone());
        }
        config.validate()?;
        Ok(config)
    }

    /// Reads the configuration of a host that is to serve.
    ///
    /// # Errors
    /// As [`Self::load`]; and if its Ollama is the host itself, which does not matter to a command that asks
    /// nothing of Ollama: where `OLLAMA_HOST` is set for clients, every one of them would fail.
    pub(crate) fn load_to_serve(overrides: &Overrides) -> Result<Self> {
        let config = Self::load(overrides)?;
        config.ollama.leads_away_from(config.server.address()?)?;
        Ok(config)
    }

    /// The file that is read, if there is one.
    #[must_use]
    pub(crate) fn file(overrides: &Overrides) -> Option<PathBuf> {
        let default = || Some(PathBuf::from(FILE_DEFAULT)).filter(|file| file.exists());
        overrides.config.clone().or_else(default)
    }

    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the configuration file {shown} cannot be read"))?;
        strict::from_toml(&text).with_context(|| format!("the configuration file {shown} is wrong"))
    }

    fn validate(&self) -> Result<()> {
        self.server.address()?;
        self.ollama.lane()?;
        self.classes.slots()?;
        self.guard.runaway()?;
        self.guard.breaker()?;
        self.budgets.limits()?;
        self.budgets.zone()?;
        self.intake.marks()?;
        self.retention.limits()?;
        self.callbacks.targets()?;
        for (plugin, grant) in &self.grants {
            grant.check_patterns(&format!("grants.{plugin}"))?;
        }
        self.stop_limit()?;
        // The one in the data folder is made at the first start.
        let own = self.data_dir().join(PLUGINS_DEFAULT);
        for plugin in self.plugins.iter().flatten().filter(|plugin| **plugin != own) {
            if !plugin.is_dir() {
                bail!(
                    "the plugin folder {} does not exist; create it, or name another with --plugins",
                    plugin.display()
                );
            }
        }
        Ok(())
    }

    /// Where all state lives.
    #[must_use]
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from("data"))
    }

    /// The folders of plugins.
    #[must_use]
    pub(crate) fn plugins(&self) -> Vec<PathBuf> {
        self.plugins.clone().unwrap_or_else(|| vec![self.data_dir().join(PLUGINS_DEFAULT)])
    }

    /// How long running jobs may take to finish when the host stops.
    ///
    /// # Errors
    /// A sentence, if the text is no duration.
    pub(crate) fn stop_limit(&self) -> Result<Duration> {
        let limit = self.stop_limit.as_deref().unwrap_or("30s");
        text::duration_ms(limit).map(Duration::from_millis).context("`stop-limit` is wrong")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("roughneck.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(&Overrides::of(&file))
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", load(text).err().unwrap())
    }

    #[test]
    fn an_empty_file_is_a_whole_configuration() {
        let config = load("").unwrap();
        assert_eq!(config.data_dir(), PathBuf::from("data"));
        assert_eq!(config.plugins(), [PathBuf::from("data/plugins")]);
        assert_eq!(config.server.address().unwrap().to_string(), "127.0.0.1:7117");
        assert_eq!(config.stop_limit().unwrap(), Duration::from_secs(30));
        assert_eq!(config.classes.slots().unwrap(), roughneck_jobs::class::default_slots());
    }

    #[test]
    fn mistakes_name_the_key_and_the_remedy() {
        let table = [
            (
                "[servr]\nlisten = \"127.0.0.1:1\"",
                "line 1: unknown key `servr`; did you mean `server`?",
            ),
            ("[server]\nlisten = \"0.0.0.0:80\"", "only loopback"),
            ("[server]\nlisten = \"here\"", "`here` is not an address"),
            ("[classes]\nio = 0", "the class `io` must have 1 to 1000 slots"),
            ("[ollama]\nurl = \"ftp://x\"", "must start with http:// or https://"),
            ("[callbacks.targets.cms]\nurl = \"https://a\"\nsecret = \"hunter2\"", "`whsec_`"),
            ("[server]\nbody-max = \"0B\"", "at least 1KiB"),
            ("[server]\nconnections-max = 0", "`server.connections-max` is from 1 to"),
            ("[ollama]\nkeep-alive = \"5 minutes\"", "`keep-alive` cannot be `5 minutes`"),
            ("[ollama]\nkeep-alive = \"0\"", "write it like 10m"),
            ("[ollama]\nquiet-for = \"0s\"", "`quiet-for` under [ollama] cannot be used"),
            ("[ollama]\nurl = \"http://h/?key=hunter2\"", "it must end with the host"),
            ("[ollama]\nurl = \"http://\"", "`http://` is not a URL"),
            ("[classes]\n\"My Class\" = 1", "`My Class` is not a name"),
            ("[callbacks.targets.cms]\nurl = \"https://\"", "names no host"),
            ("[callbacks.targets.C_M]\nurl = \"https://a\"", "lower-case letters"),
            ("[guard]\nfailures-pause = \"a bit\"", "`guard.failures-pause` is wrong"),
            ("[budgets]\njob = 0", "`budgets.job` must be at least 1 token"),
            ("[budgets.kinds]\ndraft = 0", "`budgets.kinds.draft` must be at least 1"),
            ("[budgets.callers]\nalice = -1", "line 2"),
            ("[budgets]\ncallers-default = 1", "did you mean `caller-default`?"),
            ("[budgets]\nreset-zone = \"Berlin\"", "`Berlin` is no IANA time zone"),
            ("[retention]\ndone = \"later\"", "`retention.done` is wrong"),
            ("[intake]\nbytes-max = \"1KiB\"", "must be at least 256MiB"),
            ("[intake]\njobs-max = 0", "must be at least 1"),
            ("[intake]\ndisk-free-min = \"much\"", "`intake.disk-free-min` is wrong"),
            ("stop-limit = \"soon\"", "`soon` is not a duration"),
            ("plugins = [\"no/such/dir\"]", "no/such/dir does not exist"),
            ("[grants.x]\nhtp = []", "did you mean `http`?"),
            ("[grants.x]\nhttp = [\"http://a/\"]", "`grants.x.http`: a host is written like"),
            ("[grants.x]\nhttp = [\"\"]", "`grants.x.http`: a host is written like"),
            ("[grants.x]\nmodels = [\"\"]", "`grants.x.models`: a model has 1 to 256 bytes"),
            ("[grants.x]\nsubmit = [\"\"]", "`grants.x.submit`: a kind has 1 to 63 bytes"),
            ("[grants.x]\ncallbacks = [\"A\"]", "`grants.x.callbacks`: a target is named"),
            ("[server]\nnames = [\"mini.lan\", \"http://a\"]", "`server.names` holds `http://a`"),
            ("[server]\nnames = [\"\"]", "`server.names` holds ``"),
            ("[server]\nnames = [\"mini.lan:80\"]", "without a scheme or a port"),
            ("[ollama]\nnum-ctx = { m = 99999999999999 }", "`m` has 1 to 16777216 tokens"),
        ];
        for (text, expected) in table {
            let error = refusal(text);
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn ended_jobs_are_kept_as_long_as_the_operator_says() {
        let config = load("[retention]\ndone = \"30d\"\nfailed = \"forever\"").unwrap();
        let limits = config.retention.limits().unwrap();
        assert_eq!((limits.done_ms, limits.failed_ms), (Some(30 * 86_400_000), None));
        assert_eq!(limits.cancelled_ms, roughneck_engine::Retention::default().cancelled_ms);
    }

    #[test]
    fn a_guard_can_be_set_and_switched_off() {
        let config = load("[guard]\nsubmissions-per-minute = 0\nfailures-in-a-row = 3").unwrap();
        assert_eq!(config.guard.runaway().unwrap(), None);
        let breaker = config.guard.breaker().unwrap().unwrap();
        assert_eq!((breaker.failures, breaker.pause_ms), (3, 60_000));
        let default = roughneck_jobs::guard::Runaway::default();
        assert_eq!(load("").unwrap().guard.runaway().unwrap(), Some(default));
    }

    #[test]
    fn budgets_are_those_of_the_operator_and_none_by_default() {
        let text = "[budgets]\njob = 9\ncaller-default = 8\nreset-zone = \"Europe/Berlin\"\n\
                    kinds = { \"ollama.call\" = 7 }\n[budgets.callers]\nanonymous = 6";
        let budgets = load(text).unwrap().budgets;
        let limits = budgets.limits().unwrap();
        assert_eq!((limits.job, limits.caller_default), (Some(9), Some(8)));
        assert_eq!((limits.kinds["ollama.call"], limits.callers["anonymous"]), (7, 6));
        assert_eq!(budgets.zone().unwrap().iana_name(), Some("Europe/Berlin"));
        assert!(load("").unwrap().budgets.limits().unwrap().is_empty());
    }

    #[test]
    fn the_marks_of_the_intake_are_the_operators_or_the_defaults() {
        let config = load("[intake]\njobs-max = 7\ndisk-free-min = \"0B\"").unwrap();
        let marks = config.intake.marks().unwrap();
        assert_eq!((marks.jobs_max, marks.disk_free_min), (7, 0));
        assert_eq!(marks.bytes_max, 8 << 30);
    }

    #[test]
    fn flags_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("roughneck.toml");
        std::fs::write(&file, "data-dir = \"a\"\n[server]\nlisten = \"127.0.0.1:1\"").unwrap();
        let overrides = Overrides {
            config: Some(file),
            listen: Some("127.0.0.1:2".into()),
            plugins: vec![dir.path().into()],
            ..Overrides::default()
        };
        let config = Config::load(&overrides).unwrap();
        assert_eq!(config.data_dir(), PathBuf::from("a"));
        assert_eq!(config.server.address().unwrap().port(), 2);
        assert_eq!(config.plugins(), [dir.path()]);
    }
}
