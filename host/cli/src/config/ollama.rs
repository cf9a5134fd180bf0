//! `[ollama]`: the Ollama behind the lane.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use roughneck_jobs::manifest::text;
use serde::Deserialize;

const PORT_DEFAULT: u16 = 11434;

/// The Ollama behind the lane. Its URL may hold a password, so it is not `Debug`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Ollama {
    /// Its URL; `OLLAMA_HOST` or `http://127.0.0.1:11434` by default.
    pub(crate) url: Option<String>,
    /// Names that stand for models, so that a model's upgrade touches no plugin.
    pub(crate) aliases: BTreeMap<String, String>,
    /// How long a model stays loaded after a call that says nothing about it, as Ollama writes it.
    keep_alive: Option<String>,
    /// How many calls may wait.
    waiting_max: Option<usize>,
    /// How many bytes of requests may wait.
    waiting_bytes_max: Option<String>,
    /// After how long a client that waits gets a sign of life.
    quiet_for: Option<String>,
    /// Whether answers in one piece begin with signs of life, too.
    heartbeat_whole: bool,
    /// How long a client's call waits for an Ollama that is away.
    away_patience: Option<String>,
    /// How long a load may take, and the first byte of an answer.
    first_byte: Option<String>,
    /// How long an answer may stay silent.
    stall: Option<String>,
    /// How long one may take that comes in one piece.
    whole_answer: Option<String>,
    /// What the jobs of clients' calls keep of them.
    record: Record,
    /// Whether clients may change what is installed.
    admin: bool,
    /// The context that models are loaded with where a request names none, by model.
    num_ctx: BTreeMap<String, u64>,
    /// A model whose embeddings do not wait for the lane.
    embedder: Option<String>,
    /// Whether calls may go to models that answer elsewhere.
    cloud: bool,
    /// How many of them are under way at once.
    cloud_concurrency: Option<usize>,
    /// Whether a `bulk` call that is being answered gives way to an urgent one.
    preempt: bool,
    /// The callers whom the metrics tell apart.
    callers: BTreeSet<String>,
}

/// What the job of a client's call keeps of it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Record {
    /// Its cost.
    None,
    /// Route, model, size, caller, and how it ended.
    #[default]
    Metadata,
    /// All that was asked and answered.
    Full,
}

impl Ollama {
    /// The settings of the lane, checked as the lane would.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(crate) fn lane(&self) -> Result<roughneck_llm::Config> {
        let default = roughneck_llm::Config::new(self.url()?);
        let config = roughneck_llm::Config {
            aliases: self.aliases.clone(),
            keep_alive: self.keep_alive.clone(),
            waiting_max: self.waiting_max.unwrap_or(default.waiting_max),
            waiting_bytes_max: self.waiting_bytes_max(default.waiting_bytes_max)?,
            quiet_for: duration("quiet-for", self.quiet_for.as_deref(), default.quiet_for)?,
            heartbeat_whole: self.heartbeat_whole,
            away_patience: duration(
                "away-patience",
                self.away_patience.as_deref(),
                default.away_patience,
            )?,
            first_byte: duration("first-byte", self.first_byte.as_deref(), default.first_byte)?,
            stall: duration("stall", self.stall.as_deref(), default.stall)?,
            whole_answer: duration(
                "whole-answer",
                self.whole_answer.as_deref(),
                default.whole_answer,
            )?,
            record: match self.record {
                Record::None => roughneck_llm::Record::None,
                Record::Metadata => roughneck_llm::Record::Metadata,
                Record::Full => roughneck_llm::Record::Full,
            },
            admin: self.admin,
            pins: self.num_ctx.clone(),
            embedder: self.embedder.clone(),
            cloud: self.cloud,
            cloud_concurrency: self.cloud_concurrency.unwrap_or(default.cloud_concurrency),
            preempt: self.preempt,
            callers: self.callers.clone(),
            ..default
        };
        Ok(config.checked()?)
    }

    fn waiting_bytes_max(&self, default: usize) -> Result<usize> {
        let Some(written) = &self.waiting_bytes_max else { return Ok(default) };
        let wrong = "`ollama.waiting-bytes-max` is wrong";
        let bytes = text::size_bytes(written).context(wrong)?;
        usize::try_from(bytes).context(wrong)
    }

    /// The base URL, without a slash at its end.
    ///
    /// # Errors
    /// A sentence, if it is no http URL.
    pub(crate) fn url(&self) -> Result<String> {
        let url = self.written_url()?;
        if let Err(error) = reqwest::Url::parse(&url) {
            bail!(
                "the Ollama URL `{}` is not a URL ({error}); write it like http://127.0.0.1:11434",
                without_secrets(&url)
            );
        }
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// The base URL for people: without user and password.
    ///
    /// # Errors
    /// As [`Self::url`].
    pub(crate) fn shown_url(&self) -> Result<String> {
        Ok(without_secrets(&self.url()?))
    }

    /// Whether the URL leads to an Ollama, and not to the host itself, which would then send every request to
    /// itself, without end. Of a longer way round, the mark in [`roughneck_jobs::ports::gateway::VIA`] tells.
    ///
    /// # Errors
    /// A sentence, if it leads to the address that the host listens on.
    pub(crate) fn leads_away_from(&self, listen: SocketAddr) -> Result<()> {
        let url = reqwest::Url::parse(&self.url()?)?;
        // A name is looked up only where it could lead here: that may take seconds.
        if url.port_or_known_default() != Some(listen.port()) {
            return Ok(());
        }
        // One that cannot be looked up leads nowhere.
        let addresses = url.socket_addrs(|| None).unwrap_or_default();
        if !addresses.iter().any(|address| is_heard_at(address.ip(), listen.ip())) {
            return Ok(());
        }
        let remedy = match &self.url {
            Some(_) => {
                "let `url` under [ollama], --ollama-url or ROUGHNECK_OLLAMA_URL name Ollama's own address, or choose another address for the host with --listen"
            }
            None => {
                "it comes from OLLAMA_HOST, which clients of this host set; name Ollama's own address with `url` under [ollama] or --ollama-url, such as http://127.0.0.1:11434"
            }
        };
        bail!(
            "the Ollama URL `{}` leads back to this host, which listens on {listen}: {remedy}",
            self.shown_url()?
        )
    }

    fn written_url(&self) -> Result<String> {
        match &self.url {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(url.clone())
            }
            Some(url) => bail!(
                "the Ollama URL `{}` must start with http:// or https://",
                without_secrets(url)
            ),
            None => Ok(from_ollama_host(&std::env::var("OLLAMA_HOST").unwrap_or_default())),
        }
    }
}

