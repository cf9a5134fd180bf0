//! The host of the data folder, if it runs.

use roughneck_store::inspect::Holder;

use super::finding::Finding;
use crate::{
    client::{Client, Refused},
    config::Config,
};

/// What was found, and the host to ask more of.
pub(super) struct Host {
    pub(super) finding: Finding,
    /// None if none answers.
    pub(super) client: Option<Client>,
}

pub(super) async fn look(config: &Config, url: Option<&str>, holder: Option<Holder>) -> Host {
    let is_held = matches!(holder, Some(Holder::Process(_)));
    let silent = |finding| Host { finding, client: None };
    let Some(url) = url.map(str::to_owned).or_else(|| address(config)) else {
        return silent(Finding::ok("host", "it takes a free port; name it with --url to ask it"));
    };
    let client = match Client::new(&url) {
        Ok(client) => client,
        Err(error) => return silent(Finding::error("host", format!("{error:#}"))),
    };
    match client.get("/readyz").await {
        Ok(_) if is_held => {
            Host { finding: Finding::ok("host", format!("ready at {url}")), client: Some(client) }
        }
        Ok(_) => silent(Finding::warn(
            "host",
            format!("one answers at {url}, and it is not the one of this data folder"),
            "name the data folder with --data-dir, or the host with --url",
        )),
        Err(error) if error.is::<Refused>() => {
            let finding = Finding::fail(
                "host",
                format!("the one at {url} is not ready: {error:#}"),
                "see to that, and look at its log",
            );
            Host { finding, client: is_held.then_some(client) }
        }
        Err(error) if is_held => silent(Finding::error("host", format!("{error:#}"))),
        Err(_) => silent(Finding::ok("host", "none runs")),
    }
}

/// Where a host with this configuration answers; none if it takes a free port.
fn address(config: &Config) -> Option<String> {
    let address = config.server.address().ok()?;
    (address.port() != 0).then(|| format!("http://{address}"))
}
