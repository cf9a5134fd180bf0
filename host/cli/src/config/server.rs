//! `[server]`: the HTTP surface.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use roughneck_jobs::manifest::text;
use serde::Deserialize;

const BODY_BYTES_MIN: u64 = 1 << 10;

/// More than one machine has ports for.
const CONNECTIONS_MAX: u32 = 65_535;

/// The HTTP surface.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Server {
    /// Address and port; port 0 takes a free one.
    pub(crate) listen: String,
    /// Largest body of a request.
    body_max: String,
    /// Largest call to Ollama's surface; pictures travel in it.
    call_max: String,
    /// Clients that may be connected at once.
    connections_max: u32,
    /// Names under which this host may be addressed, besides loopback ones.
    pub(crate) names: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7117".to_owned(),
            body_max: "8MiB".to_owned(),
            call_max: "64MiB".to_owned(),
            connections_max: 1024,
            names: Vec::new(),
        }
    }
}

impl Server {
    /// The address to listen on.
    ///
    /// # Errors
    /// A sentence, if it is no address, or one that others could reach.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let listen = &self.listen;
        let address: SocketAddr = listen.parse().with_context(|| {
            format!("`{listen}` is not an address; write `server.listen` or --listen like 127.0.0.1:7117")
        })?;
        if !address.ip().is_loopback() {
            bail!(
                "{listen} can be reached by others, and this version has no keys to keep them out: \
                 only loopback addresses such as 127.0.0.1:7117 or [::1]:7117 are served"
            );
        }
        if let Some(name) = self.names.iter().find(|name| !is_host_name(name)) {
            bail!(
                "`server.names` holds `{name}`, which no request can be for: write names such as mini.lan, without a scheme or a port"
            );
        }
        self.body_bytes_max()?;
        self.call_bytes_max()?;
        self.connections_max()?;
        Ok(address)
    }

    /// Largest body of a request, in bytes.
    ///
    /// # Errors
    /// A sentence, if the text is no size.
    pub(crate) fn body_bytes_max(&self) -> Result<usize> {
        bytes("body-max", &self.body_max)
    }

    /// Largest call to Ollama's surface, in bytes.
    ///
    /// # Errors
    /// A sentence, if the text is no size.
    pub(crate) fn call_bytes_max(&self) -> Result<usize> {
        bytes("call-max", &self.call_max)
    }

    /// How many clients may be connected at once.
    ///
    /// # Errors
    /// A sentence, if that is none, or more than a machine can have.
    pub(crate) fn connections_max(&self) -> Result<u32> {
        match self.connections_max {
            max @ 1..=CONNECTIONS_MAX => Ok(max),
            max => bail!("`server.connections-max` is from 1 to {CONNECTIONS_MAX}, and not {max}"),
        }
    }
}

/// Whether a client can call the host by it. Its address needs no name.
fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && !name.ends_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn bytes(key: &str, written: &str) -> Result<usize> {
    let bytes = text::size_bytes(written).with_context(|| format!("`server.{key}` is wrong"))?;
    if bytes < BODY_BYTES_MIN {
        bail!("`server.{key}` must be at least 1KiB, or no job could be submitted");
    }
    usize::try_from(bytes).with_context(|| format!("`server.{key}` is larger than memory"))
}
