//! `GET /budgets`: who may use how many tokens a day, and how much of it is left.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use roughneck_jobs::budget::{Balance, Sheet};
use serde::Serialize;

use crate::{App, query::NoParameters};

#[derive(Serialize)]
struct Answer {
    /// The day that is counted, as `2026-11-29`; null if the operator has set no budget.
    day: Option<String>,
    /// When the next one begins, with nothing used.
    resets_at: Option<String>,
    /// What one job may use.
    job_limit: Option<u64>,
    budgets: Vec<BudgetView>,
}

#[derive(Serialize)]
struct BudgetView {
    /// `kind` or `caller`.
    scope: &'static str,
    /// Which one.
    subject: String,
    /// Tokens a day.
    limit: u64,
    spent: u64,
    /// What calls that are under way may still use.
    reserved: u64,
    remaining: u64,
}

impl BudgetView {
    fn of(balance: &Balance) -> Self {
        let Balance { whose, limit, spent, reserved } = balance;
        Self {
            scope: whose.scope(),
            subject: whose.subject().to_owned(),
            limit: *limit,
            spent: *spent,
            reserved: *reserved,
            remaining: balance.remaining(),
        }
    }
}

pub(crate) async fn list_budgets(
    _: NoParameters,
    State(app): State<Arc<App>>,
) -> impl IntoResponse {
    let Sheet { day, job_max, balances } = app.ports.budgets.sheet();
    Json(Answer {
        resets_at: day.as_ref().map(|day| day.ends_at.to_string()),
        day: day.map(|day| day.date),
        job_limit: job_max,
        budgets: balances.iter().map(BudgetView::of).collect(),
    })
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::{
        budget::{Balance, Day, Sheet, Whose},
        clock::Millis,
    };
    use serde_json::json;

    use crate::testing::{Host, json};

    #[tokio::test]
    async fn each_budget_is_shown_with_what_is_left_of_it_and_when_it_is_renewed() {
        let host = Host::new();
        let balance = |whose| Balance { whose, limit: 100, spent: 70, reserved: 20 };
        *host.fakes.budgets.sheet.lock().unwrap() = Sheet {
            day: Some(Day {
                date: "1970-01-01".to_owned(),
                begins_at: Millis(0),
                ends_at: Millis(86_400_000),
            }),
            job_max: Some(9),
            balances: vec![
                balance(Whose::Kind("draft".to_owned())),
                balance(Whose::Caller("alice".to_owned())),
            ],
        };
        let shown = json(host.get("/budgets").await).await;
        let view = |scope, subject| json!({"scope": scope, "subject": subject, "limit": 100, "spent": 70, "reserved": 20, "remaining": 10});
        assert_eq!(
            shown,
            json!({"day": "1970-01-01", "resets_at": "1970-01-02T00:00:00.000Z", "job_limit": 9,
                   "budgets": [view("kind", "draft"), view("caller", "alice")]})
        );
    }

    #[tokio::test]
    async fn a_host_without_budgets_says_so() {
        let shown = json(Host::new().get("/budgets").await).await;
        assert_eq!(
            shown,
            json!({"day": null, "resets_at": null, "job_limit": null, "budgets": []})
        );
    }
}
