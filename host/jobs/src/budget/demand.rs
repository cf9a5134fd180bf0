//! How many tokens a call needs at most.

/// Tokens that a template adds to a prompt: the marks of the turns, and a short system prompt of the model's own.
const TEMPLATE_TOKENS: u64 = 64;

/// Tokens of a picture: models with pictures cut them to some hundred or a few thousand.
const PICTURE_TOKENS_MAX: u64 = 4096;

/// The same for a usual one.
const PICTURE_TOKENS: u64 = 1024;

/// Bytes of a usual token, for estimates.
const TOKEN_BYTES: u64 = 4;

/// Fewer tokens are no answer: a call that names no limit does not begin with less.
const ANSWER_LEAST: u64 = 64;

/// What an answer that can be watched reserves at once, and again each time it has used it up.
pub(super) const ANSWER_STEP: u64 = 1024;

/// What an answer reserves that comes in one piece, if it names no limit. It is told to stop there.
const ANSWER_WHOLE: u64 = 4096;

/// What is read before the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Bytes of all of its texts, as UTF-8 or as JSON, which is never shorter.
    pub text_bytes: u64,
    /// How many pictures it has.
    pub pictures: u64,
    /// The context that the model is loaded with, in tokens, if that is known: longer prompts are cut.
    pub context: Option<u64>,
}

impl Prompt {
    /// No more tokens than this: a token is at least a byte.
    #[must_use]
    pub fn tokens_max(&self) -> u64 {
        let pictures = self.pictures.saturating_mul(PICTURE_TOKENS_MAX);
        let tokens = self.text_bytes.saturating_add(pictures).saturating_add(TEMPLATE_TOKENS);
        self.context.map_or(tokens, |context| tokens.min(context))
    }

    /// About so many, where nobody has counted them.
    #[must_use]
    pub fn tokens_about(&self) -> u64 {
        let pictures = self.pictures.saturating_mul(PICTURE_TOKENS);
        (self.text_bytes / TOKEN_BYTES).saturating_add(pictures).min(self.tokens_max())
    }
}

/// How long an answer may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is none: only the prompt is read.
    None,
    /// The caller has named a limit, and gets all of it or nothing.
    Limited(u64),
    /// As long as it likes: it is watched, and stopped when there is no more.
    Watched,
    /// As long as it likes, and nobody sees it before it is whole: it must be given a limit.
    Whole,
}

impl Answer {
    /// The fewest tokens to begin with, and the most to reserve at once.
    pub(super) fn range(self) -> (u64, u64) {
        match self {
            Self::None => (0, 0),
            Self::Limited(tokens) => (tokens, tokens),
            Self::Watched => (ANSWER_LEAST, ANSWER_STEP),
            Self::Whole => (ANSWER_LEAST, ANSWER_WHOLE),
        }
    }
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What is read.
    pub prompt: Prompt,
    /// What is generated.
    pub answer: Answer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_at_most_a_token_for_each_byte_and_no_more_than_its_context() {
        for (text_bytes, pictures, context, most, about) in [
            (0, 0, None, 64, 0),
            (400, 0, None, 464, 100),
            (400, 2, None, 464 + 8192, 100 + 2048),
            (400_000, 0, Some(8192), 8192, 8192),
            (400, 0, Some(8192), 464, 100),
            (u64::MAX, u64::MAX, None, u64::MAX, u64::MAX),
        ] {
            let prompt = Prompt { text_bytes, pictures, context };
            assert_eq!((prompt.tokens_max(), prompt.tokens_about()), (most, about), "{prompt:?}");
        }
    }
}
