//! `roughneck restore`: makes a data folder of a backup.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use roughneck_jobs::clock::{Clock as _, Millis};
use roughneck_store::{
    DataDir, FILES,
    snapshot::{self, Prepared, TOKENS},
};

use crate::{
    backup::{self, Manifest},
    config::{Config, Overrides},
    private, signing_secret,
    span::span,
    stamp::stamp,
    system::System,
    terminal,
};

/// Arguments of `roughneck restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup, as `roughneck backup` made it
    #[arg(value_name = "DIR")]
    from: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Move what the data folder has into a folder inside of it first
    #[arg(long)]
    replace: bool,
}

/// Restores a backup into a data folder that no host has.
///
/// # Errors
/// Why the folder is as it was before.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let config = Config::load(&arguments.overrides)?;
    let (from, data_dir, now) = (&arguments.from, config.data_dir(), System.now());
    let manifest = backup::verify(from)?;
    private::make_dir(&data_dir)
        .with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
    // Held to the end, so that no host starts in the middle.
    let dir = DataDir::take(&data_dir)?;
    let present = present(&data_dir);
    if !present.is_empty() && !arguments.replace {
        bail!(
            "the data folder {} has a host's data already; name an empty one with --data-dir, \
             or have the data moved aside with --replace",
            data_dir.display()
        );
    }
    let copy = from.join(backup::database());
    let prepared = snapshot::prepare(&copy, &dir, &System, now).await?;
    let lost = prepared.lost;
    let aside = move_aside(&data_dir, &present, now)?;
    install(from, &data_dir, &manifest, prepared).with_context(|| match &aside {
        Some(aside) => format!("the former data is in {}", aside.display()),
        None => format!("the data folder {} is not whole", data_dir.display()),
    })?;
    let took = span(u64::try_from(started.elapsed().as_millis())?);
    let mut report = format!("restored {} into {} in {took}\n", from.display(), data_dir.display());
    report.push_str(&story(&manifest, lost, aside.as_deref()));
    terminal::print(&report)
}

/// The files in the way.
fn present(data_dir: &Path) -> Vec<&'static str> {
    let files = FILES.into_iter().chain([signing_secret::FILE]);
    files.filter(|file| data_dir.join(file).exists()).collect()
}

/// Moves files into a new folder, if there are any.
fn move_aside(data_dir: &Path, files: &[&str], now: Millis) -> Result<Option<PathBuf>> {
    if files.is_empty() {
        return Ok(None);
    }
    let aside = data_dir.join(format!("replaced-{}", stamp(now)));
    private::make_dir(&aside).with_context(|| format!("{} cannot be made", aside.display()))?;
    for file in files {
        fs::rename(data_dir.join(file), aside.join(file))
            .with_context(|| format!("`{file}` cannot be moved to {}", aside.display()))?;
    }
    Ok(Some(aside))
}

fn install(from: &Path, data_dir: &Path, manifest: &Manifest, prepared: Prepared) -> Result<()> {
    if manifest.has_secret() {
        let secret = fs::read_to_string(from.join(signing_secret::FILE))
            .context("the signing secret of the backup cannot be read")?;
        private::write_file(&data_dir.join(signing_secret::FILE), &secret)
            .context("the signing secret cannot be written")?;
    }
    // At last: a folder with a database is one with which a host can start.
    backup::tell(data_dir, prepared.install()?);
    Ok(())
}

fn story(manifest: &Manifest, lost: u32, aside: Option<&Path>) -> String {
    let mut story = format!(
        "  jobs      {}, of which {} have not ended\n  \
         lost      {lost} runs were under way; their jobs are queued again\n  \
         tokens    each has grown by {TOKENS}, so that no run of the former host can end a job\n  \
         repeated  what was done after the backup is done again: jobs, and webhooks with their old ids\n",
        manifest.jobs, manifest.open_jobs,
    );
    if let Some(aside) = aside {
        story.push_str(&format!("  replaced  the former data is in {}\n", aside.display()));
    }
    story
}
