//! Where Ollama is, and how patient the host is with it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use reqwest::Url;
use roughneck_jobs::{
    guard::Breaker,
    model::{Resolved, Site},
};
use serde_json::{Map, Value};

use crate::{
    gateway::keep_alive::{self, KeepAlive},
    model_name, option,
    request::keep_alive_value,
    resolve::{self, Wanted},
};

/// Signs of life that follow each other faster than this are no signs but a load.
const QUIET_MIN: Duration = Duration::from_millis(10);

/// Between two pieces of a healthy answer may be as much, and no whole one takes less.
const ANSWER_MIN: Duration = Duration::from_millis(100);

/// No model has a longer context, and no machine the memory for one.
const NUM_CTX_MAX: u64 = 1 << 24;

/// How many calls may be under way in the cloud. Beyond the last, a queue would be none.
const CLOUD_CONCURRENCY: RangeInclusive<usize> = 1..=64;

/// The settings of one lane.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http://127.0.0.1:11434`; a path is kept as a prefix, a user and password become basic
    /// authentication and are never shown.
    pub url: String,
    /// Names of the operator's own for models, such as `default` and `fast`. Not followed twice. Whoever asks
    /// for one may spell it as Ollama lets them spell a model: `FAST`, `fast:latest`.
    pub aliases: BTreeMap<String, String>,
    /// How long a model stays loaded after a call that does not say so, as Ollama writes it: `10m`, `-1` for ever.
    /// After a call of a route that has no field for it, Ollama is told a moment later. None leaves it to Ollama.
    pub keep_alive: Option<String>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long Ollama may take for a question that needs no work of a model, such as what it has installed or loaded,
    /// whoever asks, and to let go of a model.
    pub question_timeout: Duration,
    /// How long a load, or the first byte of an answer, may take. Large models on slow disks and
    /// long prompts take minutes.
    pub first_byte: Duration,
    /// How long an answer may take that Ollama gives in one piece: it is silent until it is whole.
    pub whole_answer: Duration,
    /// How long an answer that has begun may stay silent, or stay unread once the lane's buffer for it
    /// is full. One that trickles may take four times as long for a whole piece.
    pub stall: Duration,
    /// How often a healthy Ollama is asked for its inventory, and, while nothing is loaded and nobody asks for
    /// anything, for what it has loaded.
    pub poll_every: Duration,
    /// How often it is asked for what it has loaded otherwise.
    pub look_every: Duration,
    /// So many calls in a row that fail by Ollama's fault stop the lane until one token has been had of it, and for
    /// so long at first if it is not. See `breaker`.
    pub breaker: Breaker,
    /// How long that token may take, if first tokens do not take longer anyway.
    pub pulse_min: Duration,
    /// How many calls may wait, for the lane or for an Ollama that is away; the next one is refused.
    pub waiting_max: usize,
    /// How many bytes of requests may wait; a client's call beyond them is refused, unless it would be the only one.
    pub waiting_bytes_max: usize,
    /// How long a client that waits hears nothing. Then its answer is begun with a sign of life, and
    /// another one follows each time; what goes wrong later can no longer change the status.
    pub quiet_for: Duration,
    /// Whether that is so for an answer in one piece, too, which then begins with spaces. Off by default: not
    /// every client looks for an error in an answer of status 200.
    pub heartbeat_whole: bool,
    /// How long a client's call waits for an Ollama that is away.
    pub away_patience: Duration,
    /// What is kept of the calls of clients.
    pub record: Record,
    /// Whether clients may change what is installed.
    pub admin: bool,
    /// The context, in tokens, that a model is loaded with where a request names none, by model. Without
    /// it two clients that differ in nothing else make Ollama load the same model again and again.
    pub pins: BTreeMap<String, u64>,
    /// Tells the stand-ins of this host from those of others in front of the same Ollama, whose pins may be others. A lane
    /// without one makes none, and deletes none.
    pub owner: Option<u32>,
    /// A model whose embeddings do not wait for the lane: they have a turn of their own, one at a time. Ollama
    /// must have room for it beside the model that is loaded (`OLLAMA_MAX_LOADED_MODELS=2`).
    pub embedder: Option<String>,
    /// Whether calls may go to models that answer elsewhere, which Ollama calls its cloud.
    pub cloud: bool,
    /// How many of them are under way at once. They take no turn of the lane, and nothing is loaded for them.
    pub cloud_concurrency: usize,
    /// Whether a call of `bulk` that is being answered gives way to an urgent one, to be made anew: see
    /// [`crate::preempt`].
    pub preempt: bool,
    /// The callers whom the metrics tell apart. All others are one: anybody can call themselves anything.
    pub callers: BTreeSet<String>,
}

