//! Webhook deliveries: one event to one target, at least once.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::{
    clock::Millis,
    failure::FailureView,
    id::{DeliveryId, JobId},
    job::Job,
    json::raw,
    retry::Backoff,
    state::State,
};

/// Longest URL of a target, in bytes.
pub const URL_BYTES_MAX: usize = 2048;

/// A delivery is given up after so many attempts, about three days with [`BACKOFF`].
pub const ATTEMPTS_MAX: u32 = 80;

/// Delays between the attempts of a delivery: from a second to an hour.
pub const BACKOFF: Backoff = Backoff::Exponential { base_ms: 1_000, cap_ms: 3_600_000 };

/// Where a delivery goes. Text with `://` is a URL, anything else the name of a configured target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An URL that the submitter gave.
    Url(String),
    /// A name; only the operator knows the URL and the secret.
    Named(String),
}

/// A text that is no target.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotATarget {
    /// Neither http nor https.
    #[error("the callback URL must start with http:// or https://")]
    Scheme,
    /// No host in it.
    #[error("the callback URL names no host; write it like https://example.com/hook")]
    Host,
    /// A host to which nothing can be sent.
    #[error(
        "`{0}` in the callback URL is neither the name of a host nor an address such as 192.0.2.7 or [2001:db8::7]"
    )]
    Address(String),
    /// A port that does not exist.
    #[error("`{0}` in the callback URL is not a port; ports are numbers from 1 to 65535")]
    Port(String),
    /// A user or password in it, which every reader of the job would see.
    #[error(
        "the callback URL must not carry a user or password; name a target in roughneck.toml instead"
    )]
    Credentials,
    /// Longer than [`URL_BYTES_MAX`].
    #[error("the callback URL is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Not a name.
    #[error(
        "a callback is a URL or the name of a target in roughneck.toml: lower-case letters, digits and `-`"
    )]
    Name,
}

impl std::str::FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        if text.len() > URL_BYTES_MAX {
            return Err(NotATarget::TooLong);
        }
        if text.contains("://") {
            check_url(text)?;
            return Ok(Self::Url(text.to_owned()));
        }
        let is_name = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        is_name.then(|| Self::Named(text.to_owned())).ok_or(NotATarget::Name)
    }
}

fn check_url(text: &str) -> Result<(), NotATarget> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let authority = rest.ok_or(NotATarget::Scheme)?.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        return Err(NotATarget::Credentials);
    }
    let has_host = !authority.is_empty() && !authority.starts_with(':');
    if has_host && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Ok(())
    } else {
        Err(NotATarget::Host)
    }
}

/// The host of an authority, and the port behind it.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let name_end = if authority.starts_with('[') { authority.find(']') } else { None };
    let rest = name_end.and_then(|end| authority.get(end..)).unwrap_or(authority);
    match rest.rsplit_once(':') {
        Some((_, port)) => (
            authority.strip_suffix(port).and_then(|host| host.strip_suffix(':')).unwrap_or(""),
            Some(port),
        ),
        None => (authority, None),
    }
}

/// Whether the client that sends webhooks takes this for a host. It would read `127.1` as an address, too, which says
/// to nobody where it leads.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or("");
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    !host.contains(|c: char| r"#%/:<>?@[\]^|".contains(c))
}

impl Target {
    /// Reads a target that is new to the host, and to which a delivery could be sent. What the store holds is read
    /// as it is: earlier releases took more.
    ///
    /// # Errors
    /// [`NotATarget`].
    pub fn new(text: &str) -> Result<Self, NotATarget> {
        let target = text.parse()?;
        if let Self::Url(url) = &target {
            let (_, rest) = url.split_once("://").unwrap_or_default();
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let (host, port) = host_and_port(authority);
            if !is_host(host) {
                return Err(NotATarget::Address(host.to_owned()));
            }
            if let Some(port) = port.filter(|port| !port.parse().is_ok_and(|port: u16| port > 0)) {
                return Err(NotATarget::Port(port.to_owned()));
            }
        }
        Ok(target)
    }

