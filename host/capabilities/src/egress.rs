//! The way out: which addresses the host connects to on behalf of others.
//!
//! Names are resolved here and the *addresses* are judged, so that a name which resolves to a public
//! address when it is checked and to a private one when it is used (DNS rebinding) gains nothing:
//! what is checked is what is connected to.

use std::{
    collections::HashMap,
    error::Error,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use reqwest::{
    Client, RequestBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use roughneck_jobs::address::is_public;
use tokio::sync::Semaphore;

/// Names that are resolved at once. The system's resolver blocks a thread for as long as a name server
/// is silent, even if nobody waits any more; unbounded, a guest could use up all of them.
pub(crate) const LOOKUPS_MAX: usize = 64;

/// Of these for one owner, who cannot keep the others waiting by names whose servers are silent.
pub(crate) const LOOKUPS_MAX_PER_OWNER: usize = 4;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections are cheap to make again and hold a file descriptor each.
const IDLE_MAX_PER_HOST: usize = 4;

/// How the host names itself to other servers.
pub const USER_AGENT: &str = concat!("roughneck/", env!("CARGO_PKG_VERSION"));

/// A host that resolves to nothing but addresses of the host's own network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is a private, loopback or otherwise non-public address")]
pub struct PrivateAddress(pub String);

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made; are the certificates of the system installed?")]
pub struct NoClient(#[source] reqwest::Error);

/// Two HTTP clients, with pools of their own: one reaches public addresses only, the other all.
/// Neither follows redirects (each hop would have to be judged again) nor reads a proxy from the
/// environment (the proxy would resolve the name).
///
/// The names that one of these looks up at once are limited, in all and for each owner: a lookup that its caller has given up still holds
/// its place until the name server answers. Whoever must not wait even for many owners has one of these of its own.
#[derive(Clone, Debug)]
pub struct Egress {
    public: Client,
    private: Client,
}

impl Egress {
    /// Makes the clients. A rustls provider must have been installed.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new() -> Result<Self, NoClient> {
        let look_up: Arc<LookUp> = Arc::new(look_up);
        Self::looking_up(&look_up)
    }

    pub(crate) fn looking_up(look_up: &Arc<LookUp>) -> Result<Self, NoClient> {
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .no_proxy()
                .referer(false)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(IDLE_MAX_PER_HOST)
        };
        let lookups = Arc::new(Lookups::default());
        let resolver = |public_only| Resolver {
            lookups: Arc::clone(&lookups),
            look_up: Arc::clone(look_up),
            public_only,
        };
        Ok(Self {
            public: builder().dns_resolver(resolver(true)).build().map_err(NoClient)?,
            private: builder().dns_resolver(resolver(false)).build().map_err(NoClient)?,
        })
    }

    /// The client for `url`. A literal address is judged here, because no name is resolved for it.
    ///
    /// # Errors
    /// [`PrivateAddress`].
    pub fn client(&self, url: &Url, allow_private: bool) -> Result<&Client, PrivateAddress> {
        if allow_private {
            return Ok(&self.private);
        }
        let literal = url.host_str().and_then(|host| {
            host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()
        });
        match literal {
            Some(ip) if !is_public(ip) => Err(PrivateAddress(ip.to_string())),
            Some(_) | None => Ok(&self.public),
        }
    }

    /// Sends a request of one of the clients on behalf of `owner`: a plugin, or a receiver of webhooks.
    ///
    /// # Errors
    /// What the client says.
    pub async fn send(&self, owner: &str, request: RequestBuilder) -> reqwest::Result<Response> {
        OWNER.scope(owner.into(), request.send()).await
    }
}

tokio::task_local! {
    /// Who sends. A resolver is told nothing but the name, but it is asked for it in the task that sends.
    static OWNER: Box<str>;
}

/// The places of those who look up names.
struct Lookups {
    all: Arc<Semaphore>,
    /// Those that somebody uses.
    shares: Mutex<HashMap<Box<str>, Weak<Semaphore>>>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(LOOKUPS_MAX)), shares: Mutex::default() }
    }
}

impl Lookups {
    /// The places of whoever sends in this task.
    fn share(&self) -> Arc<Semaphore> {
        let owner = OWNER.try_with(Box::clone).unwrap_or_default();
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&owner).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(LOOKUPS_MAX_PER_OWNER));
        shares.insert(owner, Arc::downgrade(&share));
        share
    }
}

pub(crate) type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((name, 0).to_socket_addrs()?.collect())
}

/// Resolves names like the system does, a few at once and fewer for each owner, and keeps the public addresses if it is
/// told to.
struct Resolver {
    lookups: Arc<Lookups>,
    look_up: Arc<LookUp>,
    public_only: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (share, all) = (self.lookups.share(), Arc::clone(&self.lookups.all));
        let (look_up, public_only) = (Arc::clone(&self.look_up), self.public_only);
        Box::pin(async move {
            let of_owner = share.acquire_owned().await?;
            let of_all = all.acquire_owned().await?;
            let looked_up = tokio::task::spawn_blocking(move || {
                // The thread is busy until here, whether or not somebody still waits for it.
                let _places = (of_owner, of_all);
                look_up(name.as_str()).map(|addresses| (name, addresses))
            });
            let (name, addresses) = looked_up.await??;
            if public_only {
                Ok(public_ones(name.as_str(), addresses)?)
            } else {
                let addresses: Addrs = Box::new(addresses.into_iter());
                Ok(addresses)
            }
        })
    }
}

