//! The token budgets of this host. They stand in memory, so that no call waits for the disk; what was
//! spent is written down a moment behind, and read again at the next start.

mod held;
mod metrics;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::registry::Registry;
use roughneck_jobs::{
    budget::{Demand, Grant, Ledger, OverBudget, Payer, Renewal, Sheet},
    causes::Causes,
    clock::{Clock, Millis},
    ports::{
        budgets::{self, Free, Reservation},
        catalog::Catalog,
        spending::Spending,
        store::StoreError,
    },
};
use tokio::sync::Notify;
use tracing::error;

use crate::{
    pause::{AFTER_ERROR, until},
    shared::Shared,
};
use held::Held;
use metrics::{Metrics, Outcome};

/// How far what is written may be behind what is spent.
const BEHIND: Duration = Duration::from_secs(1);

/// What was spent is remembered for so many days, for people who ask.
const KEPT_DAYS: u16 = 30;

/// Entries of old days forgotten by one command, so that it does not hold up the writer.
const BATCH: u32 = 200;

/// The token budgets of one host.
pub struct Budgets(Arc<Inner>);

struct Inner {
    ledger: Mutex<Ledger>,
    spending: Arc<dyn Spending>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// More is spent than was written down.
    spent: Notify,
}

impl Budgets {
    /// The budgets of a ledger in which nothing is spent. The engine reads what was spent when it starts.
    #[must_use]
    pub fn new(ledger: Ledger, spending: Arc<dyn Spending>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let ledger = Mutex::new(ledger);
        let (metrics, spent) = (Metrics::new(), Notify::new());
        Arc::new(Self(Arc::new(Inner { ledger, spending, clock, metrics, spent })))
    }

    /// Publishes the metrics. Call it once for each registry.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Reads what was spent today before this host began. The operator may have written an older name of a kind,
    /// which the catalog knows.
    pub(crate) async fn load(&self, catalog: &dyn Catalog) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let date = self.0.ledger().day().date.clone();
        let spent = self.0.spending.spent_on(&date).await?;
        let name_of = |kind: &str| catalog.served(kind).map(|served| served.kind.name.clone());
        self.0.ledger().load(spent, &name_of);
        self.0.show();
        Ok(())
    }
}

impl budgets::Budgets for Budgets {
    fn reserve(
        &self,
        payer: &Payer,
        demand: &dyn Fn() -> Demand,
    ) -> Result<Box<dyn Reservation>, OverBudget> {
        if !self.0.ledger().limits().bind(payer) {
            return Ok(Box::new(Free));
        }
        let demand = demand();
        match self.0.ledger().reserve(payer, &demand, self.0.clock.now()) {
            Ok(grant) => Ok(Box::new(Held::new(Arc::clone(&self.0), grant, &demand))),
            Err(over) => {
                let waits = payer.job.is_some() && over.renewal != Renewal::Never;
                let outcome = if waits { Outcome::waits } else { Outcome::refused };
                self.0.metrics.count(&over.whose, outcome);
                Err(over)
            }
        }
    }

    fn sheet(&self) -> Sheet {
        if self.0.is_empty() {
            return Sheet::default();
        }
        self.0.ledger().sheet(self.0.clock.now())
    }
}

impl Inner {
    fn extend(&self, grant: &mut Grant) -> Result<(), OverBudget> {
        let extended = self.ledger().extend(grant, self.clock.now());
        extended.inspect_err(|over| self.metrics.count(&over.whose, Outcome::stopped))
    }

    fn settle(&self, grant: Grant, tokens: u64) {
        self.ledger().settle(grant, tokens, self.clock.now());
        self.spent.notify_one();
    }

    /// Writes down what is spent. Returns the day of it.
    async fn write(&self) -> Result<String, StoreError> {
        let (date, spent) = self.ledger().take_unwritten();
        if !spent.is_empty() {
            let written = self.spending.remember_spent(date.clone(), spent.clone()).await;
            written.inspect_err(|_| self.ledger().put_back(&date, spent))?;
        }
        Ok(date)
    }

    /// Forgets what was spent long ago.
    async fn forget(&self) -> Result<(), StoreError> {
        let date = self.ledger().day().date_before(KEPT_DAYS);
        while self.spending.forget_spent(date.clone(), BATCH).await? == BATCH {}
        Ok(())
    }

    /// Shows operators how the budgets stand, and returns when the day ends.
    fn show(&self) -> Option<Millis> {
        let mut ledger = self.ledger();
        let sheet = ledger.sheet(self.clock.now());
        let limits = ledger.limits();
        let named = sheet.balances.iter().filter(|balance| limits.names(&balance.whose));
        named.for_each(|balance| self.metrics.show(balance));
        sheet.day.map(|day| day.ends_at)
    }

    /// Whether no budget of the operator has to be kept.
    fn is_empty(&self) -> bool {
        self.ledger().limits().is_empty()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the books of the budgets, until the last attempt has ended.
pub(crate) async fn serve(shared: Arc<Shared>) {
    let inner = Arc::clone(&shared.parts.budgets.0);
    if inner.is_empty() {
        return;
    }
    let mut tidied = String::new();
    loop {
        let pause = match keep(&inner, &mut tidied).await {
            Ok(()) => until(inner.show(), inner.clock.now()),
            Err(error) => {
                error!(error = %Causes(&error), "what was spent of the token budgets could not be written down; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            biased;
            () = shared.closing.cancelled() => break,
            () = inner.spent.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        // Others will spend as well.
        if tokio::time::timeout(BEHIND, shared.closing.cancelled()).await.is_ok() {
            break;
        }
    }
    if let Err(error) = inner.write().await {
        error!(error = %Causes(&error), "what was spent last of the token budgets was not written down");
    }
}

/// Writes down what is spent; once a day it tidies up, too.
async fn keep(inner: &Inner, tidied: &mut String) -> Result<(), StoreError> {
    let date = inner.write().await?;
    if *tidied != date {
        inner.forget().await?;
        *tidied = date;
    }
    Ok(())
}