    /// The address that its URL names, if it names one and not a host that has one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let Self::Url(url) = self else { return None };
        let (_, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?.0.parse().ok().map(IpAddr::V6),
            None => authority.split(':').next()?.parse().ok().map(IpAddr::V4),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(text) | Self::Named(text) => f.write_str(text),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A notification that a plugin asked for during a run. It is sent if the attempt succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A target of the operator.
    pub target: String,
    /// The event's type, such as `site.changed`.
    pub event: String,
    /// JSON.
    pub data: String,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// To be sent, now or after a delay.
    Pending,
    /// The target took it.
    Delivered,
    /// Given up; kept for a redelivery.
    Dead,
}

impl DeliveryState {
    /// The name in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// One delivery as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    /// Its id, the same on every attempt: receivers deduplicate on it.
    pub id: DeliveryId,
    /// The job it is about.
    pub job: JobId,
    /// Where it goes.
    pub target: Target,
    /// The event's type.
    pub event: String,
    /// JSON, signed as it stands.
    #[serde(skip)]
    pub body: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made.
    pub attempts: u32,
    /// The next attempt, while pending.
    pub next_at: Millis,
    /// When it was taken or given up.
    pub finished_at: Option<Millis>,
    /// What the last attempt met.
    pub last_error: Option<String>,
}

/// How one attempt at a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The target answered 2xx.
    Delivered,
    /// It did not; try again after this delay.
    Retry {
        /// Milliseconds.
        delay_ms: u64,
        /// One sentence.
        error: String,
    },
    /// It did not, and there is no other attempt.
    GiveUp {
        /// One sentence.
        error: String,
    },
}

/// The type of the event that tells a job's end.
#[must_use]
pub fn end_event(job: &Job) -> String {
    format!("job.{}", job.state.as_str())
}

/// The body of the webhook that tells a job's end.
#[must_use]
pub fn end_body(job: &Job, at: Millis) -> String {
    let data = End {
        id: job.id,
        kind: &job.kind,
        state: job.state,
        attempt: job.attempt,
        output: job.output.as_deref().and_then(raw),
        error: job.failure.as_ref().map(FailureView::from),
        usage: EndUsage {
            calls: job.usage.calls,
            input_tokens: job.usage.input_tokens,
            output_tokens: job.usage.output_tokens,
        },
    };
    body(&end_event(job), at, &data)
}

/// The body of the webhook that a plugin asked for.
#[must_use]
pub fn notice_body(notice: &Notice, at: Millis) -> String {
    body(&notice.event, at, &raw(&notice.data))
}

/// The Standard Webhooks shape. The plugin's own JSON stays as it is, to the byte.
fn body(event: &str, at: Millis, data: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Body<'a, D> {
        r#type: &'a str,
        timestamp: String,
        data: &'a D,
    }
    // Texts, numbers and JSON always serialise.
    serde_json::to_string(&Body { r#type: event, timestamp: at.to_string(), data })
        .unwrap_or_default()
}

/// What a webhook tells about the end of a job.
#[derive(Serialize)]
struct End<'a> {
    id: JobId,
    kind: &'a str,
    state: State,
    attempt: u32,
    output: Option<Box<RawValue>>,
    error: Option<FailureView<'a>>,
    usage: EndUsage,
}

#[derive(Serialize)]
struct EndUsage {
    calls: u32,
    input_tokens: u64,
    output_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{class::Class, clock::Entropy, failure::Failure, priority::Priority, usage::Usage};

    struct Sixes;
    impl Entropy for Sixes {
        fn roll(&self) -> u128 {
            6
        }
    }

