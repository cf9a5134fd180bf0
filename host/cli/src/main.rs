//! The `roughneck` binary: configuration, commands, and the one place that knows every crate.
//!
//! What it does: reads the configuration ([`config`]), puts the parts together ([`commands::serve`]),
//! and tells one job's whole story for people who are new ([`demo`]).
//!
//! What it deliberately does not: decide anything about jobs. To add a command, write a file in
//! `commands/` and a line in [`Command`].

mod commands;
mod config;
mod demo;
mod logging;
mod private;
mod signals;
mod signing_secret;
mod system;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs AI-heavy background jobs, written as sandboxed WebAssembly plugins, on your own hardware.
#[derive(Debug, Parser)]
#[command(name = "roughneck", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: queue, plugins, Ollama lane and HTTP surface
    Serve(commands::serve::Arguments),
    /// Check the configuration
    Config(commands::config::Arguments),
    /// Run one job from end to end, and show every step
    Demo(demo::Arguments),
    /// Run a simulated Ollama, for trying things out without a model
    OllamaSim(commands::ollama_sim::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(arguments) => commands::serve::run(arguments).await,
        Command::Config(arguments) => commands::config::run(&arguments),
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::OllamaSim(arguments) => commands::ollama_sim::run(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes, as one sentence for a person.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
