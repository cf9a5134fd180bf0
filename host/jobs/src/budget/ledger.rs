//! The account of all budgets.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::{
    Balance, Day, Demand, Limits, OverBudget, Payer, Renewal, Sheet, Spent, Whose,
    demand::ANSWER_STEP,
};
use crate::{clock::Millis, id::JobId};

/// Callers of a day that have an account of their own: a caller's name is whatever a client says. The others
/// share one.
const CALLERS_MAX: usize = 10_000;

/// The name of that one.
const OTHERS: &str = "others";

/// What is used and reserved of each budget. Never more than there is, as long as no call uses more than it
/// has reserved.
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    zone: TimeZone,
    day: Day,
    /// Of kinds and callers.
    accounts: BTreeMap<Whose, Account>,
    jobs: BTreeMap<JobId, JobAccount>,
    /// Accounts of which more is spent than was written down.
    unwritten: BTreeSet<Whose>,
}

#[derive(Debug, Default)]
struct Account {
    limit: u64,
    spent: u64,
    reserved: u64,
}

#[derive(Debug, Default)]
struct JobAccount {
    spent: u64,
    reserved: u64,
    /// The beginning of the day on which it was used last.
    used_on: Millis,
}

/// What a call has reserved. It must be settled.
#[derive(Debug)]
pub struct Grant {
    accounts: Vec<Whose>,
    job: Option<JobId>,
    job_max: Option<u64>,
    /// All that is reserved.
    tokens: u64,
    /// What of it is for the answer.
    answer: u64,
}

impl Grant {
    /// How many tokens are reserved.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// How many of them the answer may have.
    #[must_use]
    pub fn answer(&self) -> u64 {
        self.answer
    }
}

impl Ledger {
    /// The ledger of these limits, whose days are those of `zone`. Nothing is spent.
    #[must_use]
    pub fn new(limits: Limits, zone: TimeZone, now: Millis) -> Self {
        let day = Day::of(now, &zone);
        let accounts = unspent(&limits);
        let (jobs, unwritten) = (BTreeMap::new(), BTreeSet::new());
        Self { limits, zone, day, accounts, jobs, unwritten }
    }

    /// The same in UTC.
    #[must_use]
    pub fn utc(limits: Limits, now: Millis) -> Self {
        Self::new(limits, TimeZone::UTC, now)
    }

    /// Takes over what was spent before on the present day, and the present names of kinds: `name_of` knows that of
    /// a kind by any of its names, if it is served. To be called before anything is reserved.
    pub fn load(&mut self, spent: Vec<Spent>, name_of: &dyn Fn(&str) -> Option<String>) {
        self.limits = std::mem::take(&mut self.limits).with_present_names(name_of);
        self.accounts = unspent(&self.limits);
        for Spent { whose, tokens } in spent {
            let account = match &whose {
                Whose::Job => None,
                Whose::Kind(name) => {
                    let present = name_of(name).map_or_else(|| whose.clone(), Whose::Kind);
                    self.accounts.get_mut(&present)
                }
                Whose::Caller(name) => {
                    let found = self.limits.of_caller(Some(name));
                    found.map(|(whose, limit)| self.account(whose, limit))
                }
            };
            if let Some(account) = account {
                // What was written under a newer name of a kind has in it what was written under an older one.
                account.spent = account.spent.max(tokens);
            }
        }
    }

    /// What it keeps.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The day that is counted.
    #[must_use]
    pub fn day(&self) -> &Day {
        &self.day
    }

    /// Begins a new day if it is time. What is reserved stays so, and is spent on the day on which it is settled.
    pub fn turn(&mut self, now: Millis) {
        if now < self.day.begins_at {
            // The clock was set back. Nobody gets anything for it.
            self.day = Day::of(now, &self.zone);
        } else if now >= self.day.ends_at {
            self.day = Day::of(now, &self.zone);
            let limits = &self.limits;
            self.accounts.retain(|whose, account| {
                account.spent = 0;
                account.reserved > 0 || limits.names(whose)
            });
            let yesterday = self.day.begins_at.minus_ms(24 * 60 * 60 * 1000);
            self.jobs.retain(|_, job| job.reserved > 0 || job.used_on >= yesterday);
            // No budget depends on what was spent yesterday. Who asks for that misses what was not written by midnight: a
            // second's worth, as a rule.
            self.unwritten.clear();
        }
    }

