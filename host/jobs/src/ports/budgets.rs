//! The token budgets, as those see them whose calls cost tokens.

use std::fmt;

use crate::{
    budget::{Demand, OverBudget, Payer, Sheet},
    usage::Usage,
};

/// The token budgets of the host. Nothing here waits, neither for the disk nor for others.
pub trait Budgets: Send + Sync {
    /// Reserves what a call needs at most. `demand` is asked only if the payer has a budget: it may have to read a
    /// long prompt.
    ///
    /// # Errors
    /// [`OverBudget`], if there is no room for it.
    fn reserve(
        &self,
        payer: &Payer,
        demand: &dyn Fn() -> Demand,
    ) -> Result<Box<dyn Reservation>, OverBudget>;

    /// How the budgets stand.
    fn sheet(&self) -> Sheet;
}

/// What a call has reserved. Dropping it settles it by an estimate: what was not sent to a model costs nothing,
/// and of a call that broke off its prompt is paid for and what was generated.
pub trait Reservation: Send + Sync + fmt::Debug {
    /// How many tokens the answer may have; no limit if none.
    fn answer_max(&self) -> Option<u64>;

    /// The call goes to the model.
    fn sent(&mut self);

    /// A token of the answer has come. More is reserved when it is needed.
    ///
    /// # Errors
    /// [`OverBudget`], if there is none left: the answer must be stopped.
    fn token(&mut self) -> Result<(), OverBudget>;

    /// What came of the call is thrown away for the sake of another one, and it will be sent again. It pays once.
    fn gave_way(&mut self);

    /// The model refused the call, which therefore costs nothing.
    fn refused(&mut self);

    /// The call is over, and this is what it has cost. Later calls change nothing.
    fn settle(&mut self, usage: &Usage);
}

/// No budgets at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Budgets for Unlimited {
    fn reserve(
        &self,
        _: &Payer,
        _: &dyn Fn() -> Demand,
    ) -> Result<Box<dyn Reservation>, OverBudget> {
        Ok(Box::new(Free))
    }

    fn sheet(&self) -> Sheet {
        Sheet::default()
    }
}

/// The reservation of a call that nobody counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Free;

impl Reservation for Free {
    fn answer_max(&self) -> Option<u64> {
        None
    }
    fn sent(&mut self) {}
    fn token(&mut self) -> Result<(), OverBudget> {
        Ok(())
    }
    fn gave_way(&mut self) {}
    fn refused(&mut self) {}
    fn settle(&mut self, _: &Usage) {}
}
