//! Budgets that stand as a test says. Nobody here spends anything.

use std::sync::Mutex;

use roughneck_jobs::{
    budget::{Demand, OverBudget, Payer, Sheet},
    ports::budgets::{Budgets, Reservation, Unlimited},
};

#[derive(Default)]
pub(crate) struct FakeBudgets {
    pub(crate) sheet: Mutex<Sheet>,
}

impl Budgets for FakeBudgets {
    fn reserve(
        &self,
        payer: &Payer,
        demand: &dyn Fn() -> Demand,
    ) -> Result<Box<dyn Reservation>, OverBudget> {
        Unlimited.reserve(payer, demand)
    }

    fn sheet(&self) -> Sheet {
        self.sheet.lock().unwrap().clone()
    }
}
