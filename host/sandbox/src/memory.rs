//! How much memory a guest may take. The limit holds for all memories of its store together, because
//! a component may consist of many modules.

use wasmtime::ResourceLimiter;

use crate::stop::Stop;

/// Core instances, tables and memories: a component of an interpreted language has dozens.
const INSTANCES_MAX: usize = 200;
const TABLES_MAX: usize = 100;
const MEMORIES_MAX: usize = 50;

/// Elements of all tables together, a pointer each.
const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// The memory of one store.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    bytes_max: u64,
    memory: Sum,
    tables: Sum,
}

/// What was granted, and the last grant of it, which is taken back if wasmtime could not use it.
#[derive(Debug, Default)]
struct Sum {
    now: u64,
    peak: u64,
    last: u64,
}

impl Sum {
    /// Grants the growth unless the sum would pass `max`.
    fn grow(&mut self, current: usize, desired: usize, max: u64) -> Result<(), Stop> {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let now = self.now.checked_add(more).filter(|now| *now <= max).ok_or(Stop::Memory)?;
        *self = Self { now, peak: self.peak.max(now), last: more };
        Ok(())
    }

    fn take_back(&mut self) {
        self.now = self.now.saturating_sub(std::mem::take(&mut self.last));
    }
}

impl MemoryMeter {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, memory: Sum::default(), tables: Sum::default() }
    }

    /// The most it had.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.memory.peak
    }
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
        self.memory.grow(current, desired, self.bytes_max)?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.take_back();
        Ok(())
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
        self.tables.grow(current, desired, TABLE_ELEMENTS_MAX as u64)?;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.take_back();
        Ok(())
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
    fn growth_that_wasmtime_could_not_make_is_given_back_once() {
        let mut meter = MemoryMeter::new(100);
        meter.memory_growing(0, 40, None).unwrap();
        meter.memory_growing(40, 100, None).unwrap();
        meter.memory_grow_failed(wasmtime::Error::msg("no pages")).unwrap();
        meter.memory_grow_failed(wasmtime::Error::msg("no pages")).unwrap();
        assert!(meter.memory_growing(40, 100, None).unwrap());
    }

    #[test]
    fn a_module_s_own_maximum_fails_in_the_guest() {
        let mut meter = MemoryMeter::new(100);
        assert!(!meter.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!meter.table_growing(0, 60, Some(50)).unwrap());
        assert!(meter.table_growing(0, TABLE_ELEMENTS_MAX + 1, None).is_err());
    }
}
