//! Log probabilities of tokens. They are made up: always the same for the same token, and always likely.

use serde::Serialize;

use super::request::CallRequest;
use super::words::pieces;

/// How many alternatives a request wants beside each token; none if it wants no log probabilities at all.
pub(super) type Alternatives = Option<usize>;

/// What a request wants.
pub(super) fn wanted(request: &CallRequest) -> Alternatives {
    let top = request.top_logprobs.and_then(|top| usize::try_from(top).ok());
    request.logprobs.unwrap_or(false).then(|| top.unwrap_or(0))
}

#[derive(Debug, Serialize)]
pub(super) struct Logprob {
    #[serde(flatten)]
    chosen: Token,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_logprobs: Vec<Token>,
}

#[derive(Debug, Serialize)]
struct Token {
    token: String,
    logprob: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bytes: Vec<u8>,
}

impl Token {
    fn new(token: &str, place: usize) -> Self {
        let unlikely = 8 * place + token.len() % 8 + 1;
        Self {
            token: token.to_owned(),
            logprob: -(unlikely as f64) / 64.0,
            bytes: token.as_bytes().to_vec(),
        }
    }
}

/// Those of every token of `text`; none if they are not wanted.
pub(super) fn of(text: &str, wanted: Alternatives) -> Vec<Logprob> {
    let Some(alternatives) = wanted else {
        return Vec::new();
    };
    let logprob = |token: &str| Logprob {
        chosen: Token::new(token, 0),
        top_logprobs: (0..alternatives)
            .map(|place| match place {
                0 => Token::new(token, 0),
                _ => Token::new(&format!("{token}~{place}"), place),
            })
            .collect(),
    };
    pieces(text).into_iter().map(logprob).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_one_and_its_alternatives_are_less_likely() {
        let all = of("Hi you", Some(3));
        assert_eq!(all.len(), 2);
        let top = &all[1].top_logprobs;
        assert_eq!((top.len(), top[0].token.as_str()), (3, " you"));
        assert!(top[0].logprob > top[1].logprob && top[1].logprob > top[2].logprob);
        assert!(of("Hi you", None).is_empty());
    }
}
