//! The `roughneck` binary: configuration, commands, and the one place that knows every crate.
//!
//! What it does: reads the configuration ([`config`]), puts the parts together ([`commands::serve`]),
//! speaks to a running host ([`client`]), and tells one job's whole story for people who are new
//! ([`demo`]).
//!
//! What it deliberately does not: decide anything about jobs. To add a command, write a file in
//! `commands/` and a line in [`Command`].

mod backup;
mod client;
mod commands;
mod config;
mod demo;
mod exit;
mod host_id;
mod live;
mod logging;
mod native;
mod open_files;
mod pretty;
mod private;
mod signals;
mod signing_secret;
mod span;
mod stamp;
mod strangers;
mod system;
mod table;
mod terminal;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::Exit;

/// Runs AI-heavy background jobs, written as sandboxed WebAssembly plugins, on your own hardware.
#[derive(Debug, Parser)]
#[command(name = "roughneck", version, propagate_version = true, after_help = exit::CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: queue, plugins, Ollama lane and HTTP surface
    Serve(commands::serve::Arguments),
    /// Submit jobs, look at them, wait for them, cancel them
    Job(commands::job::Arguments),
    /// Submit jobs that wait for each other, look at them, wait for them, cancel them
    Flow(commands::flow::Arguments),
    /// Make schedules, look at them, pause them, run them by hand
    Schedule(commands::schedule::Arguments),
    /// Look at failed jobs, run them again, delete them
    Dead(commands::dead::Arguments),
    /// Look at the classes that jobs compete for, pause and resume them
    Class(commands::class::Arguments),
    /// Look at the kinds that can be run, pause and resume them
    Kind(commands::kind::Arguments),
    /// Look at the token budgets of a running host, and what is left of them today
    Budget(commands::budget::Arguments),
    /// Look at the plugins of a running host
    Plugin(commands::plugin::Arguments),
    /// Look at the models of a running host, load and unload them
    Model(commands::model::Arguments),
    /// Talk to a model through the queue of a running host
    Chat(commands::chat::Arguments),
    /// Copy what a host knows into a folder, also while it runs
    Backup(commands::backup::Arguments),
    /// Make a data folder of a backup
    Restore(commands::restore::Arguments),
    /// Look at everything a host needs, whether it runs or not, and change nothing
    Doctor(commands::doctor::Arguments),
    /// Check the configuration
    Config(commands::config::Arguments),
    /// Run one job from end to end, and show every step
    Demo(demo::Arguments),
    /// Run a simulated Ollama, for trying things out without a model
    OllamaSim(commands::ollama_sim::Arguments),
    /// Print a script that completes this command in a shell
    Completions(commands::completions::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = |()| Exit::Done;
    let ended = match Arguments::parse().command {
        Command::Serve(arguments) => commands::serve::run(arguments).await.map(done),
        Command::Job(arguments) => commands::job::run(arguments).await,
        Command::Flow(arguments) => commands::flow::run(arguments).await,
        Command::Schedule(arguments) => commands::schedule::run(arguments).await,
        Command::Dead(arguments) => commands::dead::run(&arguments).await.map(done),
        Command::Class(arguments) => commands::class::run(&arguments).await.map(done),
        Command::Kind(arguments) => commands::kind::run(&arguments).await.map(done),
        Command::Budget(arguments) => commands::budget::run(&arguments).await.map(done),
        Command::Plugin(arguments) => commands::plugin::run(&arguments).await.map(done),
        Command::Model(arguments) => commands::model::run(&arguments).await.map(done),
        Command::Chat(arguments) => commands::chat::run(arguments).await.map(done),
        Command::Backup(arguments) => commands::backup::run(&arguments).await.map(done),
        Command::Restore(arguments) => commands::restore::run(&arguments).await.map(done),
        Command::Doctor(arguments) => commands::doctor::run(&arguments).await,
        Command::Config(arguments) => commands::config::run(&arguments).map(done),
        Command::Demo(arguments) => demo::run(arguments).await.map(done),
        Command::OllamaSim(arguments) => commands::ollama_sim::run(arguments).await.map(done),
        Command::Completions(arguments) => {
            commands::completions::run(&arguments, Arguments::command()).map(done)
        }
    };
    let exit = ended.unwrap_or_else(|error| {
        if error.is::<terminal::OutputClosed>() {
            return Exit::Done;
        }
        // The chain of causes, as one sentence for a person.
        terminal::tell(&format!("error: {error:#}"));
        Exit::Error
    });
    exit.into()
}
