//! One HTTP/1.1 listener on one port, which can go away and come back there.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lock::locked;

/// What a response carries. An error in it cuts the connection without a proper end, as a crash would.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Out of file descriptors is the one way accepting fails for long; it must not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers the requests of every connection.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request. An error closes the connection without an answer. The future is dropped as soon as the
    /// client has left: hyper reads on while it waits, and sees the end of the stream.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = io::Result<Response<Body>>> + Send;
}

/// A port of this machine with a handler behind it.
#[derive(Debug)]
pub(crate) struct Listener<H> {
    handler: Arc<H>,
    addr: SocketAddr,
    open: Mutex<Option<Open>>,
}

/// The tasks of one spell of listening. Dropping it stops them.
#[derive(Debug)]
struct Open {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<H: Handler> Listener<H> {
    /// Binds `addr` (port 0 picks a free one) and answers from now on.
    pub(crate) async fn start(addr: SocketAddr, handler: Arc<H>) -> io::Result<Self> {
        let socket = TcpListener::bind(addr).await?;
        let addr = socket.local_addr()?;
        let open = Mutex::new(Some(serve(socket, &handler)));
        Ok(Self { handler, addr, open })
    }

    /// The address that was really bound.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes the port and cuts every connection; returns when all of it is gone. From now on a client is refused.
    pub(crate) async fn stop(&self) {
        let open = locked(&self.open).take();
        if let Some(open) = open {
            open.stop.cancel();
            open.tasks.close();
            open.tasks.wait().await;
        }
    }

    /// Listens on the same port again. Does nothing if it never stopped.
    pub(crate) async fn listen_again(&self) -> io::Result<()> {
        if locked(&self.open).is_some() {
            return Ok(());
        }
        let socket = TcpListener::bind(self.addr).await?;
        *locked(&self.open) = Some(serve(socket, &self.handler));
        Ok(())
    }
}

fn serve<H: Handler>(socket: TcpListener, handler: &Arc<H>) -> Open {
    let open = Open { stop: CancellationToken::new(), tasks: TaskTracker::new() };
    open.tasks.spawn(accept(socket, Arc::clone(handler), open.stop.clone(), open.tasks.clone()));
    open
}

async fn accept<H: Handler>(
    socket: TcpListener,
    handler: Arc<H>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                tasks.spawn(converse(stream, Arc::clone(&handler), stop.clone()));
            }
            Err(_out_of_descriptors) => {
                let _stopped = tokio::time::timeout(ACCEPT_PAUSE, stop.cancelled()).await;
            }
        }
    }
}

async fn converse<H: Handler>(stream: TcpStream, handler: Arc<H>, stop: CancellationToken) {
    // A token must leave when it is made, not when Nagle's algorithm finds company for it.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(move |request| Arc::clone(&handler).handle(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        // A client that left in the middle is an error here, and the daily bread of this crate.
        _ended = connection => {}
    }
}
