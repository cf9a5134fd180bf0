//! What is done as one part of a transaction.
//!
//! The commands of a batch come from callers who all still wait, so no order among them is owed to
//! anybody. Those of one kind share their statements, and what makes room goes before what needs it:
//! first the runs that end, then the new jobs, at last the claims.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    mem,
    sync::Arc,
};

use roughneck_jobs::class::Class;

use crate::{
    command::{Command, Ending, Keeping, Submission, Wish},
    perform::{self, Answer},
    transaction::Transaction,
};

/// Bytes of inputs or outputs that go into one statement.
const BYTES_MAX: usize = 1 << 20;

/// What is done as one part of a transaction.
pub(crate) enum Unit {
    /// Runs of different jobs that end.
    Endings(Vec<Ending>),
    /// New jobs.
    Submissions(Vec<Submission>),
    /// Jobs that are over.
    Keepings(Vec<Keeping>),
    /// Claims of one class.
    Wishes(Vec<Wish>),
    /// Anything else.
    One(Command),
}

/// What became of a unit.
pub(crate) enum Performed {
    /// Its answers; they wait for the commit. An answer that is not ok left nothing behind.
    Answered(Vec<Answer>),
    /// One of its commands is at fault, or a new job is known. Nothing must be kept of them, and each
    /// is tried alone.
    Split(Vec<Unit>),
}

impl Unit {
    /// Does it.
    pub(crate) async fn perform(self, tx: &mut Transaction<'_>) -> Performed {
        match self {
            Self::One(command) => {
                // On the heap: the sum of all intentions is large.
                Performed::Answered(vec![Box::pin(perform::command(tx, command)).await])
            }
            Self::Submissions(submissions) => match perform::submissions(tx, &submissions).await {
                Ok(true) => Performed::Answered(perform::answer_submissions(submissions).collect()),
                Ok(false) | Err(_) => Performed::split(submissions),
            },
            Self::Endings(endings) => match perform::endings(tx, &endings).await {
                Ok(done) => Performed::Answered(perform::answer_endings(endings, done).collect()),
                Err(_) => Performed::split(endings),
            },
            Self::Keepings(keepings) => match perform::keepings(tx, &keepings).await {
                Ok(states) => {
                    Performed::Answered(perform::answer_keepings(keepings, states).collect())
                }
                Err(_) => Performed::split(keepings),
            },
            Self::Wishes(wishes) => match perform::wishes(tx, &wishes).await {
                Ok(granted) => {
                    Performed::Answered(perform::answer_wishes(wishes, granted).collect())
                }
                Err(_) => Performed::split(wishes),
            },
        }
    }

    /// Answers that it was not tried, because its whole batch met `error`.
    pub(crate) fn reject(self, error: &Arc<sqlx::Error>) {
        match self {
            Self::One(command) => command.reject(error),
            Self::Submissions(submissions) => reject(submissions, error),
            Self::Endings(endings) => reject(endings, error),
            Self::Keepings(keepings) => reject(keepings, error),
            Self::Wishes(wishes) => reject(wishes, error),
        }
    }
}

impl Performed {
    fn split<T: Into<Command>>(commands: Vec<T>) -> Self {
        Self::Split(commands.into_iter().map(|command| Unit::One(command.into())).collect())
    }

    /// Whether what it wrote is to be kept.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            // A group that answers at all was performed; a single command may have failed.
            Self::Answered(answers) => answers.len() != 1 || answers.iter().all(|one| one.is_ok),
            Self::Split(_) => false,
        }
    }
}

fn reject<T: Into<Command>>(commands: Vec<T>, error: &Arc<sqlx::Error>) {
    commands.into_iter().for_each(|command| command.into().reject(error));
}

/// Groups and orders the commands of a batch.
pub(crate) fn units(batch: Vec<Command>) -> VecDeque<Unit> {
    let (mut endings, mut submissions) = (Group::default(), Group::default());
    let mut keepings = Group::default();
    let (mut others, mut wishes) = (Vec::new(), BTreeMap::<Class, Vec<Wish>>::new());
    let mut ending = HashSet::new();
    for command in batch {
        match command {
            // Whatever is told twice is told one after the other: the second has lost its job.
            Command::Finish { run, finish, reply } if ending.insert(run.job) => {
                let bytes = finish.bytes();
                endings.add(Ending { run, finish, reply }, bytes);
            }
            Command::Submit { job, reply } => {
                let bytes = job.input.len();
                submissions.add(Submission { job, reply }, bytes);
            }
            Command::Keep { past, reply } => {
                let bytes = past.bytes();
                keepings.add(Keeping { past, reply }, bytes);
            }
            Command::Claim { claim, reply } => {
                wishes.entry(claim.class.clone()).or_default().push(Wish { claim, reply });
            }
            other => others.push(Unit::One(other)),
        }
    }
    let endings = endings.chunks().into_iter().map(Unit::Endings);
    let submissions = submissions.chunks().into_iter().map(Unit::Submissions);
    let keepings = keepings.chunks().into_iter().map(Unit::Keepings);
    let wishes = wishes.into_values().map(Unit::Wishes);
    endings.chain(submissions).chain(keepings).chain(others).chain(wishes).collect()
}

/// Commands of one kind, cut where a statement would become too large.
struct Group<T> {
    full: Vec<Vec<T>>,
    open: Vec<T>,
    bytes: usize,
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self { full: Vec::new(), open: Vec::new(), bytes: 0 }
    }
}

impl<T> Group<T> {
    fn add(&mut self, one: T, bytes: usize) {
        if !self.open.is_empty() && self.bytes.saturating_add(bytes) > BYTES_MAX {
            self.full.push(mem::take(&mut self.open));
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.open.push(one);
    }

    fn chunks(mut self) -> Vec<Vec<T>> {
        if !self.open.is_empty() {
            self.full.push(self.open);
        }
        self.full
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{clock::Millis, ports::store::Claim};
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_group_is_cut_where_a_statement_would_become_too_large() {
        let mut group = Group::default();
        for (one, bytes) in [(1, 10), (2, BYTES_MAX), (3, BYTES_MAX + 5), (4, 0), (5, 1)] {
            group.add(one, bytes);
        }
        assert_eq!(group.chunks(), [vec![1], vec![2], vec![3], vec![4, 5]]);
        assert!(Group::<u8>::default().chunks().is_empty());
    }

    #[test]
    fn claims_come_last_so_that_they_see_what_the_batch_makes_ready_those_of_a_class_together() {
        let claim = |class: &str| Command::Claim {
            claim: Claim {
                class: Class(class.to_owned()),
                limit: 1,
                at: Millis(0),
                lease_until: Millis(1),
                prefer: None,
            },
            reply: oneshot::channel().0,
        };
        let promote = || Command::Promote { at: Millis(0), limit: 1, reply: oneshot::channel().0 };
        let units = units(vec![claim("io"), promote(), claim("cpu"), promote(), claim("io")]);
        let wishes = |unit: &Unit| match unit {
            Unit::Wishes(wishes) => wishes.len(),
            Unit::Endings(_) | Unit::Submissions(_) | Unit::Keepings(_) | Unit::One(_) => 0,
        };
        assert_eq!(units.iter().map(wishes).collect::<Vec<_>>(), [0, 0, 1, 2]);
    }
}