fn duration(key: &str, written: Option<&str>, default: Duration) -> Result<Duration> {
    let Some(written) = written else { return Ok(default) };
    let ms = text::duration_ms(written).with_context(|| format!("`ollama.{key}` is wrong"))?;
    Ok(Duration::from_millis(ms))
}

/// Whether who connects to an address comes out where `listen` is listened on. To connect to the wildcard
/// address means this machine.
fn is_heard_at(address: IpAddr, listen: IpAddr) -> bool {
    let (address, listen) = (address.to_canonical(), listen.to_canonical());
    address == listen
        || address.is_unspecified()
        || (listen.is_unspecified() && address.is_loopback())
}

/// A URL, or what was meant to be one, without anything that may be a user or a password: whoever mistypes
/// an address has often mistyped what stands before its `@`.
fn without_secrets(url: &str) -> String {
    let Some((before, rest)) = url.rsplit_once('@') else { return url.to_owned() };
    match before.split_once("://") {
        Some((scheme, _secrets)) => format!("{scheme}://{rest}"),
        None => rest.to_owned(),
    }
}

/// The URL that Ollama's own clients make of `OLLAMA_HOST`: scheme and port may be missing, and the
/// wildcard address, which means "listen everywhere" to the server, means this machine.
fn from_ollama_host(value: &str) -> String {
    let value = value.trim().trim_matches(['"', '\'']);
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let rest = rest.trim_end_matches('/');
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, String::new()),
    };
    let default_port = match scheme {
        "https" => 443,
        _ if value.contains("://") => 80,
        _ => PORT_DEFAULT,
    };
    let (host, port) = match authority.rsplit_once(':') {
        // Of an address with colons of its own, what is behind the last one is no port.
        Some((host, port)) if port.parse::<u16>().is_ok() && !is_bare_v6(authority) => {
            (host, port.to_owned())
        }
        Some(_) | None => (authority, default_port.to_string()),
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "[::]" | "::" => "[::1]".to_owned(),
        bare if is_bare_v6(bare) => format!("[{bare}]"),
        other => other.to_owned(),
    };
    format!("{scheme}://{host}:{port}{path}")
}

