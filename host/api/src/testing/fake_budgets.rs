//! Budgets that stand as a test says. Nobody here spends anything.

use std::sync::Mutex;

use roughneck_jobs::{
    budget::{Demand, OverBudget, Payer, Sheet},
    ports::budgets::{Budgets, Free, Reservation},
};

#[derive(Default)]
pub(crate) struct FakeBudgets {
    pub(crate) sheet: Mutex<Sheet>,
}

impl Budgets for FakeBudgets {
    fn reserve(
        &self,
        _: &Payer,
        _: &dyn Fn() -> Demand,
    ) -> Result<Box<dyn Reservation>, OverBudget> {
        Ok(Box::new(Free))
    }

    fn sheet(&self) -> Sheet {
        self.sheet.lock().unwrap().clone()
    }
}