/// What is kept of a client's call, in its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// That it was there, and its cost.
    None,
    /// Its route, model, size, caller and how it ended.
    #[default]
    Metadata,
    /// All that was asked and answered.
    Full,
}

impl Record {
    /// Whether prompts and answers are kept.
    pub(crate) fn keeps_words(self) -> bool {
        match self {
            Self::None | Self::Metadata => false,
            Self::Full => true,
        }
    }
}

impl Config {
    /// The defaults, for the Ollama at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            aliases: BTreeMap::new(),
            keep_alive: None,
            connect_timeout: Duration::from_secs(5),
            question_timeout: Duration::from_secs(10),
            first_byte: Duration::from_secs(600),
            whole_answer: Duration::from_secs(3600),
            stall: Duration::from_secs(120),
            poll_every: Duration::from_secs(30),
            look_every: Duration::from_secs(5),
            breaker: Breaker { failures: 3, pause_ms: 5_000 },
            pulse_min: Duration::from_secs(10),
            waiting_max: 512,
            waiting_bytes_max: 512 << 20,
            // Below the 60 s of most proxies, far below the 300 s of Node.
            quiet_for: Duration::from_secs(20),
            heartbeat_whole: false,
            away_patience: Duration::from_secs(30),
            record: Record::default(),
            admin: false,
            pins: BTreeMap::new(),
            owner: None,
            embedder: None,
            cloud: false,
            // What Ollama's cloud lets a paying account do at once; beyond what an account may, it says so itself.
            cloud_concurrency: 3,
            preempt: false,
            callers: BTreeSet::new(),
        }
    }

    /// The context that this model is loaded with, if the operator pinned one.
    pub(crate) fn pinned(&self, model: &str) -> Option<u64> {
        let pin = self.pins.iter().find(|(name, _)| model_name::is_same(name, model))?;
        Some(*pin.1)
    }

    /// The context that a call of this model goes out with: its pin, unless it is no context of this machine.
    pub(crate) fn pin_of(&self, model: &Resolved) -> Option<u64> {
        match model.site {
            Site::Here => self.pinned(&model.name),
            Site::Cloud => None,
        }
    }

    /// The options of a request to this model, with the context that is pinned if they name none.
    pub(crate) fn with_pin<'a>(
        &self,
        model: &Resolved,
        options: &'a Map<String, Value>,
    ) -> Cow<'a, Map<String, Value>> {
        match self.pin_of(model) {
            Some(num_ctx) if !option::names_context(options) => {
                Cow::Owned(option::with_context(options, num_ctx))
            }
            Some(_) | None => Cow::Borrowed(options),
        }
    }

    /// The settings as a lane follows them: with something in each of them that can be done, and with the
    /// models that aliases stand for. The one place where they are checked.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be used.
    pub fn checked(mut self) -> Result<Self, BadConfig> {
        self.parsed_url()?;
        self.check_keep_alive()?;
        at_least("quiet-for", self.quiet_for, QUIET_MIN)?;
        at_least("first-byte", self.first_byte, ANSWER_MIN)?;
        at_least("stall", self.stall, ANSWER_MIN)?;
        at_least("whole-answer", self.whole_answer, ANSWER_MIN)?;
        if !CLOUD_CONCURRENCY.contains(&self.cloud_concurrency) {
            let (from, to) = CLOUD_CONCURRENCY.into_inner();
            let why = format!("{} is not between {from} and {to}", self.cloud_concurrency);
            return Err(BadConfig::Setting { key: "cloud-concurrency", why });
        }
        self.check_aliases()?;
        self.embedder = match &self.embedder {
            Some(name) => Some(self.meant("embedder", name)?),
            None => None,
        };
        let mut pins: BTreeMap<String, u64> = BTreeMap::new();
        for (name, num_ctx) in &self.pins {
            let model = self.meant("num-ctx", name)?;
            if !(1..=NUM_CTX_MAX).contains(num_ctx) {
                let why = format!("the context of `{name}` has 1 to {NUM_CTX_MAX} tokens");
                return Err(BadConfig::Setting { key: "num-ctx", why });
            }
            if pins.keys().any(|other| model_name::is_same(other, &model)) {
                let why =
                    format!("it names `{model}` twice, once as `{name}`; keep one of the two");
                return Err(BadConfig::Setting { key: "num-ctx", why });
            }
            pins.insert(model, *num_ctx);
        }
        self.pins = pins;
        Ok(self)
    }

    /// Zero must be caught, because a request that loads a model and has `keep_alive` 0 unloads it instead.
    fn check_keep_alive(&self) -> Result<(), BadConfig> {
        let Some(text) = &self.keep_alive else { return Ok(()) };
        let bad = |why: String| BadConfig::KeepAlive { text: text.clone(), why };
        match keep_alive::read(&keep_alive_value(text)).map_err(bad)? {
            KeepAlive::Some => Ok(()),
            KeepAlive::None => Err(bad("the model would be loaded anew for every call".to_owned())),
        }
    }

    fn check_aliases(&self) -> Result<(), BadConfig> {
        let bad = |why: String| Err(BadConfig::Setting { key: "aliases", why });
        for (alias, name) in &self.aliases {
            if alias.trim().is_empty() || name.trim().is_empty() {
                return bad(format!(
                    "`{alias}` stands for `{name}`; an alias has a name, and names a model"
                ));
            }
            let is_alias =
                |name: &str| self.aliases.keys().any(|other| model_name::is_same(other, name));
            if is_alias(name) || resolve::is_default(name) {
                return bad(format!(
                    "`{alias}` stands for `{name}`, which is no model but an alias; aliases are not followed twice"
                ));
            }
            let is_twin = |other: &&String| *other != alias && model_name::is_same(other, alias);
            if let Some(twin) = self.aliases.keys().find(is_twin) {
                return bad(format!(
                    "`{alias}` and `{twin}` are one name to Ollama; keep one of the two"
                ));
            }
        }
        Ok(())
    }

    /// The model that a setting names, by itself or by an alias.
    fn meant(&self, key: &'static str, name: &str) -> Result<String, BadConfig> {
        let bad = |why: &str| Err(BadConfig::Setting { key, why: why.to_owned() });
        match resolve::wanted(&self.aliases, name) {
            Wanted::Named { name: "", alias: _ } => bad("it names no model"),
            Wanted::Named { name, alias: _ } => Ok(name.to_owned()),
            Wanted::Newest => bad(
                "`default` is another model after each pull; name a model, or let `default` stand for one under `aliases`",
            ),
        }
    }

    pub(crate) fn parsed_url(&self) -> Result<Url, BadConfig> {
        let bad = |why: &str| BadConfig::Url { why: why.to_owned() };
        let url = Url::parse(&self.url).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it must begin with http:// or https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it must end with the host, the port or a path"));
        }
        Ok(url)
    }
}

