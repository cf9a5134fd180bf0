//! `[intake]`: when no new jobs are taken.

use anyhow::{Context, Result, bail};
use roughneck_jobs::{manifest::text, mark::Marks};
use serde::Deserialize;

/// The log alone may have a quarter of it for a while.
const BYTES_MIN: u64 = 256 << 20;

/// The high-water marks; the defaults of the domain where nothing is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Intake {
    /// Jobs that have not ended.
    jobs_max: Option<u64>,
    /// The database with its log.
    bytes_max: Option<String>,
    /// What stays free on the disk of the data folder.
    disk_free_min: Option<String>,
}

impl Intake {
    /// The marks for the store.
    ///
    /// # Errors
    /// A sentence, if one is no size, or so low that nothing would ever be taken.
    pub(crate) fn marks(&self) -> Result<Marks> {
        let default = Marks::default();
        let jobs_max = self.jobs_max.unwrap_or(default.jobs_max);
        if jobs_max == 0 {
            bail!("`intake.jobs-max` must be at least 1, or no job could be submitted");
        }
        let bytes_max = size("bytes-max", self.bytes_max.as_deref(), default.bytes_max)?;
        if bytes_max < BYTES_MIN {
            bail!("`intake.bytes-max` must be at least 256MiB, or no job could be submitted");
        }
        let disk_free_min = self.disk_free_min.as_deref();
        let disk_free_min = size("disk-free-min", disk_free_min, default.disk_free_min)?;
        Ok(Marks { jobs_max, bytes_max, disk_free_min })
    }
}

fn size(key: &str, written: Option<&str>, default: u64) -> Result<u64> {
    match written {
        None => Ok(default),
        Some(written) => {
            text::size_bytes(written).with_context(|| format!("`intake.{key}` is wrong"))
        }
    }
}
