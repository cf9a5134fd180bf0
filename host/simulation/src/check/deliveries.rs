//! Each end of a job with a callback is told once to the outbox, and at least once to its receiver.

use std::collections::BTreeSet;

use roughneck_jobs::id::{DeliveryId, JobId};

use crate::{History, history::Moment};

pub(super) fn check(history: &History) -> Vec<String> {
    let callbacks: BTreeSet<JobId> =
        history.wanted().filter_map(|wanted| wanted.has_callback.then_some(wanted.id)).collect();
    let received: BTreeSet<DeliveryId> = history
        .moments
        .iter()
        .filter_map(|(_, moment)| {
            let Moment::Received(id) = moment else { return None };
            Some(*id)
        })
        .collect();
    let mut broken = Vec::new();
    for (_, moment) in &history.moments {
        let Moment::Told { job, ends, deliveries } = moment else { continue };
        let expected = if callbacks.contains(job) { *ends } else { 0 };
        let ids: BTreeSet<_> = deliveries.iter().collect();
        if ids.len() != expected || deliveries.len() != expected {
            let count = deliveries.len();
            broken.push(format!("job {job} is to tell {expected} ends and has {count} deliveries"));
        }
        for id in ids.into_iter().filter(|id| !received.contains(id)) {
            broken.push(format!("delivery {id} of job {job} was never received"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::clock::{Entropy, Millis};

    use super::{super::given::*, *};
    use crate::history::Wanted;

    struct Fixed(u128);
    impl Entropy for Fixed {
        fn roll(&self) -> u128 {
            self.0
        }
    }

    #[test]
    fn an_end_without_its_webhook_is_found_and_one_with_two() {
        let [first, second] = [1, 2].map(|n| DeliveryId::at(Millis(0), &Fixed(n)));
        let told = |deliveries: &[DeliveryId], received: &[DeliveryId]| {
            let mut history = History::default();
            history.submitted(Wanted { has_callback: true, ..wanted(1) });
            received.iter().for_each(|id| history.note(Moment::Received(*id)));
            let deliveries = deliveries.to_vec();
            history.note(Moment::Told { job: job(1), ends: 1, deliveries });
            check(&history).len()
        };
        assert_eq!(told(&[first], &[first, first]), 0);
        assert_eq!(told(&[first], &[]), 1);
        assert_eq!(told(&[], &[]), 1);
        assert_eq!(told(&[first, second], &[first, second]), 1);
    }
}
