//! The pieces of an answer as they come from Ollama: the first by itself, the others together, if several have come.

use std::mem;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;

use crate::response::{Cut, Response};

/// Bytes that are passed on together, if so many have come: one write to the client instead of hundreds.
const TOGETHER_BYTES: usize = 16 << 10;

/// The body of an answer. Dropping it closes the connection.
pub(crate) struct Pieces {
    response: Response,
    /// None was passed on.
    is_new: bool,
    /// What was read behind the pieces that were passed on: the end, or an error.
    ahead: Option<Result<Option<Bytes>, Cut>>,
}

impl Pieces {
    pub(crate) fn of(response: Response) -> Self {
        Self { response, is_new: true, ahead: None }
    }

    /// Waits for the next piece, and returns it with those that have come since, for which the first one does not wait;
    /// none at the end. Dropping the future loses nothing while it waits.
    ///
    /// # Errors
    /// If the connection broke off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        let first = match self.ahead.take() {
            Some(read) => read?,
            None => self.response.chunk().await?,
        };
        let Some(first) = first else { return Ok(None) };
        if mem::take(&mut self.is_new) {
            return Ok(Some(first));
        }
        let mut together = BytesMut::new();
        while together.len() < TOGETHER_BYTES {
            match self.response.chunk().now_or_never() {
                None => break,
                Some(Ok(Some(more))) => {
                    if together.is_empty() {
                        together.reserve(TOGETHER_BYTES);
                        together.extend_from_slice(&first);
                    }
                    together.extend_from_slice(&more);
                }
                Some(end @ (Ok(None) | Err(_))) => {
                    self.ahead = Some(end);
                    break;
                }
            }
        }
        Ok(Some(if together.is_empty() { first } else { together.freeze() }))
    }

    /// What was wanted has come whole.
    pub(crate) fn done(self) {
        self.response.done();
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::oneshot,
    };

    use super::*;
    use crate::{client::Client, config::Config};

    #[tokio::test]
    async fn what_came_at_once_goes_on_at_once_behind_the_first_and_what_did_not_is_not_waited_for()
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (more, wanted) = oneshot::channel();
        let server = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
            connection.write_all(head).await.unwrap();
            connection.write_all(b"3\r\nabc\r\n3\r\ndef\r\n2\r\ngh\r\n").await.unwrap();
            wanted.await.unwrap();
            connection.write_all(b"1\r\ni\r\n0\r\n\r\n").await.unwrap();
            connection
        };
        let client = Client::new(&Config::new(url)).unwrap();
        let reader = async {
            let mut pieces = Pieces::of(client.post("/", Vec::new()).await.unwrap());
            assert_eq!(pieces.next().await.unwrap().unwrap(), "abc");
            assert_eq!(pieces.next().await.unwrap().unwrap(), "defgh");
            more.send(()).unwrap();
            assert_eq!(pieces.next().await.unwrap().unwrap(), "i");
            assert_eq!(pieces.next().await.unwrap(), None);
        };
        tokio::join!(server, reader);
    }
}
