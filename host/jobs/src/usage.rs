//! What the language model calls of a job cost.

/// Sums over the calls of one job or attempt. Durations are Ollama's own, in nanoseconds, except
/// `queue_ns` and `first_token_ns`, which the host measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Calls that ended with statistics.
    pub calls: u32,
    /// Tokens of the prompts.
    pub input_tokens: u64,
    /// Tokens generated, thinking and the end mark included.
    pub output_tokens: u64,
    /// Waiting for the lane.
    pub queue_ns: u64,
    /// Loading models.
    pub load_ns: u64,
    /// Reading the prompts.
    pub prompt_ns: u64,
    /// Generating.
    pub generate_ns: u64,
    /// From dispatch to the first visible token, of the first call; 0 when none came.
    pub first_token_ns: u64,
    /// Tokens of answers that gave way to an urgent call and were begun anew, as far as they had come. An
    /// estimate, and not among those that were generated for the job.
    pub wasted_tokens: u64,
}

impl Usage {
    /// Adds the cost of another call.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.queue_ns = self.queue_ns.saturating_add(other.queue_ns);
        self.load_ns = self.load_ns.saturating_add(other.load_ns);
        self.prompt_ns = self.prompt_ns.saturating_add(other.prompt_ns);
        self.generate_ns = self.generate_ns.saturating_add(other.generate_ns);
        self.wasted_tokens = self.wasted_tokens.saturating_add(other.wasted_tokens);
        if self.first_token_ns == 0 {
            self.first_token_ns = other.first_token_ns;
        }
    }

    /// All tokens, read and generated.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Generated tokens per second, as `ollama run --verbose` prints it, or none when fewer than
    /// two tokens or no time make the figure meaningless.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people, not a sum")]
        let rate = self.output_tokens as f64 / (self.generate_ns as f64 / 1e9);
        (self.output_tokens >= 2 && self.generate_ns > 0).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_adds_up_and_keeps_the_first_call_s_first_token() {
        let call = |first_token_ns| Usage {
            calls: 1,
            input_tokens: 10,
            output_tokens: 20,
            generate_ns: 500_000_000,
            wasted_tokens: 3,
            first_token_ns,
            ..Usage::default()
        };
        let mut sum = Usage::default();
        sum.add(&call(7));
        sum.add(&call(9));
        assert_eq!(
            (sum.calls, sum.input_tokens, sum.output_tokens, sum.first_token_ns),
            (2, 20, 40, 7)
        );
        assert_eq!(sum.wasted_tokens, 6, "beside the output");
        assert_eq!(sum.tokens_per_second(), Some(40.0));
        assert_eq!(Usage::default().tokens_per_second(), None);
    }
}
