//! How many files the process may have open: each client is one, and so is what a plugin, the database or Ollama is reached by.
//!
//! Systems begin with few for the sake of old programs, macOS with 256, and let a process take more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for all that a host does, and as many as macOS gives whatever it is set to: its `OPEN_MAX`.
const ENOUGH: u64 = 10_240;

/// The other half is for the rest of the host, and for the few clients at a time that are refused.
const FILES_PER_CONNECTION: u64 = 2;

/// Takes as many as a host needs, if it may, and returns how many of its connections there are files for.
pub(crate) fn take(connections_max: u32) -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let files = raised(limit, reach(limit, connections_max));
    let room = room(files, connections_max);
    if room < connections_max {
        tracing::warn!(
            files,
            "only {files} files may be open, so {room} clients are served at once and not {connections_max}; {REMEDY}"
        );
    }
    room
}

/// What gives a host more files.
pub(crate) const REMEDY: &str = "raise the limit where the host is started: `ulimit -n` in a shell, \
     LimitNOFILE in systemd, NumberOfFiles in launchd";

/// How many connections a host would have files for that is started like this process.
pub(crate) fn would_serve(connections_max: u32) -> u32 {
    room(reach(getrlimit(Resource::Nofile), connections_max), connections_max)
}

/// Raises the limit, and returns what it is then.
fn raised(limit: Rlimit, to: u64) -> u64 {
    let now = limit.current.unwrap_or(u64::MAX);
    // The second one for macOS, which has a limit for each process beside this one's own.
    let tries = [Some(to), (ENOUGH < to).then_some(ENOUGH)];
    for to in tries.into_iter().flatten().filter(|to| *to > now) {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(to), ..limit }) {
            Ok(()) => return to,
            Err(error) => {
                tracing::warn!(%error, "the limit of open files cannot be raised from {now} to {to}: {error}");
            }
        }
    }
    now
}

/// How far the limit can be raised, and is wanted to be.
fn reach(limit: Rlimit, connections_max: u32) -> u64 {
    let wanted = ENOUGH.max(u64::from(connections_max) * FILES_PER_CONNECTION);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    limit.current.unwrap_or(u64::MAX).max(wanted.min(allowed))
}

/// For how many connections so many files are enough: for one, if they are enough for nothing.
fn room(files: u64, connections_max: u32) -> u32 {
    let room = u32::try_from(files / FILES_PER_CONNECTION).unwrap_or(u32::MAX);
    room.clamp(1, connections_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_is_wanted_and_allowed_and_never_lowered() {
        let table = [
            // What macOS begins with.
            ((Some(256), None), 1024, 10_240),
            // What systemd does.
            ((Some(1024), Some(524_288)), 1024, 10_240),
            ((Some(1024), Some(524_288)), 10_000, 20_000),
            ((Some(1024), Some(4096)), 1024, 4096),
            ((Some(256), Some(256)), 1024, 256),
            ((Some(20_000), Some(20_000)), 1024, 20_000),
            ((None, None), 1024, u64::MAX),
        ];
        for ((current, maximum), connections_max, expected) in table {
            let limit = Rlimit { current, maximum };
            assert_eq!(reach(limit, connections_max), expected, "{limit:?} {connections_max}");
        }
    }

    #[test]
    fn clients_have_half_of_the_files_at_most() {
        for (files, connections_max, expected) in
            [(256, 1024, 128), (10_240, 1024, 1024), (u64::MAX, 65_535, 65_535), (1, 1024, 1)]
        {
            assert_eq!(room(files, connections_max), expected, "{files}");
        }
    }
}
