//! The pure domain of Roughneck and the ports through which it meets the world.
//!
//! What it does: says what a job is, which moves its state allows ([`lifecycle`]) and what they leave behind ([`step`]), when a failed
//! one runs again ([`retry`]), when a job must be over ([`deadline`]), what is written of one that was over before it was ([`past`]), what goes first ([`priority`],
//! [`preference`]), which jobs wait for which ([`flow`], [`child`]),
//! what JSON is taken from others ([`json`]), what must wait although there is room ([`pause`], [`rate`], [`input_key`], [`guard`]), when the host
//! is full ([`mark`]), who has tokens left ([`budget`]) and on whose account a job goes ([`caller`]), what a plugin asks for ([`manifest`]) and may have ([`grant`]), when a schedule
//! fires ([`schedule`]), and how a webhook is signed ([`signature`]).
//!
//! What it deliberately does not: no IO, no clock, no randomness, no async runtime. Time and dice
//! are arguments; everything else is a trait in [`ports`].
//!
//! To add a state, start in [`state`] and let the compiler walk you through [`lifecycle`]. To add
//! something the host must provide, add a trait to [`ports`] and implement it in one sibling crate.

#[cfg(not(unix))]
compile_error!("a host of Roughneck needs Unix: it is meant for Linux and macOS");

pub mod address;
pub mod budget;
pub mod caller;
pub mod causes;
pub mod child;
pub mod class;
pub mod clip;
pub mod clock;
pub mod deadline;
pub mod delivery;
pub mod event;
pub mod failure;
pub mod finish;
pub mod flow;
pub mod grant;
pub mod guard;
pub mod id;
pub mod input_key;
pub mod intake;
pub mod job;
pub mod json;
pub mod lifecycle;
pub mod manifest;
pub mod mark;
pub mod model;
pub mod name;
pub mod past;
pub mod pause;
mod pointer;
pub mod ports;
pub mod preference;
pub mod priority;
pub mod rate;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod signature;
pub mod state;
pub mod step;
pub mod strict;
pub mod usage;
