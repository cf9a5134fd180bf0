//! One figure over all rounds.

/// The values of the rounds, in their order. What could not be measured is not a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds a round.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle value; none if nothing was measured.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let (middle, is_even) = (sorted.len() / 2, sorted.len().is_multiple_of(2));
        let upper = *sorted.get(middle)?;
        if is_even { Some(f64::midpoint(*sorted.get(middle - 1)?, upper)) } else { Some(upper) }
    }

    /// The least and the greatest.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        let values = || self.0.iter().copied().filter(|value| !value.is_nan());
        Some((values().reduce(f64::min)?, values().reduce(f64::max)?))
    }

    /// Round by round, this without the other.
    pub(crate) fn less(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours - theirs).collect())
    }

    /// Round by round, this to the other. Neighbours in time share the noise of the machine.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_leaves_out_what_was_not_measured() {
        let median = |values: &[f64]| values.iter().copied().collect::<Series>().median();
        assert_eq!(median(&[3.0, 1.0, f64::NAN, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[f64::NAN]), None);
    }

    #[test]
    fn a_ratio_and_a_difference_are_taken_in_each_round() {
        let ours = Series(vec![10.0, 40.0]);
        let theirs = Series(vec![1.0, 2.0]);
        assert_eq!(ours.over(&theirs).range(), Some((10.0, 20.0)));
        assert_eq!(ours.less(&theirs).range(), Some((9.0, 38.0)));
    }
}
