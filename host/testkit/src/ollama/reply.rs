//! Replies that a test dictates.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::lock::locked;

/// What the next chat, generate or `/v1/chat/completions` request gets instead of the usual answer.
///
/// `after_tokens` counts pieces of the usual answer; an answer that is shorter ends there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// This text, verbatim, at the usual pace and with the usual statistics.
    Text(String),
    /// Calls of tools, by name and arguments, instead of a text. Arguments are the text of a JSON object; a call with
    /// any other is left out. `/api/generate` has no calls and answers nothing.
    ToolCalls(Vec<(String, String)>),
    /// This status and body, at once and without touching the runner.
    Status(u16, String),
    /// An error line in the middle of a stream that began with 200; before the first token it is a proper 500.
    MidStreamError {
        /// Tokens that come through first.
        after_tokens: usize,
        /// The text of the error.
        message: String,
    },
    /// The stream ends properly but without its final object.
    Truncate {
        /// Tokens that come through first.
        after_tokens: usize,
    },
    /// Nothing more comes, and the connection stays open. The runner stays busy until the client leaves.
    Stall {
        /// Tokens that come through first.
        after_tokens: usize,
    },
    /// The connection is cut in the middle, as when the server is killed.
    Disconnect {
        /// Tokens that come through first.
        after_tokens: usize,
    },
}

/// The replies still to be given, first in first out.
#[derive(Debug, Default)]
pub(super) struct Script {
    replies: Mutex<VecDeque<Reply>>,
}

impl Script {
    pub(super) fn append(&self, replies: impl IntoIterator<Item = Reply>) {
        locked(&self.replies).extend(replies);
    }

    pub(super) fn next(&self) -> Option<Reply> {
        locked(&self.replies).pop_front()
    }
}
