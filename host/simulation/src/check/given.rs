//! Histories for the tests of the promises.

use roughneck_jobs::{
    class::Class,
    clock::{Entropy, Millis},
    id::JobId,
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
    }
}

/// One of key `k`, which has one place.
pub(super) fn keyed(n: i64) -> Wanted {
    let concurrency = Some(ConcurrencyKey { key: "k".to_owned(), limit: 1 });
    Wanted { concurrency, ..wanted(n) }
}

pub(super) fn seen(n: i64, state: State) -> Seen {
    let class = Class("io".to_owned());
    Seen { id: job(n), class, state, attempt: 1, attempts_max: 3, losses: 0 }
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
        let taken = Taken { run, attempt: 1, attempts_max: 3, losses: 0 };
        self.call(Request::Claim(Class("io".to_owned())), Answer::Claimed(vec![taken]));
    }

    pub(super) fn ended(&mut self, run: Run) {
        self.call(Request::Write(run, Write::End), Answer::Kept);
    }
}
