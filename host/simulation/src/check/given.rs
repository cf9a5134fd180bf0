//! Histories for the tests of the promises.

use roughneck_jobs::{
    class::Class,
    clock::{Entropy, Millis},
    id::{FlowId, JobId},
    input_key::ConcurrencyKey,
    ports::store::Submitted,
    run::Run,
    state::State,
};

use crate::{
    History,
    history::{Answer, Request, Seen, Taken, Wanted, Write},
};

struct Zero;
impl Entropy for Zero {
    fn roll(&self) -> u128 {
        0
    }
}

/// Job number `n`.
pub(super) fn job(n: i64) -> JobId {
    JobId::at(Millis(n), &Zero)
}

/// Flow number `n`.
pub(super) fn flow(n: i64) -> FlowId {
    FlowId::at(Millis(n), &Zero)
}

pub(super) fn run(n: i64, token: i64) -> Run {
    Run { job: job(n), token }
}

pub(super) fn wanted(n: i64) -> Wanted {
    Wanted {
        id: job(n),
        idempotency_key: None,
        unique: None,
        concurrency: None,
        has_callback: false,
        flow: None,
        needs: Vec::new(),
    }
}

/// One of key `k`, which has one place.
pub(super) fn keyed(n: i64) -> Wanted {
    let concurrency = Some(ConcurrencyKey { key: "k".to_owned(), limit: 1 });
    Wanted { concurrency, ..wanted(n) }
}

pub(super) fn seen(n: i64, state: State) -> Seen {
    let class = Class("io".to_owned());
    Seen {
        id: job(n),
        class,
        state,
        is_parked: false,
        waits: 0,
        fire: None,
        deadline: None,
        finished_at: None,
        attempt: 1,
        attempts_max: 3,
        losses: 0,
    }
}

pub(super) fn taken(run: Run) -> Taken {
    Taken {
        run,
        kind: "act".to_owned(),
        at: Millis(0),
        deadline: None,
        attempt: 1,
        attempts_max: 3,
        losses: 0,
    }
}

impl History {
    pub(super) fn call(&mut self, request: Request, answer: Answer) {
        let number = self.ask(request);
        self.answer(number, answer);
    }

    pub(super) fn submitted(&mut self, wanted: Wanted) {
        let answer = Answer::Submitted(Submitted::Created(wanted.id));
        self.call(Request::Submit(wanted), answer);
    }

    pub(super) fn claimed(&mut self, run: Run) {
        self.handed_out(taken(run));
    }

    pub(super) fn handed_out(&mut self, taken: Taken) {
        self.call(Request::Claim(Class("io".to_owned())), Answer::Claimed(vec![taken]));
    }

    pub(super) fn ended(&mut self, run: Run) {
        self.call(Request::Write(run, Write::End), Answer::Kept);
    }
}
