//! The host that a command speaks to.

use anyhow::Result;

use crate::{
    client::{Answer, Client, Connection, Refused},
    terminal,
};

/// Where a command finds its host, and how it prints what that says.
pub(super) struct Host {
    pub(super) client: Client,
    pub(super) json: bool,
}

impl Host {
    /// The host of a command line.
    ///
    /// # Errors
    /// If no client can be made.
    pub(super) fn of(connection: &Connection) -> Result<Self> {
        Ok(Self { client: Client::new(&connection.url)?, json: connection.json })
    }

    /// Prints the host's JSON, if that was asked for.
    pub(super) fn print_json(&self, answer: &Answer) -> Result<()> {
        if self.json { terminal::print(&format!("{}\n", answer.text())) } else { Ok(()) }
    }

    /// Prints the host's JSON, or the line for people.
    pub(super) fn print(&self, answer: &Answer, line: &str) -> Result<()> {
        if self.json {
            return self.print_json(answer);
        }
        terminal::print(&format!("{line}\n"))
    }

    /// Prints a refusal as the host wrote it, if its JSON was asked for: a program branches on its
    /// `code`.
    pub(super) fn told<T>(&self, ended: Result<T>) -> Result<T> {
        if let Err(error) = &ended
            && self.json
            && let Some(refused) = error.downcast_ref::<Refused>()
        {
            terminal::print(&format!("{}\n", refused.document))?;
        }
        ended
    }
}
