//! What a call cost: Ollama's figures and the host's clock, put together.

use std::time::Duration;

use roughneck_jobs::usage::Usage;
use serde::Deserialize;

/// The figures of the last line. Ollama leaves out what is zero, and prompts that it had cached
/// before 0.30.1. Durations are nanoseconds; Go's integers are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Figures {
    pub(crate) total_duration: i64,
    pub(crate) load_duration: i64,
    pub(crate) prompt_eval_count: i64,
    /// Told since 0.33.1 or so.
    pub(crate) prompt_eval_cached_count: Option<i64>,
    pub(crate) prompt_eval_duration: i64,
    pub(crate) eval_count: i64,
    pub(crate) eval_duration: i64,
}

impl Figures {
    /// Takes what `later` knows; some surfaces tell the tokens of the prompt first and the others last.
    pub(crate) fn merge(&mut self, later: &Self) {
        let take = |own: &mut i64, later: i64| {
            if later != 0 {
                *own = later;
            }
        };
        take(&mut self.total_duration, later.total_duration);
        take(&mut self.load_duration, later.load_duration);
        take(&mut self.prompt_eval_count, later.prompt_eval_count);
        self.prompt_eval_cached_count =
            later.prompt_eval_cached_count.or(self.prompt_eval_cached_count);
        take(&mut self.prompt_eval_duration, later.prompt_eval_duration);
        take(&mut self.eval_count, later.eval_count);
        take(&mut self.eval_duration, later.eval_duration);
    }

    /// Puts the host's clock where Ollama tells no time, as on OpenAI's routes: until the first token the
    /// prompt was read, and from then to the last one there was generated.
    pub(crate) fn fill_in(&mut self, first_token: Duration, last_token: Duration) {
        if self.total_duration == 0 && self.eval_count > 0 {
            let ns = |duration| i64::try_from(nanoseconds(duration)).unwrap_or(i64::MAX);
            self.prompt_eval_duration = ns(first_token);
            self.eval_duration = ns(last_token.saturating_sub(first_token));
        }
    }
}

/// What the host measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Waiting for the lane.
    pub(crate) queue: Duration,
    /// The load that this call had to wait for, if there was one.
    pub(crate) load: Option<Duration>,
    /// From dispatch to the first visible piece.
    pub(crate) first_token: Option<Duration>,
    /// Pieces of earlier tries, which gave way to urgent calls.
    pub(crate) wasted_tokens: u64,
    /// Whether Ollama may generate twice for it, and account for one time only: so it does where a model
    /// that thinks has to give its answer a form.
    pub(crate) two_passes: bool,
}

/// The cost of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// What the job is told.
    pub(crate) usage: Usage,
    /// Time inside Ollama that no stage accounts for, in nanoseconds. Near zero with one call in
    /// flight; more means that somebody else uses the same Ollama.
    pub(crate) residual_ns: u64,
    /// How long of that it must have waited for somebody else's call.
    pub(crate) hidden_wait: Duration,
    /// Tokens of the prompt that Ollama had read before, as far as it tells.
    pub(crate) cached_tokens: u64,
    /// Whether it is known how many tokens of the prompt were read: Ollama says so, or the model had just
    /// been loaded, so that it remembered nothing.
    is_prefill_known: bool,
}

impl Cost {
    /// Tokens of the prompt that were read per second. Where it is not known how many were cached, the
    /// figure could be a thousand times too high, and there is none.
    pub(crate) fn prefill_per_second(&self) -> Option<f64> {
        let read = self.usage.input_tokens.saturating_sub(self.cached_tokens);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people, not a sum")]
        let rate = read as f64 / (self.usage.prompt_ns as f64 / 1e9);
        (self.is_prefill_known && read > 0 && self.usage.prompt_ns > 0).then_some(rate)
    }
}

