//! What is put into the outbox.

use roughneck_jobs::{
    clock::Millis,
    delivery::{self, Delivery, DeliveryState, Notice, Target},
    id::{DeliveryId, JobId},
    job::Job,
    ports::bell::Change,
};

use crate::tables::Tables;

/// What is to be sent.
struct Message {
    target: Target,
    event: String,
    body: String,
}

impl Tables {
    /// Tells whoever wants to know that a job has ended.
    pub(crate) fn call_back(&mut self, job: &Job, at: Millis) {
        let Some(target) = job.callback.clone() else { return };
        let event = delivery::end_event(job);
        let body = delivery::end_body(job, at);
        self.post(job.id, at, Message { target, event, body });
    }

    /// Sends what a plugin asked for.
    pub(crate) fn notify(&mut self, job: JobId, at: Millis, notice: &Notice) {
        let (target, event) = (Target::Named(notice.target.clone()), notice.event.clone());
        self.post(job, at, Message { target, event, body: delivery::notice_body(notice, at) });
    }

    fn post(&mut self, job: JobId, at: Millis, message: Message) {
        let id = DeliveryId::at(at, &self.dice());
        let Message { target, event, body } = message;
        self.deliveries.push(Delivery {
            id,
            job,
            target,
            event,
            body,
            state: DeliveryState::Pending,
            attempts: 0,
            next_at: at,
            finished_at: None,
            last_error: None,
        });
        self.changes.push(Change::Delivery);
    }
}
