//! One token, to see whether Ollama still answers: `/api/tags` does when no runner works any more.

use std::time::Duration;

use roughneck_jobs::clock::Millis;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    breaker::{Pulse, Sign, Why},
    broken::Broken,
    lane::Shared,
    metrics::PulseOutcome,
    queue::Turn,
    report::{FOR_EVER, Running},
    request,
};

/// After this people have left.
const PATIENCE_MAX: Duration = Duration::from_secs(60);
/// How much longer than the first tokens of late one may take: theirs were behind whole prompts.
const PATIENCE_FACTOR: u32 = 3;

/// How long a first token may take before it means something, where lately it took so long: `min` at least.
pub(crate) fn patience(min: Duration, first_token: Option<Duration>) -> Duration {
    let usual = first_token.unwrap_or_default().saturating_mul(PATIENCE_FACTOR);
    usual.min(PATIENCE_MAX).max(min)
}

/// Feels for the pulse of what is loaded. It loads nothing, and the model stays for as long as it would have.
pub(crate) async fn feel(shared: &Shared, turn: &mut Turn) -> Pulse {
    let running = match shared.inventory.running().await {
        Ok(running) => running,
        Err(error) => {
            shared.unanswered(&error);
            return missing(&error.into()).map_or(Pulse::Unasked, Pulse::Missing);
        }
    };
    let loaded = running.iter().map(|running| running.loaded.clone()).collect();
    turn.residency().observe(loaded, Instant::now());
    let Some(model) = running.iter().find(|model| shared.inventory.can_chat(&model.loaded)) else {
        return Pulse::Unasked;
    };
    ask(shared, turn, model).await
}

async fn ask(shared: &Shared, turn: &mut Turn, model: &Running) -> Pulse {
    let body = request::one_token(
        &model.loaded.model,
        &turn.residency().key_of(&model.loaded),
        keep_alive(model, shared.clock.now()),
    );
    let patience = patience(shared.config.pulse_min, turn.residency().first_token());
    let asked_at = Instant::now();
    turn.asks();
    let answer = async {
        let response = shared.client.post("/api/generate", body?).await?;
        response.finish().await.map_err(|cut| Broken::cut(&cut))
    };
    let (outcome, pulse) = match tokio::time::timeout(patience, answer).await {
        Ok(Ok(())) => {
            turn.went_well();
            (PulseOutcome::Answered, Pulse::Felt)
        }
        Ok(Err(broken)) => {
            turn.went_wrong(&broken);
            // Where the model is gone, or Ollama has too much to do, there is no pulse and none is missing.
            let pulse = missing(&broken).map_or(Pulse::Unasked, Pulse::Missing);
            (PulseOutcome::Failed, pulse)
        }
        Err(_elapsed) => {
            turn.went_wrong(&Broken::silent(patience));
            let why = format!(
                "it accepts connections and does not answer: not one token within {patience:?}"
            );
            (PulseOutcome::Silent, Pulse::Missing(Why::Ill(why)))
        }
    };
    shared.metrics.upstream.pulse(outcome, asked_at.elapsed());
    pulse
}

/// What is wrong with an Ollama that answers like this, if it is its own fault.
fn missing(broken: &Broken) -> Option<Why> {
    match broken.sign() {
        Sign::Away(why) => Some(Why::Away(why)),
        Sign::Failed(failure) => Some(Why::Ill(failure.why())),
        Sign::Well | Sign::Left | Sign::None => None,
    }
}

/// What keeps the model for as long as it would have stayed: Ollama goes by the last request.
fn keep_alive(model: &Running, now: Millis) -> Option<Value> {
    let left = model.left(now)?;
    Some(if left >= FOR_EVER { (-1).into() } else { format!("{}s", left.as_secs().max(1)).into() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pulse_is_waited_for_longer_where_first_tokens_take_long() {
        let seconds = |first| {
            let first: Option<u64> = first;
            let first = first.map(Duration::from_secs);
            patience(Duration::from_secs(10), first).as_secs()
        };
        assert_eq!([None, Some(1), Some(8), Some(60)].map(seconds), [10, 10, 24, 60]);
    }

    #[test]
    fn a_pulse_leaves_the_model_as_long_as_it_would_have_stayed() {
        let now = Millis(1_800_000_000_000);
        let expiring = |at: &str| -> Running {
            serde_json::from_value(json!({"name": "m", "digest": "d", "expires_at": at})).unwrap()
        };
        for (expires_at, keep) in [
            ("2027-01-15T08:05:00.7Z", Some(json!("300s"))),
            ("2027-01-15T07:00:00Z", Some(json!("1s"))),
            ("2319-01-15T07:00:00Z", Some(json!(-1))),
            ("", None),
        ] {
            assert_eq!(keep_alive(&expiring(expires_at), now), keep, "{expires_at}");
        }
    }
}