/// Puts both together.
pub(crate) fn cost(figures: &Figures, measured: &Measured) -> Cost {
    let load_in_call_ns = positive(figures.load_duration);
    let prompt_ns = positive(figures.prompt_eval_duration);
    let generate_ns = positive(figures.eval_duration);
    let accounted_ns = load_in_call_ns.saturating_add(prompt_ns).saturating_add(generate_ns);
    let residual_ns = positive(figures.total_duration).saturating_sub(accounted_ns);
    Cost {
        usage: Usage {
            calls: 1,
            input_tokens: positive(figures.prompt_eval_count),
            output_tokens: positive(figures.eval_count),
            queue_ns: nanoseconds(measured.queue),
            // After the host's own load Ollama still reports the milliseconds it took to find the
            // model loaded; the wall time of the load is the figure that counts, once.
            load_ns: measured.load.map_or(load_in_call_ns, nanoseconds),
            prompt_ns,
            generate_ns,
            first_token_ns: measured.first_token.map_or(0, nanoseconds),
            wasted_tokens: measured.wasted_tokens,
        },
        residual_ns,
        // Where nothing is accounted for, as for an embedding, the rest is the work itself.
        hidden_wait: if measured.two_passes || generate_ns == 0 {
            Duration::ZERO
        } else {
            Duration::from_nanos(residual_ns)
        },
        cached_tokens: figures.prompt_eval_cached_count.map_or(0, positive),
        is_prefill_known: figures.prompt_eval_cached_count.is_some() || measured.load.is_some(),
    }
}

/// A duration as the job's cost counts it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn positive(figure: i64) -> u64 {
    u64::try_from(figure).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(json: &str) -> Figures {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_last_line_becomes_the_cost() {
        let last = figures(
            r#"{"done":true,"total_duration":1000,"load_duration":100,"prompt_eval_count":26,
                "prompt_eval_duration":200,"eval_count":10,"eval_duration":600}"#,
        );
        let measured = Measured {
            queue: Duration::from_nanos(7),
            load: None,
            first_token: Some(Duration::from_nanos(350)),
            wasted_tokens: 5,
            two_passes: false,
        };
        let usage = Usage {
            calls: 1,
            input_tokens: 26,
            output_tokens: 10,
            queue_ns: 7,
            load_ns: 100,
            prompt_ns: 200,
            generate_ns: 600,
            first_token_ns: 350,
            wasted_tokens: 5,
        };
        let cost = cost(&last, &measured);
        assert_eq!((cost.usage, cost.residual_ns, cost.cached_tokens), (usage, 100, 0));
        assert_eq!(cost.prefill_per_second(), None, "some of it may have been cached");
    }

    #[test]
    fn only_what_nothing_else_explains_was_a_wait_for_somebody_else() {
        let wait = |figures: &str, two_passes| {
            let measured = Measured { two_passes, ..Measured::default() };
            cost(&self::figures(figures), &measured).hidden_wait.as_nanos()
        };
        let answer = r#"{"total_duration":900,"load_duration":100,"eval_duration":300}"#;
        assert_eq!(wait(answer, false), 500);
        assert_eq!(wait(answer, true), 0);
        assert_eq!(wait(r#"{"total_duration":900,"load_duration":100}"#, false), 0, "an embedding");
    }

    #[test]
    fn the_speed_of_reading_counts_what_was_read() {
        let told = figures(
            r#"{"prompt_eval_count":30,"prompt_eval_cached_count":10,"prompt_eval_duration":2000000000}"#,
        );
        assert_eq!(cost(&told, &Measured::default()).prefill_per_second(), Some(10.0));
        let fresh = Measured { load: Some(Duration::from_secs(1)), ..Measured::default() };
        let untold = figures(r#"{"prompt_eval_count":30,"prompt_eval_duration":2000000000}"#);
        assert_eq!(cost(&untold, &fresh).prefill_per_second(), Some(15.0));
    }

    #[test]
    fn a_load_by_the_host_is_not_counted_twice() {
        let last = figures(r#"{"total_duration":90,"load_duration":40}"#);
        let measured = Measured { load: Some(Duration::from_secs(2)), ..Measured::default() };
        let cost = cost(&last, &measured);
        assert_eq!((cost.usage.load_ns, cost.residual_ns), (2_000_000_000, 50));
    }

    #[test]
    fn figures_that_are_absent_or_absurd_are_zero() {
        for last in ["{}", r#"{"eval_count":-1,"load_duration":-5,"total_duration":-9}"#] {
            let cost = cost(&figures(last), &Measured::default());
            let nothing = Usage { calls: 1, ..Usage::default() };
            assert_eq!((cost.usage, cost.residual_ns), (nothing, 0), "{last}");
        }
    }
}
