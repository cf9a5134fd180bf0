//! What model calls cost, for readers.

use roughneck_jobs::usage::Usage;
use serde::Serialize;

/// [`Usage`] in milliseconds, with the rate that people compare.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct UsageView {
    calls: u32,
    input_tokens: u64,
    output_tokens: u64,
    /// Estimated, of answers that gave way to an urgent call and were begun anew.
    wasted_tokens: u64,
    tokens_per_second: Option<f64>,
    queue_ms: u64,
    load_ms: u64,
    prompt_ms: u64,
    generate_ms: u64,
    /// None while no text came.
    first_token_ms: Option<u64>,
}

impl From<&Usage> for UsageView {
    fn from(usage: &Usage) -> Self {
        let ms = |ns: u64| ns.saturating_add(500_000) / 1_000_000;
        Self {
            calls: usage.calls,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            wasted_tokens: usage.wasted_tokens,
            tokens_per_second: usage.tokens_per_second().map(|rate| (rate * 100.0).round() / 100.0),
            queue_ms: ms(usage.queue_ns),
            load_ms: ms(usage.load_ns),
            prompt_ms: ms(usage.prompt_ns),
            generate_ms: ms(usage.generate_ns),
            first_token_ms: (usage.first_token_ns > 0).then(|| ms(usage.first_token_ns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_to_milliseconds_and_the_rate_to_hundredths() {
        let usage = Usage {
            calls: 1,
            output_tokens: 10,
            generate_ns: 300_000_000,
            load_ns: 1_499_999,
            prompt_ns: 1_500_000,
            ..Usage::default()
        };
        let view = UsageView::from(&usage);
        assert_eq!(view.tokens_per_second, Some(33.33));
        assert_eq!((view.load_ms, view.prompt_ms, view.first_token_ms), (1, 2, None));
    }
}