    /// Reserves what a call needs.
    ///
    /// # Errors
    /// [`OverBudget`], if a budget that it would go on has no room. Nothing is reserved then.
    pub fn reserve(
        &mut self,
        payer: &Payer,
        demand: &Demand,
        now: Millis,
    ) -> Result<Grant, OverBudget> {
        self.turn(now);
        let mut grant = self.nothing(payer);
        self.enlarge(&mut grant, demand.prompt.tokens_max(), demand.answer.range())?;
        Ok(grant)
    }

    /// Reserves more for an answer that has used up what it had.
    ///
    /// # Errors
    /// [`OverBudget`], if there is no token left.
    pub fn extend(&mut self, grant: &mut Grant, now: Millis) -> Result<(), OverBudget> {
        self.turn(now);
        self.enlarge(grant, 0, (1, ANSWER_STEP))
    }

    /// Gives back what was reserved, and keeps what was used.
    pub fn settle(&mut self, grant: Grant, spent: u64, now: Millis) {
        self.turn(now);
        let Grant { accounts, job, tokens, .. } = grant;
        if let Some(account) = job.and_then(|job| self.jobs.get_mut(&job)) {
            account.reserved = account.reserved.saturating_sub(tokens);
            account.spent = account.spent.saturating_add(spent);
            account.used_on = self.day.begins_at;
        }
        for whose in accounts {
            if let Some(account) = self.accounts.get_mut(&whose) {
                account.reserved = account.reserved.saturating_sub(tokens);
                account.spent = account.spent.saturating_add(spent);
                self.unwritten.insert(whose);
            }
        }
    }

    /// How all budgets stand: those that are named, and those of callers that have used theirs today.
    pub fn sheet(&mut self, now: Millis) -> Sheet {
        self.turn(now);
        Sheet {
            day: Some(self.day.clone()),
            job_max: self.limits.job,
            balances: self.accounts.iter().map(|(whose, account)| account.balance(whose)).collect(),
        }
    }

    /// Takes what is to be written down, and of which day it is.
    pub fn take_unwritten(&mut self) -> (String, Vec<Spent>) {
        let unwritten = std::mem::take(&mut self.unwritten).into_iter();
        let spent = unwritten.filter_map(|whose| {
            let tokens = self.accounts.get(&whose)?.spent;
            Some(Spent { whose, tokens })
        });
        (self.day.date.clone(), spent.collect())
    }

    /// What was taken could not be written down.
    pub fn put_back(&mut self, date: &str, spent: Vec<Spent>) {
        if self.day.date == date {
            self.unwritten.extend(spent.into_iter().map(|spent| spent.whose));
        }
    }

    /// A grant of nothing, on the accounts of the payer.
    fn nothing(&mut self, payer: &Payer) -> Grant {
        let of_manifest = payer.job.and_then(|job| job.max);
        let job_max = self.limits.of_job(of_manifest);
        let job = payer.job.filter(|_| job_max.is_some());
        if let Some(job) = job {
            let account = self.jobs.entry(job.id).or_default();
            // The store does not know of calls that broke off, nor this ledger of the time before the host began.
            account.spent = account.spent.max(job.spent);
            account.used_on = self.day.begins_at;
        }
        let kind = self.limits.of_kind(&payer.kind);
        let caller = self.limits.of_caller(payer.caller.as_deref());
        let mut accounts = Vec::new();
        for (whose, limit) in kind.into_iter().chain(caller) {
            let whose = self.or_others(whose);
            self.account(whose.clone(), limit);
            accounts.push(whose);
        }
        Grant { accounts, job: job.map(|job| job.id), job_max, tokens: 0, answer: 0 }
    }

