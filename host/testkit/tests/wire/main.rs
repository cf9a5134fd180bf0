//! The stand-ins as a client sees them: over real sockets, down to the bytes.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod client;
#[cfg(test)]
mod cloud;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod logprobs;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod prompts;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod scheduling;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod structured;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod webhooks;
