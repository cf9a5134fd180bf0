//! The way webhooks leave the host: signed in the Standard Webhooks form, once per call. When to try
//! again is decided elsewhere.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use roughneck_jobs::{
    clock::Millis,
    delivery::{Delivery, Target as Address},
    ports::courier::{Courier, NotDelivered},
    signature::Secret,
};

use crate::egress::{Egress, origin, refused_address, unanswered};

/// A receiver should answer first and work later.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Read of an answer's body, so that the connection can be used again; more is not worth it.
const ANSWER_BYTES_MAX: usize = 1 << 10;

/// Longest wait that a receiver may ask for: an hour, as long as the host's own longest delay.
const RETRY_AFTER_S_MAX: u64 = 3600;

/// A target of the operator.
#[derive(Clone)]
pub struct Target {
    /// Where it listens. It may carry credentials and is never shown.
    pub url: Url,
    /// What its webhooks are signed with.
    pub secret: Secret,
    /// Whether it may resolve to a private or loopback address.
    pub allow_private: bool,
}

/// Who receives webhooks.
#[derive(Clone)]
pub struct Config {
    /// The operator's targets, by name.
    pub targets: BTreeMap<String, Target>,
    /// What webhooks to URLs of submitters are signed with.
    pub secret: Secret,
    /// Whether URLs of submitters may resolve to private or loopback addresses.
    pub allow_private: bool,
}

/// Without the URL: many services put a credential into its path.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("allow_private", &self.allow_private).finish_non_exhaustive()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("targets", &self.targets)
            .field("allow_private", &self.allow_private)
            .finish_non_exhaustive()
    }
}

/// The courier.
#[derive(Debug)]
pub struct Webhooks {
    config: Config,
    egress: Egress,
}

impl Webhooks {
    /// A courier that goes out through `egress`.
    #[must_use]
    pub fn new(config: Config, egress: Egress) -> Self {
        Self { config, egress }
    }

    fn target(&self, address: &Address) -> Result<Target, NotDelivered> {
        match address {
            Address::Named(name) => self.config.targets.get(name).cloned().ok_or_else(|| {
                for_now(format!(
                    "there is no target `{name}`; add [callbacks.targets.{name}] with `url` to roughneck.toml"
                ))
            }),
            Address::Url(url) => {
                // A URL that cannot be parsed today cannot be parsed tomorrow.
                let url = Url::parse(url).map_err(|error| {
                    NotDelivered::ForGood(format!("the callback URL is not one: {error}"))
                })?;
                let Config { secret, allow_private, .. } = &self.config;
                Ok(Target { url, secret: secret.clone(), allow_private: *allow_private })
            }
        }
    }
}

#[async_trait]
impl Courier for Webhooks {
    async fn send(&self, delivery: &Delivery, at: Millis) -> Result<(), NotDelivered> {
        let target = self.target(&delivery.target)?;
        let origin = origin(&target.url);
        let private = |why: &dyn fmt::Display| {
            for_now(format!(
                "the webhook to {origin} was not sent: {why}; to allow it, set `allow-private = true` in its [callbacks.targets.…] section, or under [callbacks] for URLs of submitters"
            ))
        };
        let client = self
            .egress
            .client(&target.url, target.allow_private)
            .map_err(|refused| private(&refused))?;
        let (id, timestamp_s) = (delivery.id.to_string(), at.seconds());
        let signature = target.secret.sign(&id, timestamp_s, &delivery.body);
        let request = client
            .post(target.url)
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature)
            .body(delivery.body.clone());
        match self.egress.send(&origin, request).await {
            Ok(answer) => judge(&origin, answer).await,
            Err(error) => match refused_address(&error) {
                Some(refused) => Err(private(refused)),
                None => Err(for_now(unanswered(&origin, &error))),
            },
        }
    }
}

async fn judge(origin: &str, mut answer: Response) -> Result<(), NotDelivered> {
    let status = answer.status();
    if status == StatusCode::GONE {
        return Err(NotDelivered::ForGood(format!(
            "{origin} answered 410 Gone: it takes no more webhooks"
        )));
    }
    if !status.is_success() {
        return Err(NotDelivered::ForNow {
            message: refusal(origin, status),
            retry_after_ms: retry_after_ms(&answer),
        });
    }
    // The delivery counts as soon as the status has come; what follows only frees the connection.
    let mut read_bytes = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read_bytes += chunk.len();
        if read_bytes > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

/// What an answer says that is no success.
fn refusal(origin: &str, status: StatusCode) -> String {
    let hint = if status.is_redirection() {
        "; redirects are not followed, so name the URL to which it leads"
    } else {
        ""
    };
    format!("{origin} answered {status}{hint}")
}

/// `Retry-After` in seconds. Its other form, a date, depends on the receiver's clock and is ignored.
fn retry_after_ms(answer: &Response) -> Option<u64> {
    let seconds: u64 = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.min(RETRY_AFTER_S_MAX) * 1000)
}

fn for_now(message: String) -> NotDelivered {
    NotDelivered::ForNow { message, retry_after_ms: None }
}

#[cfg(test)]
mod tests;
