//! What Linux tells about a process. Where there is no `/proc`, the figures that need it are left out.

use std::fs;

/// Ticks of the CPU times in `/proc/<pid>/stat` are a hundredth of a second on every Linux that matters.
const TICK_US: u64 = 10_000;

/// CPU time in user and system mode, all threads together, in microseconds.
pub(crate) fn cpu_us(pid: u32) -> Option<u64> {
    cpu_us_of(&read(pid, "stat")?)
}

/// Memory that is resident, in bytes.
pub(crate) fn rss_bytes(pid: u32) -> Option<u64> {
    rss_bytes_of(&read(pid, "status")?)
}

/// Bytes that the process caused to be written to a disk.
pub(crate) fn written_bytes(pid: u32) -> Option<u64> {
    read(pid, "io")?.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
}

fn read(pid: u32, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}")).ok()
}

/// The fields after the name, which is in parentheses and may hold anything.
fn cpu_us_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some((user + system) * TICK_US)
}

fn rss_bytes_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_and_the_memory_of_a_process_are_found() {
        let stat = "42 (a ) b) S 1 2 3 0 -1 4 5 6 7 8 12 34 0 0 20 0 9 0 77";
        assert_eq!(cpu_us_of(stat), Some(460_000));
        assert_eq!(rss_bytes_of("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
    }
}
