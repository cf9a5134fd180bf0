//! What a plugin implements, and how it becomes a component.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::exports::roughneck::plugin::job::Guest;
use crate::{Failure, panic};

/// A plugin whose input and result are typed JSON.
pub trait Job {
    /// What a submission holds. A submission that does not fit fails with code `invalid-input`.
    type Input: DeserializeOwned;
    /// The result that is kept with the job.
    type Output: Serialize;

    /// Runs one attempt of a job of `kind`, which is one of the manifest's kinds.
    ///
    /// # Errors
    /// A [`Failure`] says whether the host tries again.
    fn run(kind: &str, input: Self::Input) -> Result<Self::Output, Failure>;
}

/// A plugin that reads and writes the JSON itself. Every [`Job`] is one.
pub trait RawJob {
    /// Runs one attempt; `input` and the result are JSON.
    ///
    /// # Errors
    /// A [`Failure`] says whether the host tries again.
    fn run(kind: &str, input: &[u8]) -> Result<Vec<u8>, Failure>;
}

impl<J: Job> RawJob for J {
    fn run(kind: &str, input: &[u8]) -> Result<Vec<u8>, Failure> {
        let input = parse(kind, input)?;
        let output = <J as Job>::run(kind, input)?;
        serde_json::to_vec(&output).map_err(|error| {
            Failure::fail(
                "unwritable-output",
                format!("The result cannot be written as JSON: {error}."),
            )
        })
    }
}

fn parse<T: DeserializeOwned>(kind: &str, input: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(input).map_err(|error| {
        Failure::invalid_input(format!("The input does not fit the kind `{kind}`: {error}."))
    })
}

/// The component's export, for [`export!`](crate::export) only.
#[doc(hidden)]
#[derive(Debug)]
pub struct Component<J>(PhantomData<J>);

impl<J: RawJob> Guest for Component<J> {
    fn run(kind: String, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        panic::report_to_log();
        J::run(&kind, &input)
    }
}

/// Makes a type that is a [`Job`](crate::Job) or a [`RawJob`](crate::RawJob) the export of the
/// component. Call it once, in `lib.rs`.
///
/// Natively it exports nothing, so that unit tests link, but still checks the type.
#[macro_export]
macro_rules! export {
    ($job:ty) => {
        const _: () = {
            const fn is_a_job<J: $crate::RawJob>() {}
            is_a_job::<$job>();
            #[cfg(target_family = "wasm")]
            type Component = $crate::job::Component<$job>;
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::RawJob;
    use crate::{Disposition, Failure, Job};

    #[derive(Deserialize)]
    struct Input {
        number: u32,
    }

    #[derive(Serialize)]
    struct Output {
        doubled: u32,
    }

    struct Double;

    impl Job for Double {
        type Input = Input;
        type Output = Output;

        fn run(_kind: &str, input: Input) -> Result<Output, Failure> {
            Ok(Output { doubled: input.number * 2 })
        }
    }

    crate::export!(Double);

    #[test]
    fn a_typed_job_reads_and_writes_json() {
        let output = <Double as RawJob>::run("double", br#"{"number":21}"#).unwrap();
        assert_eq!(output, br#"{"doubled":42}"#);
    }

    #[test]
    fn an_input_of_another_shape_fails_for_good_and_says_where() {
        let failure = <Double as RawJob>::run("double", br#"{"number":"x"}"#).unwrap_err();
        assert_eq!(failure.disposition, Disposition::Fail);
        assert_eq!(failure.code, "invalid-input");
        assert!(
            failure.message.starts_with("The input does not fit the kind `double`: invalid type"),
            "{}",
            failure.message
        );
        assert!(failure.message.contains("column"), "{}", failure.message);
    }
}
