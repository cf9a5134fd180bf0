//! `roughneck backup`: copies what a host knows, also while it runs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use bytesize::ByteSize;
use roughneck_jobs::clock::Clock as _;

use crate::{
    backup::{self, Manifest},
    config::{Config, Overrides},
    private,
    span::span,
    stamp::stamp,
    system::System,
    terminal,
};

/// Arguments of `roughneck backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    overrides: Overrides,
    /// The folder to make [default: roughneck-backup-TIME]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Makes a backup, whole or not at all.
///
/// # Errors
/// Why there is none.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let config = Config::load(&arguments.overrides)?;
    let now = System.now();
    let to =
        arguments.to.clone().unwrap_or_else(|| format!("roughneck-backup-{}", stamp(now)).into());
    if to.exists() {
        bail!(
            "{} is there already, and nothing is overwritten; name another folder with --to",
            to.display()
        );
    }
    let part = part(&to)?;
    let made = make(&config.data_dir(), &part, &to).await;
    if made.is_err() {
        // Half a backup is worse than none.
        let _ = fs::remove_dir_all(&part);
    }
    let took = span(u64::try_from(started.elapsed().as_millis())?);
    terminal::print(&report(&to, &made?, &took))
}

/// Where it is made, beside its place: a backup that has its name is whole.
fn part(to: &Path) -> Result<PathBuf> {
    let name =
        to.file_name().with_context(|| format!("{} is no name for a folder", to.display()))?;
    let mut part = name.to_owned();
    part.push(format!(".part-{}", std::process::id()));
    Ok(to.with_file_name(part))
}

async fn make(data_dir: &Path, part: &Path, to: &Path) -> Result<Manifest> {
    private::make_dir(part).with_context(|| format!("{} cannot be made", part.display()))?;
    let manifest = backup::make(data_dir, part, System.now()).await.with_context(|| {
        format!("the data folder {} could not be backed up", data_dir.display())
    })?;
    fs::rename(part, to).with_context(|| format!("{} cannot be given its name", to.display()))?;
    match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => backup::sync(parent)?,
        Some(_) | None => backup::sync(Path::new("."))?,
    }
    Ok(manifest)
}

fn report(to: &Path, manifest: &Manifest, took: &str) -> String {
    let secret = if manifest.has_secret() { "with" } else { "without" };
    format!(
        "backed up to {} in {took}\n  \
         size      {}\n  \
         jobs      {}, of which {} have not ended\n  \
         secret    {secret} the one that signs webhooks: keep the folder as private as the data folder\n  \
         not in it roughneck.toml and the plugins, which are yours\n",
        to.display(),
        ByteSize::b(manifest.bytes()),
        manifest.jobs,
        manifest.open_jobs,
    )
}
