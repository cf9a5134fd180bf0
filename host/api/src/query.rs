//! Query strings, strictly: an unknown parameter is a mistake that a list would hide.

use axum::{
    extract::{FromRequestParts, Query},
    http::{Uri, request::Parts},
};
use roughneck_jobs::strict::nearest;

use crate::{code::Code, problem::Problem};

/// The parameters of a query, each of them known and given once.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query of `uri`.
    ///
    /// # Errors
    /// [`Code::InvalidQuery`] names the parameter that is not in `known`, or is there twice.
    pub(crate) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|rejection| Problem::new(Code::InvalidQuery, rejection.body_text()))?;
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown(name, known));
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(invalid(&format!("`{name}` is given twice")));
            }
        }
        Ok(Self(pairs))
    }

    /// The text of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The parameter `limit`, from 1 to `max`.
    ///
    /// # Errors
    /// [`Code::InvalidQuery`].
    pub(crate) fn limit(&self, default: u32, max: u32) -> Result<u32, Problem> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=max).contains(limit));
        limit.ok_or_else(|| invalid(&format!("`limit` must be a number from 1 to {max}")))
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// [`Code::InvalidQuery`] with the parser's sentence.
    pub(crate) fn parse<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| invalid(&format!("`{name}`: {error}")))
    }
}

/// The query of what takes no parameters.
pub(crate) struct NoParameters;

impl<S: Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Parameters::read(&parts.uri, &[]).map(|_| Self)
    }
}

/// A parameter that cannot be used.
pub(crate) fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidQuery, detail)
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let name: String = name.chars().take(64).collect();
    if known.is_empty() {
        return invalid(&format!("unknown parameter `{name}`; there are none here"));
    }
    match nearest(&name, known.iter().copied()) {
        Some(right) => invalid(&format!("unknown parameter `{name}`; did you mean `{right}`?")),
        None => invalid(&format!("unknown parameter `{name}`; known here: {}", known.join(", "))),
    }
}

/// `text` as the value of a query parameter.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, a_job, json};

    #[test]
    fn what_is_encoded_reads_back() {
        let uri: Uri = format!("/jobs?kind={}", encode("a b&c=ü%")).parse().unwrap();
        assert_eq!(Parameters::read(&uri, &["kind"]).unwrap().get("kind"), Some("a b&c=ü%"));
    }

    #[tokio::test]
    async fn a_list_without_parameters_takes_none() {
        let host = Host::new();
        let job = a_job();
        host.fakes.store.put(job.clone());
        let artifacts = format!("/jobs/{}/artifacts", job.id);
        for path in ["/schedules", "/plugins", "/classes", "/kinds", "/budgets", &artifacts] {
            assert_eq!(host.get(path).await.status(), 200, "{path}");
            let problem = json(host.get(&format!("{path}?limit=1")).await).await;
            assert_eq!(
                problem["detail"], "unknown parameter `limit`; there are none here",
                "{path}"
            );
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        let detail = |query: &str| {
            let uri: Uri = format!("/jobs?{query}").parse().unwrap();
            Parameters::read(&uri, &["state", "limit"]).err().unwrap().failed().detail
        };
        assert_eq!(detail("stat=done"), "unknown parameter `stat`; did you mean `state`?");
        assert_eq!(detail("page=2"), "unknown parameter `page`; known here: state, limit");
        assert_eq!(detail("limit=1&limit=2"), "`limit` is given twice");
    }
}
