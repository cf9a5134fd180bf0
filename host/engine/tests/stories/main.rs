//! The engine's stories, told on a store in memory and a clock that is moved by hand.

#[cfg(test)]
mod attended;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod children;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod frozen;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod world;