    /// Reserves the tokens of a prompt, and of an answer at least the one number and at most the other.
    fn enlarge(
        &mut self,
        grant: &mut Grant,
        prompt: u64,
        (least, most): (u64, u64),
    ) -> Result<(), OverBudget> {
        let needs = prompt.saturating_add(least);
        let mut answer = most;
        for balance in self.balances(grant) {
            let room = balance.remaining();
            if room < needs {
                return Err(self.over(balance, grant.tokens, needs));
            }
            answer = answer.min(room - prompt);
        }
        let tokens = prompt.saturating_add(answer);
        grant.tokens = grant.tokens.saturating_add(tokens);
        grant.answer = grant.answer.saturating_add(answer);
        if let Some(account) = grant.job.and_then(|job| self.jobs.get_mut(&job)) {
            account.reserved = account.reserved.saturating_add(tokens);
        }
        for whose in &grant.accounts {
            if let Some(account) = self.accounts.get_mut(whose) {
                account.reserved = account.reserved.saturating_add(tokens);
            }
        }
        Ok(())
    }

    /// How the budgets stand that a grant is of.
    fn balances(&self, grant: &Grant) -> Vec<Balance> {
        let job = grant.job_max.map(|limit| {
            let account = grant.job.and_then(|job| self.jobs.get(&job));
            // A job of one call has no account: the call is all of it.
            let (spent, reserved) =
                account.map_or((0, grant.tokens), |account| (account.spent, account.reserved));
            Balance { whose: Whose::Job, limit, spent, reserved }
        });
        let others = grant.accounts.iter();
        let others = others.filter_map(|whose| Some(self.accounts.get(whose)?.balance(whose)));
        job.into_iter().chain(others).collect()
    }

    /// Why there is no room for a call that has `own` tokens already.
    fn over(&self, balance: Balance, own: u64, needs: u64) -> OverBudget {
        let Balance { whose, limit, spent, reserved } = balance;
        let all = own.saturating_add(needs);
        let renewal = match whose {
            Whose::Job => Renewal::Never,
            Whose::Kind(_) | Whose::Caller(_) if all > limit => Renewal::Never,
            Whose::Kind(_) | Whose::Caller(_) if spent.saturating_add(all) > limit => {
                Renewal::At(self.day.ends_at)
            }
            Whose::Kind(_) | Whose::Caller(_) => Renewal::Soon,
        };
        OverBudget { whose, limit, spent, reserved, needs: all, renewal }
    }

    fn account(&mut self, whose: Whose, limit: u64) -> &mut Account {
        self.accounts.entry(whose).or_insert(Account { limit, ..Account::default() })
    }

    /// The account itself, or that of the others if there are too many callers.
    fn or_others(&self, whose: Whose) -> Whose {
        match whose {
            Whose::Caller(_)
                if self.accounts.len() >= CALLERS_MAX && !self.accounts.contains_key(&whose) =>
            {
                Whose::Caller(OTHERS.to_owned())
            }
            Whose::Job | Whose::Kind(_) | Whose::Caller(_) => whose,
        }
    }
}

/// The accounts of all that the operator has named.
fn unspent(limits: &Limits) -> BTreeMap<Whose, Account> {
    let kinds = limits.kinds.iter().map(|(name, limit)| (Whose::Kind(name.clone()), *limit));
    let callers = limits.callers.iter();
    let callers = callers.map(|(name, limit)| (Whose::Caller(name.clone()), *limit));
    let account = |(whose, limit)| (whose, Account { limit, ..Account::default() });
    kinds.chain(callers).map(account).collect()
}

impl Account {
    fn balance(&self, whose: &Whose) -> Balance {
        let Self { limit, spent, reserved } = *self;
        Balance { whose: whose.clone(), limit, spent, reserved }
    }
}
