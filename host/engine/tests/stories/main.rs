//! The engine's stories, told on a store in memory and a clock that is moved by hand.

mod deliveries;
mod jobs;
mod memory;
mod schedules;
mod stopping;
mod world;
