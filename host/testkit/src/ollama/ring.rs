//! The latest entries of something that goes on for ever.

use std::collections::VecDeque;

/// Keeps the latest `max` entries and numbers all of them.
#[derive(Debug)]
pub(super) struct Ring<T> {
    entries: VecDeque<T>,
    /// The number of the oldest entry that is still here.
    first: usize,
    max: usize,
}

impl<T: Clone> Ring<T> {
    pub(super) fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, max: max.max(1) }
    }

    /// Adds an entry and returns its number.
    pub(super) fn push(&mut self, entry: T) -> usize {
        if self.entries.len() == self.max {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(entry);
        self.first + self.entries.len() - 1
    }

    /// The entry with this number, unless it is forgotten.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.entries.get_mut(number.checked_sub(self.first)?)
    }

    pub(super) fn snapshot(&self) -> Vec<T> {
        self.entries.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_is_forgotten_and_numbers_stay() {
        let mut ring = Ring::new(2);
        let numbers = ["a", "b", "c"].map(|entry| ring.push(entry));
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(ring.snapshot(), ["b", "c"]);
        assert_eq!(ring.get_mut(0), None);
        assert_eq!(ring.get_mut(2), Some(&mut "c"));
    }
}
