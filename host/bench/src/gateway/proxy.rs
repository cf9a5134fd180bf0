//! nginx without buffering, as small as its documentation has it: what a proxy costs that only passes bytes on.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{net::TcpStream, process::Command};

use crate::{
    clock::wait_until,
    process::{Process, free_port},
    stand::Stand,
};

/// How long nginx may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

/// An nginx that can be started.
#[derive(Debug)]
pub(crate) struct Installed {
    /// What it says it is.
    pub(crate) version: String,
}

impl Installed {
    /// Looks for nginx on the `PATH`; none if there is none, which is said.
    pub(crate) async fn find() -> Option<Self> {
        let Ok(output) = Command::new("nginx").arg("-v").output().await else {
            eprintln!(
                "bench: nginx is not on the PATH, so the host is measured without it; `apt-get install nginx-light`, or `brew install nginx`"
            );
            return None;
        };
        // "nginx version: nginx/1.22.1"
        let said = String::from_utf8_lossy(&output.stderr);
        let version = said.rsplit("nginx/").next().unwrap_or_default().trim();
        Some(Self { version: format!("nginx {version}, one worker, `proxy_buffering off`") })
    }
}

/// A running nginx in front of one server.
pub(super) struct Proxy {
    /// Its one process.
    pub(super) process: Process,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Proxy {
    /// Starts nginx in front of `upstream` and waits until it listens.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) async fn start(stand: &Stand, upstream: SocketAddr) -> Result<Self> {
        let dir = stand.fresh("nginx")?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("  {name}_temp_path {name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n  access_log off;\n{temporary}  keepalive_requests 1000000;\n\
               upstream ollama {{ server {upstream}; keepalive 32; keepalive_requests 1000000; }}\n\
               server {{\n    listen {address};\n    location / {{\n\
                 proxy_pass http://ollama;\n      proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\";\n      proxy_set_header Host localhost:11434;\n      proxy_buffering off;\n    }}\n  }}\n}}\n"
        );
        std::fs::write(dir.join("nginx.conf"), config)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&dir).args(["-c", "nginx.conf", "-e", "stderr"]);
        let process = Process::start("nginx", &mut command, &dir)?;
        wait_until("nginx listens", START_LIMIT, async || {
            Ok(TcpStream::connect(address).await.is_ok())
        })
        .await
        .context("its log is beside its data, in target/bench/runs")?;
        Ok(Self { process, address })
    }
}
