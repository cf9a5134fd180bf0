//! Flows, as the client submits them.

use std::sync::Arc;

use roughneck_jobs::{
    flow::{
        NewFlow,
        plan::{self, FlowSubmission},
    },
    ports::{
        catalog::{Catalog as _, Served},
        flows::Flows as _,
        store::StoreError,
    },
};
use serde_json::{Value, json};

use super::Host;
use crate::{script::FlowWish, story::Failed};

/// The inputs of its jobs are told from those of other jobs by numbers from here on.
const NUMBERS_FROM: usize = 1_000;

impl Host {
    pub(super) fn accept_flow(&self, n: usize, wish: &FlowWish) -> Result<NewFlow, Failed> {
        let jobs: Vec<Value> = wish
            .iter()
            .enumerate()
            .map(|(place, (wish, needs))| {
                let mut body = self.body(NUMBERS_FROM + n * 10 + place, wish);
                let need = |(needed, rule): &(usize, _)| {
                    json!({ "job": format!("j{needed}"), "on_failure": rule })
                };
                if let Some(body) = body.as_object_mut() {
                    body.insert("name".to_owned(), format!("j{place}").into());
                    body.insert("needs".to_owned(), needs.iter().map(need).collect());
                }
                body
            })
            .collect();
        let body = json!({ "jobs": jobs }).to_string();
        let wrong = |why: String| Failed::Script(format!("{body}: {why}"));
        let submission: FlowSubmission =
            serde_json::from_str(&body).map_err(|error| wrong(error.to_string()))?;
        let plan = plan::plan(submission).map_err(|error| wrong(error.to_string()))?;
        let kinds = plan.jobs().iter().map(|job| self.actors.served(&job.submission.kind));
        let served: Option<Vec<Arc<Served>>> = kinds.collect();
        let served = served.ok_or_else(|| wrong("no such kind".to_owned()))?;
        plan.accept(&served, &*self.time, &*self.time).map_err(|error| wrong(error.to_string()))
    }

    /// Submits a flow until it is answered.
    pub(super) async fn submit_flow(&self, flow: NewFlow) {
        loop {
            match self.store.submit_flow(flow.clone()).await {
                // Some of its jobs are kept without their flow: it is another one now.
                Ok(_) | Err(StoreError::JobExists(_)) => return,
                Err(_) => self.time.pass(1_000).await,
            }
        }
    }
}
