//! `roughneck doctor`: looks at everything a host needs, whether it runs or not, and changes nothing.

mod data_dir;
mod database;
mod files;
mod finding;
mod host;
mod ollama;
mod plugins;
mod secrets;

use anyhow::Result;
use roughneck_jobs::clock::Clock as _;

use crate::{
    config::{Config, Overrides},
    exit::Exit,
    system::System,
    terminal,
};
use finding::{Finding, Status, page};

/// Arguments of `roughneck doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    overrides: Overrides,
    /// Where the host answers [default: the address it listens on]
    #[arg(long, env = "ROUGHNECK_URL", value_parser = crate::client::host_url, hide_env_values = true)]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs all checks, and prints what they found. Ends with an error if one fails.
///
/// # Errors
/// If nothing can be printed.
pub(crate) async fn run(arguments: &Arguments) -> Result<Exit> {
    let findings = findings(arguments).await;
    if arguments.json {
        terminal::print(&format!("{}\n", serde_json::to_string(&findings)?))?;
    } else {
        terminal::print(&page(&findings))?;
    }
    let has_failed = findings.iter().any(|finding| finding.status == Status::Fail);
    Ok(if has_failed { Exit::Error } else { Exit::Done })
}

async fn findings(arguments: &Arguments) -> Vec<Finding> {
    let overrides = &arguments.overrides;
    let file = Config::file(overrides);
    let config = match Config::load_to_serve(overrides) {
        Ok(config) => config,
        // Without it, nobody knows where to look.
        Err(error) => return vec![Finding::error("config", format!("{error:#}"))],
    };
    let mut findings = vec![match &file {
        Some(file) => Finding::ok("config", format!("{} is good", file.display())),
        None => Finding::ok("config", "there is no roughneck.toml, and none is needed"),
    }];
    let data_dir = config.data_dir();
    let (held, holder) = data_dir::holder(&data_dir);
    findings.push(data_dir::folder(&data_dir));
    findings.push(held);
    findings.push(data_dir::disk(&data_dir, &config));
    findings.extend(database::look(&data_dir, &config, holder, System.now()).await);
    findings.extend(secrets::look(&data_dir, file.as_deref(), &config));
    let host = host::look(&config, arguments.url.as_deref(), holder).await;
    findings.push(host.finding);
    findings.push(files::look(&config, host.client.as_ref()).await);
    match ollama::lane(&config) {
        Ok(lane) => {
            let plugins = plugins::look(&config, host.client.as_ref(), &lane).await;
            findings.extend(plugins.findings);
            let host = host.client.as_ref();
            findings.extend(ollama::look(&config, &lane, &plugins.models, host).await);
        }
        Err(error) => findings.push(Finding::error("ollama", format!("{error:#}"))),
    }
    findings
}
