//! An order in which every job comes after those that it needs.

use std::collections::{BTreeMap, VecDeque};

/// Orders the nodes of a graph; `needs` holds, for each node, the nodes that come before it. Numbers
/// that are no nodes do not count.
///
/// # Errors
/// A circle of nodes, each of which needs the next one, and the last one the first.
pub(super) fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut dependents = vec![Vec::new(); needs.len()];
    let mut open = vec![0_usize; needs.len()];
    for (node, needed) in needs.iter().enumerate() {
        for &needed in needed {
            if let Some(dependents) = dependents.get_mut(needed) {
                dependents.push(node);
                open.iter_mut().skip(node).take(1).for_each(|open| *open += 1);
            }
        }
    }
    let free = open.iter().enumerate().filter(|(_, open)| **open == 0);
    let mut ready: VecDeque<usize> = free.map(|(node, _)| node).collect();
    let mut ordered = Vec::with_capacity(needs.len());
    while let Some(node) = ready.pop_front() {
        ordered.push(node);
        for &dependent in dependents.get(node).into_iter().flatten() {
            if let Some(open) = open.get_mut(dependent) {
                *open -= 1;
                if *open == 0 {
                    ready.push_back(dependent);
                }
            }
        }
    }
    if ordered.len() == needs.len() { Ok(ordered) } else { Err(circle(needs, &open)) }
}

/// Of the nodes that are still open, each needs another one that is: a walk comes back to where it was.
fn circle(needs: &[Vec<usize>], open: &[usize]) -> Vec<usize> {
    let is_open = |node: usize| open.get(node).is_some_and(|open| *open > 0);
    let mut path: Vec<usize> = Vec::new();
    let mut seen = BTreeMap::new();
    let mut next = (0..needs.len()).find(|node| is_open(*node));
    while let Some(node) = next {
        if let Some(from) = seen.insert(node, path.len()) {
            return path.split_off(from);
        }
        path.push(node);
        next = needs.get(node).into_iter().flatten().copied().find(|needed| is_open(*needed));
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_circle_is_found_wherever_it_is() {
        assert_eq!(order(&[vec![0]]), Err(vec![0]), "a job that needs itself");
        assert_eq!(order(&[vec![1], vec![0]]), Err(vec![0, 1]));
        // 3 only leads there, and 4 has nothing to do with it.
        let needs = [vec![1], vec![2], vec![0], vec![0], vec![]];
        assert_eq!(order(&needs), Err(vec![0, 1, 2]));
        let needs = [vec![1, 4], vec![2], vec![3], vec![1], vec![]];
        assert_eq!(order(&needs), Err(vec![1, 2, 3]));
    }

    #[test]
    fn a_long_chain_is_ordered_without_recursion() {
        let needs: Vec<Vec<usize>> = (0..100_000).map(|n| vec![n + 1]).collect();
        assert_eq!(order(&needs).unwrap().first(), Some(&99_999));
    }

    proptest! {
        #[test]
        fn every_graph_is_ordered_or_has_a_real_circle(
            needs in prop::collection::vec(prop::collection::vec(0..12_usize, 0..4), 1..12),
        ) {
            match order(&needs) {
                Ok(ordered) => {
                    prop_assert_eq!(ordered.len(), needs.len());
                    let at = |node: usize| ordered.iter().position(|known| *known == node);
                    for (node, needed) in needs.iter().enumerate() {
                        for needed in needed.iter().filter(|needed| **needed < needs.len()) {
                            prop_assert!(at(*needed) < at(node));
                        }
                    }
                }
                Err(circle) => {
                    prop_assert!(!circle.is_empty());
                    for (node, next) in circle.iter().zip(circle.iter().cycle().skip(1)) {
                        prop_assert!(needs[*node].contains(next), "{node} does not need {next}");
                    }
                }
            }
        }
    }
}
