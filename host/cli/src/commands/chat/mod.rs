//! `roughneck chat`: talks to a model, through the queue like everybody else.

mod answer;
mod figures;
mod lines;
mod voice;

use std::io::{self, IsTerminal as _};

use anyhow::{Context, Result, ensure};
use roughneck_jobs::priority::Priority;
use serde::Serialize;

use super::host::Host;
use crate::{
    client::{Caller, Connection},
    terminal::{self, OutputClosed, clean},
};

/// Arguments of `roughneck chat`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// What to ask, once; without it, what comes through a pipe is asked, and a terminal begins a
    /// conversation
    prompt: Option<String>,
    /// The model, or an alias of the host
    #[arg(long, value_name = "NAME", default_value = "default")]
    model: String,
    /// urgent, high, normal, low or bulk, or a number from 0 to 100 [default: high]
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<Priority>,
    /// How the model is to behave
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
}

/// A conversation.
struct Chat {
    host: Host,
    caller: Caller,
    model: String,
    priority: Option<Priority>,
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

impl Message {
    fn user(content: String) -> Self {
        Self { role: "user", content }
    }
}

/// Runs `roughneck chat`.
///
/// # Errors
/// What the host refused, or that none answers, in one sentence.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { connection, prompt, model, priority, system } = arguments;
    let system = system.map(|content| Message { role: "system", content });
    let mut chat = Chat {
        host: Host::of(&connection)?,
        caller: Caller::new(&connection.url)?,
        model,
        priority,
        messages: system.into_iter().collect(),
    };
    match prompt {
        Some(prompt) => chat.once(prompt).await,
        None if io::stdin().is_terminal() => chat.converse().await,
        None => {
            let prompt = io::read_to_string(io::stdin());
            chat.once(prompt.context("standard input cannot be read")?).await
        }
    }
}

impl Chat {
    /// Asks once. The answer is alone on standard output.
    async fn once(&mut self, prompt: String) -> Result<()> {
        ensure!(!prompt.trim().is_empty(), "there is nothing to ask; write it as an argument");
        self.messages.push(Message::user(prompt));
        let answered = answer::show(self, &mut String::new()).await;
        self.host.told(answered)
    }

    /// Asks for every line, until an empty one or the end of the input.
    async fn converse(&mut self) -> Result<()> {
        ensure!(!self.host.json, "--json shows one answer; write what to ask as an argument");
        let mut lines = lines::read();
        loop {
            terminal::prompt("> ");
            let line = tokio::select! {
                line = lines.recv() => line,
                _ = tokio::signal::ctrl_c() => None,
            };
            let Some(line) = line else {
                // The shell's own prompt begins a line.
                terminal::prompt("\n");
                return Ok(());
            };
            if line.trim().is_empty() {
                return Ok(());
            }
            self.messages.push(Message::user(line));
            let mut said = String::new();
            let answered = tokio::select! {
                answered = answer::show(self, &mut said) => answered,
                // Leaving is what stops it: the host sees the connection close.
                _ = tokio::signal::ctrl_c() => terminal::print("\n"),
            };
            match answered {
                Ok(()) => {}
                Err(error) if error.is::<OutputClosed>() => return Err(error),
                Err(error) => terminal::tell(&format!("error: {}", clean(&format!("{error:#}")))),
            }
            if said.is_empty() {
                // A question without an answer would be asked again with the next one.
                self.messages.pop();
            } else {
                self.messages.push(Message { role: "assistant", content: said });
            }
        }
    }
}
