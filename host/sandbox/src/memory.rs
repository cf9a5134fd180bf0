//! How much memory a guest may take. The limit holds for all memories of its store together, because
//! a component may consist of many modules.

use wasmtime::ResourceLimiter;

use crate::stop::Stop;

/// Core instances, tables and memories: a component of an interpreted language has dozens.
const INSTANCES_MAX: usize = 200;
const TABLES_MAX: usize = 100;
const MEMORIES_MAX: usize = 50;

/// Elements of all tables together, a pointer each.
const TABLE_ELEMENTS_MAX: u64 = 1 << 20;

/// The memory of one store. What was granted is never taken back, even if wasmtime could not use it:
/// it also reports failures of growth that was never granted, and a guest that collects those would
/// earn itself room past its limit.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    bytes_max: u64,
    bytes: u64,
    table_elements: u64,
}

impl MemoryMeter {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, table_elements: 0 }
    }

    /// The most it had: memories never shrink.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.bytes
    }
}

/// The sum after a growth, unless it would pass `max`.
fn grown(sum: u64, current: usize, desired: usize, max: u64) -> Result<u64, Stop> {
    let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
    sum.checked_add(more).filter(|sum| *sum <= max).ok_or(Stop::Memory)
}

/// Growth past the limit ends the guest instead of failing in it: an allocator that is refused aborts
/// with words of its own, and nobody would learn which limit it was.
impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // What the module's own maximum forbids fails in the guest, as the specification says.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.bytes = grown(self.bytes, current, desired, self.bytes_max)?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = grown(self.table_elements, current, desired, TABLE_ELEMENTS_MAX)?;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_all_memories_together() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap());
        let error = meter.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Stop::Memory));
        assert_eq!(meter.peak_bytes(), 100);
    }

    #[test]
    fn failed_growth_gives_nothing_back() {
        let mut meter = MemoryMeter::new(100);
        let elements = usize::try_from(TABLE_ELEMENTS_MAX).unwrap();
        meter.memory_growing(0, 60, None).unwrap();
        meter.table_growing(0, elements, None).unwrap();
        // As for a growth past the address space, which wasmtime never asks about.
        meter.memory_grow_failed(wasmtime::Error::msg("overflow")).unwrap();
        meter.table_grow_failed(wasmtime::Error::msg("overflow")).unwrap();
        assert!(meter.memory_growing(60, 101, None).is_err());
        assert!(meter.table_growing(elements, elements + 1, None).is_err());
    }

    #[test]
    fn a_module_s_own_maximum_fails_in_the_guest() {
        let mut meter = MemoryMeter::new(100);
        assert!(!meter.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!meter.table_growing(0, 60, Some(50)).unwrap());
        assert!(meter.table_growing(0, (1 << 20) + 1, None).is_err());
    }
}