/// Whether it is an IPv6 address without brackets around it.
fn is_bare_v6(host: &str) -> bool {
    host.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_interrupted_unless_the_operator_says_so() {
        for (text, preempt) in [("", false), ("preempt = true", true)] {
            let ollama: Ollama = toml::from_str(text).unwrap();
            assert_eq!(ollama.lane().unwrap().preempt, preempt, "{text}");
        }
    }

    #[test]
    fn nothing_leaves_the_machine_unless_the_operator_says_so() {
        for (text, cloud, concurrency) in
            [("", false, 3), ("cloud = true\ncloud-concurrency = 10", true, 10)]
        {
            let lane = toml::from_str::<Ollama>(text).unwrap().lane().unwrap();
            assert_eq!((lane.cloud, lane.cloud_concurrency), (cloud, concurrency), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("http://u:secret@h:1/p", "http://h:1/p"),
            ("http://u:sec/ret@h", "http://h"),
            ("u:secret@h", "h"),
            ("http://h:1/", "http://h:1/"),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
        }
        let at = |url: &str| Ollama { url: Some(url.to_owned()), ..Ollama::default() };
        assert_eq!(at("http://u:secret@h:1/p/").shown_url().unwrap(), "http://h:1/p");
        for url in ["u:secret@h:1", "http://u:secret@h:port", "ftp://u:secret@h"] {
            let error = format!("{:#}", at(url).lane().unwrap_err());
            assert!(error.contains("h") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_url_that_leads_back_to_the_host_is_refused_in_every_spelling() {
        let leads_away = |url: &str, listen: &str| {
            let ollama = Ollama { url: Some(url.to_owned()), ..Ollama::default() };
            ollama.leads_away_from(listen.parse().unwrap())
        };
        for (url, listen) in [
            ("http://127.0.0.1:7117", "127.0.0.1:7117"),
            ("http://localhost:7117/prefix", "127.0.0.1:7117"),
            ("http://0.0.0.0:7117", "127.0.0.1:7117"),
            ("http://[::]:7117", "[::1]:7117"),
            ("http://[::1]:7117", "[::1]:7117"),
            ("http://[::ffff:127.0.0.1]:7117", "127.0.0.1:7117"),
            ("http://127.0.0.1:7117", "0.0.0.0:7117"),
            ("http://127.0.0.1", "127.0.0.1:80"),
        ] {
            let error = leads_away(url, listen).unwrap_err().to_string();
            assert!(error.contains("leads back to this host") && error.contains("--ollama-url"));
        }
        for (url, listen) in [
            ("http://127.0.0.1:11434", "127.0.0.1:7117"),
            ("http://127.0.0.1:7117", "[::1]:7117"),
            ("http://127.0.0.2:7117", "127.0.0.1:7117"),
            ("http://192.0.2.1:7117", "127.0.0.1:7117"),
            // The host takes any free port.
            ("http://127.0.0.1:11434", "127.0.0.1:0"),
        ] {
            assert!(leads_away(url, listen).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_may_wait_and_for_how_long_is_written_with_units() {
        let read = |text: &str| toml::from_str::<Ollama>(text).unwrap().lane();
        let written = "waiting-bytes-max = \"1MiB\"\nwhole-answer = \"2h\"\nfirst-byte = \"20m\"";
        let lane = read(written).unwrap();
        assert_eq!(lane.waiting_bytes_max, 1 << 20);
        assert_eq!(lane.whole_answer, Duration::from_secs(7200));
        assert_eq!(lane.first_byte, Duration::from_secs(1200));
        let error = read("waiting-bytes-max = \"many\"").unwrap_err().to_string();
        assert_eq!(error, "`ollama.waiting-bytes-max` is wrong");
    }

    #[test]
    fn ollama_host_is_read_as_ollama_s_own_clients_read_it() {
        let table = [
            ("", "http://127.0.0.1:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:9999", "http://127.0.0.1:9999"),
            (":1234", "http://127.0.0.1:1234"),
            ("mini.local", "http://mini.local:11434"),
            ("http://mini.local", "http://mini.local:80"),
            ("https://llm.example.com/", "https://llm.example.com:443"),
            ("http://h:1/prefix", "http://h:1/prefix"),
            ("[::]:1", "http://[::1]:1"),
            ("::1", "http://[::1]:11434"),
            ("::", "http://[::1]:11434"),
            ("[fe80::1]", "http://[fe80::1]:11434"),
            ("https://2001:db8::8080", "https://[2001:db8::8080]:443"),
        ];
        for (value, expected) in table {
            assert_eq!(from_ollama_host(value), expected, "{value}");
        }
    }
}
