//! What one run must stay within: the manifest's own limits, and those that no manifest may pass.

use super::{
    Limits, ManifestError,
    read::{duration, value},
    text, written,
};

/// A component's memory is 32-bit.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// An attempt that computes all day.
const CPU_MS_MAX: u64 = 24 * 60 * 60 * 1000;

const HOST_CALLS_MAX: u32 = 1_000_000;

/// Largest result of a job, in bytes of JSON: it is a row of the store, and whole in memory several times on its way there.
pub const OUTPUT_BYTES_MAX: u64 = 16 << 20;

/// A log is kept with its attempt.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// The limits, with every default filled in.
pub(super) fn limits(written: &written::Limits) -> Result<Limits, ManifestError> {
    let default = Limits::default();
    let size = |key: &str, text: &Option<String>, default: u64| match text {
        Some(text) => text::size_bytes(text).map_err(|error| value(key, &error.to_string())),
        None => Ok(default),
    };
    let limits = Limits {
        memory_bytes_max: size("limits.memory", &written.memory, default.memory_bytes_max)?,
        cpu_ms_max: written
            .cpu
            .as_deref()
            .map_or(Ok(default.cpu_ms_max), |text| duration("limits.cpu", text))?,
        host_calls_max: written.host_calls.unwrap_or(default.host_calls_max),
        output_bytes_max: size("limits.output", &written.output, default.output_bytes_max)?,
        log_bytes_max: size("limits.log", &written.log, default.log_bytes_max)?,
        job_tokens_max: written.tokens_per_job,
    };
    let most = [
        (
            "limits.memory",
            limits.memory_bytes_max,
            MEMORY_BYTES_MAX,
            "a component cannot have more than 4GiB",
        ),
        ("limits.cpu", limits.cpu_ms_max, CPU_MS_MAX, "a run may compute for at most 24h"),
        (
            "limits.host-calls",
            limits.host_calls_max.into(),
            HOST_CALLS_MAX.into(),
            "a run may make at most 1000000 host calls",
        ),
        (
            "limits.output",
            limits.output_bytes_max,
            OUTPUT_BYTES_MAX,
            "a result may have at most 16MiB; store more elsewhere and return a reference",
        ),
        ("limits.log", limits.log_bytes_max, LOG_BYTES_MAX, "a job's log may have at most 4MiB"),
    ];
    for (key, written, max, why) in most {
        if written > max {
            return Err(value(key, why));
        }
    }
    if limits.cpu_ms_max == 0 {
        return Err(value("limits.cpu", "must be at least 1ms, or every run would fail"));
    }
    if limits.job_tokens_max == Some(0) {
        return Err(value("limits.tokens-per-job", "must be at least 1, or left out"));
    }
    Ok(limits)
}
