//! Faults that can be switched on and off while the simulator runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::lock::locked;

/// Slower than any test waits for, and what it makes of a load is still a time that can be slept.
const SLOWDOWN_MAX: f64 = 1e6;

/// A handle to the fault switches. Clones switch the same server.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    switches: Arc<Mutex<Switches>>,
}

#[derive(Debug)]
struct Switches {
    hang: bool,
    mute: bool,
    refuse: bool,
    gather: bool,
    drip: Option<&'static str>,
    forbid_creation: bool,
    forbid_show: bool,
    mute_show: bool,
    forget: bool,
    page: Option<Page>,
    errors_left: u32,
    broken: BTreeSet<String>,
    slowdown: f64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            hang: false,
            mute: false,
            refuse: false,
            gather: false,
            drip: None,
            forbid_creation: false,
            forbid_show: false,
            mute_show: false,
            forget: false,
            page: None,
            errors_left: 0,
            broken: BTreeSet::new(),
            slowdown: 1.0,
        }
    }
}

/// What something answers that stands before Ollama, and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub r#type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// What a fault does to a request for work (generate, chat, embed and their `/v1` forms).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing, as when the runner hangs.
    Mute,
    /// 503, as when `OLLAMA_MAX_QUEUE` is reached.
    Refuse,
    /// 500, as when the runner died.
    Error,
    /// What somebody else answers.
    Page(Page),
}

impl Faults {
    /// While on, requests to every route are accepted and read, and never answered: not even after it is off again.
    pub fn hang(&self, on: bool) {
        locked(&self.switches).hang = on;
    }

    /// While on, work is accepted and never answered: not even after it is off again. Inventory routes still answer, as
    /// they do when a machine has slept and its runner hangs.
    pub fn mute(&self, on: bool) {
        locked(&self.switches).mute = on;
    }

    /// While on, work is refused with 503 and Ollama's queue-full body. Inventory routes still answer.
    pub fn refuse(&self, on: bool) {
        locked(&self.switches).refuse = on;
    }

    /// While on, all pieces of a stream leave in one, as they may arrive from a network that is busy.
    pub fn gather(&self, on: bool) {
        locked(&self.switches).gather = on;
    }

    /// While there is one, a stream is this piece again and again, and nothing else, without end.
    pub fn drip(&self, piece: Option<&'static str>) {
        locked(&self.switches).drip = piece;
    }

    /// While on, no model is made of anything: 500, as when the disk is full.
    pub fn forbid_creation(&self, on: bool) {
        locked(&self.switches).forbid_creation = on;
    }

    /// While on, no model is shown: 500, as when its file cannot be read.
    pub fn forbid_show(&self, on: bool) {
        locked(&self.switches).forbid_show = on;
    }

    /// While on, whoever asks for a model to be shown gets no answer: not even after it is off again.
    pub fn mute_show(&self, on: bool) {
        locked(&self.switches).mute_show = on;
    }

    /// While on, what is made of a model has none of its parameters.
    pub fn forget(&self, on: bool) {
        locked(&self.switches).forget = on;
    }

    /// While there is one, requests for work get this page, as from a proxy that wants a login first.
    pub fn intercept(&self, page: Option<Page>) {
        locked(&self.switches).page = page;
    }

    /// The next `count` requests for work get a 500.
    pub fn fail_next(&self, count: u32) {
        locked(&self.switches).errors_left = count;
    }

    /// While on, the runner of this model dies when it is loaded: its calls get a 500, and no model is loaded then.
    pub fn break_model(&self, name: &str, on: bool) {
        let broken = &mut locked(&self.switches).broken;
        if on {
            broken.insert(name.to_owned());
        } else {
            broken.remove(name);
        }
    }

    /// Loading, prompts and tokens take `factor` times as long; 1 is normal. Anything that is no positive, finite
    /// number counts as 1, and more than a million as a million.
    pub fn slow(&self, factor: f64) {
        let sane = factor.is_finite() && factor > 0.0;
        locked(&self.switches).slowdown = if sane { factor.min(SLOWDOWN_MAX) } else { 1.0 };
    }

    pub(super) fn breaks(&self, model: &str) -> bool {
        locked(&self.switches).broken.contains(model)
    }

    pub(super) fn hangs(&self) -> bool {
        locked(&self.switches).hang
    }

    pub(super) fn gathers(&self) -> bool {
        locked(&self.switches).gather
    }

    pub(super) fn drips(&self) -> Option<&'static str> {
        locked(&self.switches).drip
    }

    pub(super) fn forbids_creation(&self) -> bool {
        locked(&self.switches).forbid_creation
    }

    pub(super) fn forbids_show(&self) -> bool {
        locked(&self.switches).forbid_show
    }

    pub(super) fn mutes_show(&self) -> bool {
        locked(&self.switches).mute_show
    }

    pub(super) fn forgets(&self) -> bool {
        locked(&self.switches).forget
    }

    pub(super) fn slowdown(&self) -> f64 {
        locked(&self.switches).slowdown
    }

    /// What happens to the request for work that has just arrived. Uses up one of the counted errors.
    pub(super) fn strike(&self) -> Option<Fault> {
        let mut switches = locked(&self.switches);
        if switches.mute {
            return Some(Fault::Mute);
        }
        if switches.refuse {
            return Some(Fault::Refuse);
        }
        if let Some(page) = switches.page {
            return Some(Fault::Page(page));
        }
        switches.errors_left = switches.errors_left.checked_sub(1)?;
        Some(Fault::Error)
    }
}