fn at_least(key: &'static str, given: Duration, min: Duration) -> Result<(), BadConfig> {
    if given >= min {
        return Ok(());
    }
    let why =
        format!("{} ms is too short; it must be at least {}ms", given.as_millis(), min.as_millis());
    Err(BadConfig::Setting { key, why })
}

/// Why a lane cannot start. The address is not repeated: it may contain a password.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The address is none.
    #[error("the address of Ollama is not usable ({why}); write it like http://127.0.0.1:11434")]
    Url {
        /// What is wrong with it.
        why: String,
    },
    /// The time that a model stays loaded is none, or no time at all.
    #[error("`keep-alive` cannot be `{text}` ({why}); write it like 10m or 1h30m, or -1 for ever")]
    KeepAlive {
        /// As it was written.
        text: String,
        /// In Go's own words, or ours.
        why: String,
    },
    /// Another setting means nothing.
    #[error("`{key}` under [ollama] cannot be used: {why}")]
    Setting {
        /// Its name in the configuration.
        key: &'static str,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// No HTTP client can be made.
    #[error(
        "the HTTP client for Ollama cannot be set up; for https, install the system's certificates"
    )]
    Client(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_says_how_to_write_one() {
        for (url, why) in [
            ("127.0.0.1:11434", "relative URL without a base"),
            ("ftp://host", "it must begin with http:// or https://"),
            ("http://host/?a=b", "it must end with the host, the port or a path"),
        ] {
            let error = Config::new(url).parsed_url().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("http://127.0.0.1:11434"), "{error}");
        }
        assert!(Config::new("https://me:secret@host/prefix").parsed_url().is_ok());
    }

    #[test]
    fn a_keep_alive_that_would_unload_the_model_is_refused() {
        for (keep_alive, usable) in [
            (None, true),
            (Some("10m"), true),
            (Some("-1"), true),
            (Some("1h0m"), true),
            (Some("0"), false),
            (Some("0s"), false),
            (Some("long"), false),
            (Some("5 minutes"), false),
            (Some(" 5m"), false),
            (Some("1.2.3s"), false),
            (Some(".s"), false),
            (Some(""), false),
        ] {
            let keep_alive = keep_alive.map(str::to_owned);
            let config = Config { keep_alive, ..Config::new("http://host") };
            let text = format!("{:?}", config.keep_alive);
            assert_eq!(config.checked().is_ok(), usable, "{text}");
        }
    }

    fn with(change: impl FnOnce(&mut Config)) -> Result<Config, String> {
        let mut config = Config::new("http://host");
        config.aliases = BTreeMap::from([("fast".to_owned(), "llama3.2:3b".to_owned())]);
        change(&mut config);
        config.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn what_means_nothing_is_refused_with_the_name_of_its_key() {
        let alias = |alias: &'static str, name: &'static str| {
            move |config: &mut Config| {
                drop(config.aliases.insert(alias.to_owned(), name.to_owned()));
            }
        };
        let pins = |pins: &'static [(&'static str, u64)]| {
            move |config: &mut Config| {
                config.pins =
                    pins.iter().map(|(name, tokens)| ((*name).to_owned(), *tokens)).collect();
            }
        };
        let embedder = |name: &str| with(|config| config.embedder = Some(name.to_owned()));
        for (refused, sentence) in [
            (with(|config| config.quiet_for = Duration::ZERO), "`quiet-for` under [ollama]"),
            (with(|config| config.stall = Duration::ZERO), "must be at least 100ms"),
            (with(|config| config.first_byte = Duration::ZERO), "`first-byte` under [ollama]"),
            (with(|config| config.whole_answer = Duration::ZERO), "`whole-answer` under [ollama]"),
            (with(|config| config.cloud_concurrency = 0), "`cloud-concurrency` under [ollama]"),
            (with(|config| config.cloud_concurrency = 65), "65 is not between 1 and 64"),
            (with(alias("", "m")), "an alias has a name"),
            (with(alias("a", " ")), "an alias has a name"),
            (with(alias("a", "FAST")), "`a` stands for `FAST`, which is no model but an alias"),
            (with(alias("a", "a:latest")), "aliases are not followed twice"),
            (with(alias("a", "default")), "which is no model but an alias"),
            (with(alias("Fast", "m")), "`Fast` and `fast` are one name"),
            (embedder(""), "`embedder` under [ollama] cannot be used: it names no model"),
            (embedder("default"), "let `default` stand for one under `aliases`"),
            (with(pins(&[("m", 0)])), "`num-ctx` under [ollama]"),
            (with(pins(&[("m", 99_999_999_999)])), "`m` has 1 to 16777216 tokens"),
            (with(pins(&[("fast", 1), ("llama3.2:3b", 2)])), "twice"),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.contains(sentence), "{refused}");
        }
    }

    #[test]
    fn aliases_are_followed_wherever_a_model_is_named() {
        let config = with(|config| {
            config.embedder = Some("FAST".to_owned());
            config.pins = BTreeMap::from([("fast:latest".to_owned(), 8192)]);
        });
        let config = config.unwrap();
        assert_eq!(config.embedder.as_deref(), Some("llama3.2:3b"));
        assert_eq!(config.pinned("llama3.2:3b"), Some(8192));
        assert_eq!(config.checked().unwrap().pins.len(), 1, "what was followed leads no further");
    }
}
