//! Write a Roughneck job plugin in Rust.
//!
//! A plugin is a `cdylib` crate with one type that implements [`Job`] and one call of [`export!`]:
//!
//! ```
//! use roughneck_sdk::{Failure, Job, llm};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! pub struct Input {
//!     text: String,
//! }
//!
//! #[derive(Serialize)]
//! pub struct Output {
//!     title: String,
//! }
//!
//! pub struct Headline;
//!
//! impl Job for Headline {
//!     type Input = Input;
//!     type Output = Output;
//!
//!     fn run(_kind: &str, input: Input) -> Result<Output, Failure> {
//!         let chat = llm::chat("default").system("Answer with one headline.").user(&input.text);
//!         let answer = chat.complete()?;
//!         Ok(Output { title: answer.text })
//!     }
//! }
//!
//! roughneck_sdk::export!(Headline);
//! ```
//!
//! Every capability is a module: [`llm`], [`http`], [`kv`], [`callback`], [`children`], and, without a
//! grant, [`context`], [`progress`] and [`log`]. A component imports only what its code really calls, so
//! one SDK serves every world of the contract; the manifest must name what is imported, and the
//! host compares the two.
//!
//! What this crate does not do: no clock, no files, no environment and no threads. A guest gets
//! time and facts from [`context`], and the same source builds for `wasm32-wasip2` and for
//! `wasm32-unknown-unknown`. In native unit tests the host's functions are not there and
//! calling one panics, so keep decisions in functions of their own.
//!
//! To add a capability: add its interface to the WIT, then one module here that turns the generated
//! types into pleasant ones.

pub mod callback;
pub mod children;
pub mod context;
pub mod failure;
pub mod http;
pub mod job;
pub mod kv;
pub mod llm;
pub mod log;
pub mod progress;

#[doc(hidden)]
pub mod bindings;
mod panic;

pub use failure::{Disposition, Failure, HostError};
pub use job::{Job, RawJob};