fn public_ones(name: &str, addresses: Vec<SocketAddr>) -> Result<Addrs, PrivateAddress> {
    let public: Vec<SocketAddr> =
        addresses.into_iter().filter(|address| is_public(address.ip())).collect();
    if public.is_empty() {
        return Err(PrivateAddress(name.to_owned()));
    }
    Ok(Box::new(public.into_iter()))
}

/// The [`PrivateAddress`] among the causes of an error, if that is why a connection was not made.
pub(crate) fn refused_address(error: &reqwest::Error) -> Option<&PrivateAddress> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// Scheme, host and port of a URL: what may be shown of it. Paths and queries carry secrets.
#[must_use]
pub fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// What went wrong, without the URL: the innermost cause says most.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    if innermost.is::<reqwest::Error>() {
        return "the connection failed".to_owned();
    }
    crate::clip(&innermost.to_string(), 200)
}

/// A request that was not answered. A receiver that was reached and speaks something else is told from one that is away.
pub(crate) fn unanswered(origin: &str, error: &reqwest::Error) -> String {
    let reason = reason(error);
    if error.is_request() && !error.is_connect() && !error.is_timeout() {
        format!("{origin} was reached, and gave no answer in HTTP: {reason}")
    } else {
        format!("{origin} cannot be reached: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Silence;

    #[test]
    fn of_a_name_with_mixed_addresses_only_the_public_ones_are_used() {
        let mixed = vec!["127.0.0.1:0".parse().unwrap(), "1.1.1.1:0".parse().unwrap()];
        let kept: Vec<SocketAddr> = public_ones("rebind.example", mixed).unwrap().collect();
        assert_eq!(kept, ["1.1.1.1:0".parse().unwrap()]);
        let private = vec!["127.0.0.1:0".parse().unwrap()];
        let refused = public_ones("rebind.example", private).err().unwrap();
        assert_eq!(refused, PrivateAddress("rebind.example".into()));
    }

    #[test]
    fn what_is_shown_of_a_url_has_no_secrets() {
        let url = "https://user:pw@hooks.example:8443/T00/B00?token=s3cret".parse().unwrap();
        assert_eq!(origin(&url), "https://hooks.example:8443");
    }

    #[test]
    fn however_a_loopback_address_is_written_it_is_refused() {
        crate::fake::install_tls();
        let egress = Egress::new().unwrap();
        for url in ["http://127.1/", "http://0x7f.0.0.1/", "http://2130706433/", "http://[::1]/"] {
            let url: Url = url.parse().unwrap();
            assert!(egress.client(&url, false).is_err(), "{url}");
            assert!(egress.client(&url, true).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_the_loopback_is_not_connected_to() {
        crate::fake::install_tls();
        let url: Url = "http://localhost:9/".parse().unwrap();
        let egress = Egress::new().unwrap();
        let request = egress.client(&url, false).unwrap().get(url);
        let error = request.send().await.unwrap_err();
        assert_eq!(refused_address(&error), Some(&PrivateAddress("localhost".into())));
    }

    #[tokio::test]
    async fn no_more_names_are_resolved_at_once_than_allowed_even_if_nobody_waits() {
        let mut silence = Silence::new();
        let look_up = Arc::clone(&silence.look_up);
        let lookups = Arc::new(Lookups::default());
        let resolver = Resolver { lookups: Arc::clone(&lookups), look_up, public_only: false };
        for n in 0..3 * LOOKUPS_MAX {
            let name = "silent.example".parse().unwrap();
            let owner = (n / LOOKUPS_MAX_PER_OWNER).to_string().into();
            let resolving = OWNER.sync_scope(owner, || resolver.resolve(name));
            let resolving = tokio::spawn(resolving);
            tokio::task::yield_now().await;
            resolving.abort();
            assert!(resolving.await.is_err_and(|error| error.is_cancelled()));
        }
        silence.begun(LOOKUPS_MAX).await;
        assert_eq!(lookups.all.available_permits(), 0);
        silence.end();
        // Those that were aborted while they waited for a place never begin.
        let all = lookups.all.acquire_many(u32::try_from(LOOKUPS_MAX).unwrap()).await.unwrap();
        assert!(!silence.has_more());
        drop(all);
    }

    #[tokio::test]
    async fn of_owners_who_look_up_nothing_any_more_nothing_is_kept() {
        let lookups = Lookups::default();
        let of = |owner: &str| OWNER.sync_scope(owner.into(), || lookups.share());
        let held = of("one");
        assert!(Arc::ptr_eq(&held, &of("one")));
        for n in 0..9 {
            drop(of(&n.to_string()));
        }
        assert_eq!(lookups.shares.lock().unwrap().len(), 2);
    }
}