    fn ended() -> Job {
        let detail = Some(r#"{"z":1,"a":2}"#.to_owned());
        Job {
            id: JobId::at(Millis(0), &Sixes),
            kind: "test.echo".to_owned(),
            class: Class("io".to_owned()),
            priority: Priority::NORMAL,
            rank: Millis(0),
            state: State::Done,
            reason: None,
            enqueued_at: Millis(0),
            run_at: Millis(0),
            deadline: None,
            started_at: None,
            finished_at: None,
            attempt: 1,
            attempts_max: 1,
            losses: 0,
            input: "{}".to_owned(),
            output: Some(r#"{"z":1.0,"id":18446744073709551617,"a":1,"a":2}"#.to_owned()),
            failure: Some(Failure { detail, ..Failure::fatal("no", "not so") }),
            usage: Usage::default(),
            callback: None,
            trace_parent: None,
            caller: None,
            plugin: None,
            fire: None,
            member: None,
        }
    }

    #[test]
    fn a_webhook_has_the_plugin_s_json_to_the_byte() {
        let body = end_body(&ended(), Millis(0));
        let start = r#"{"type":"job.done","timestamp":"1970-01-01T00:00:00.000Z","data":{"id":"#;
        assert!(body.starts_with(start), "{body}");
        for part in [
            r#""output":{"z":1.0,"id":18446744073709551617,"a":1,"a":2},"#,
            r#""error":{"disposition":"fail","code":"no","message":"not so","detail":{"z":1,"a":2}},"#,
            r#""usage":{"calls":0,"input_tokens":0,"output_tokens":0}"#,
        ] {
            assert!(body.contains(part), "{body}");
        }
        let data = r#"{"z":1.0,"a":[18446744073709551617]}"#.to_owned();
        let notice = Notice { target: "cms".to_owned(), event: "site.changed".to_owned(), data };
        assert_eq!(
            notice_body(&notice, Millis(0)),
            r#"{"type":"site.changed","timestamp":"1970-01-01T00:00:00.000Z","data":{"z":1.0,"a":[18446744073709551617]}}"#
        );
    }

    #[test]
    fn a_url_may_name_an_address() {
        for (target, address) in [
            ("http://127.0.0.1", Some("127.0.0.1")),
            ("https://10.0.0.1:8080/hook?a=[::1]", Some("10.0.0.1")),
            ("http://[::1]:80/", Some("::1")),
            ("http://example.com/127.0.0.1", None),
            ("http://[v1.x]/", None),
            ("cms", None),
        ] {
            let found = target.parse::<Target>().unwrap().address();
            assert_eq!(found, address.map(|address| address.parse().unwrap()), "{target}");
        }
    }

    #[test]
    fn a_new_target_is_one_to_which_something_can_be_sent() {
        for target in [
            "cms",
            "http://127.0.0.1:65535/",
            "https://[::1]:8080/hook",
            "https://[::1]",
            "http://hooks.example./x?y=[z]",
            "https://bücher.example:1/",
            "http://under_score:80",
            "http://3com.example/",
            "http://a.3com/",
        ] {
            assert!(Target::new(target).is_ok(), "{target}");
        }
        let port = |port: &str| NotATarget::Port(port.to_owned());
        let address = |host: &str| NotATarget::Address(host.to_owned());
        for (target, wrong) in [
            ("http://127.0.0.1:99999/", port("99999")),
            ("http://a:/", port("")),
            ("http://a:0/", port("0")),
            ("http://a:80x", port("80x")),
            ("http://[::1]:x/", port("x")),
            ("http://[::1", address("[:")),
            ("http://[::1]x/", address("[::1]x")),
            ("http://[hook]/", address("[hook]")),
            ("http://1.2.3.400/", address("1.2.3.400")),
            ("http://127.1/", address("127.1")),
            ("http://a|b/", address("a|b")),
            ("http://a\\b/", address("a\\b")),
            ("http://a<b>/", address("a<b>")),
            ("http://./", address(".")),
        ] {
            assert_eq!(Target::new(target), Err(wrong), "{target}");
        }
        assert!("http://127.0.0.1:99999/".parse::<Target>().is_ok(), "it may be in the store");
    }

    #[test]
    fn a_target_is_an_http_url_or_a_name() {
        assert_eq!("http://a/b".parse(), Ok(Target::Url("http://a/b".into())));
        assert_eq!("cms".parse(), Ok(Target::Named("cms".into())));
        assert_eq!("ftp://a".parse::<Target>(), Err(NotATarget::Scheme));
        assert_eq!("http://".parse::<Target>(), Err(NotATarget::Host));
        assert_eq!("https://a b/".parse::<Target>(), Err(NotATarget::Host));
        assert_eq!("https://me:secret@a/".parse::<Target>(), Err(NotATarget::Credentials));
        assert_eq!("My Target".parse::<Target>(), Err(NotATarget::Name));
        assert_eq!("".parse::<Target>(), Err(NotATarget::Name));
        assert_eq!(
            format!("http://{}", "a".repeat(3000)).parse::<Target>(),
            Err(NotATarget::TooLong)
        );
    }

    #[test]
    fn giving_up_takes_about_three_days() {
        let total_ms: u64 =
            (1..ATTEMPTS_MAX).map(|attempt| crate::retry::delay_ms(&BACKOFF, attempt)).sum();
        assert!((60..80).contains(&(total_ms / 3_600_000)), "{total_ms}");
    }
}
