//! Connections that whoever waits for an answer drives.
//!
//! A client library drives each connection by a task of its own, which hands over one chunk of the answer at a
//! time: two switches between tasks for each, before anybody can read it. Here the task that wants the next chunk reads
//! the connection itself. And a connection whose answer has come to its end may serve the next call, if that
//! follows soon: to make one takes longer than all else that is done here (`host/docs/benchmarks.md`).

use std::{
    fmt,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Uri,
    body::{Body as _, Frame, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use reqwest::Body;
use tokio::{net::TcpStream, time::Instant};

use crate::response::{Cut, Response};

/// For so long a connection may be kept for the next call. Servers and proxies close theirs that are idle after 5 s
/// at the earliest (Node's `keepAliveTimeout`), and a call must not meet that moment.
const SPARE_FOR: Duration = Duration::from_secs(2);

/// Said of an Ollama that lets its callers wait.
pub(crate) const LATE: &str = "it does not answer in time";

/// The way to one server over plain HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    connect_timeout: Duration,
    /// The connection that was used last.
    spare: Arc<Mutex<Option<Spare>>>,
}

/// A connection that may serve another call.
#[derive(Debug)]
struct Spare {
    line: Line,
    /// What may not have been read of the last answer. It must be its end.
    rest: Option<Incoming>,
    since: Instant,
}

/// A connection.
struct Line {
    sender: SendRequest<Body>,
    /// None once it is closed.
    connection: Option<http1::Connection<TokioIo<TcpStream>, Body>>,
}

/// The body of an answer, and the connection it comes on.
#[derive(Debug)]
pub(crate) struct Rest {
    incoming: Incoming,
    line: Line,
    way: Direct,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Undone {
    /// Nothing was sent, because there is no connection.
    Unconnected(io::Error),
    /// Something may have been sent.
    Cut(Cut),
}

impl Direct {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { connect_timeout, spare: Arc::default() }
    }

    /// Sends a request, and returns when its answer begins. Dropping the future closes the connection.
    pub(crate) async fn send(&self, request: reqwest::Request) -> Result<Response, Undone> {
        let address = Address::of(&request);
        let mut request = to_the_origin(request).map_err(Undone::Cut)?;
        if let Some(line) = self.spare() {
            match line.send(request, self).await {
                Ok(response) => return Ok(response),
                Err(Unsent { request: Some(same), .. }) => request = same,
                Err(Unsent { request: None, cut }) => return Err(Undone::Cut(cut)),
            }
        }
        let stream = tokio::time::timeout(self.connect_timeout, address.connect()).await;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, LATE);
        let stream = stream.map_err(late).flatten().map_err(Undone::Unconnected)?;
        let line = Line::over(stream).await.map_err(|error| Undone::Cut(Cut::by(&error)))?;
        line.send(request, self).await.map_err(|Unsent { cut, .. }| Undone::Cut(cut))
    }

    /// The connection that was kept, if it is still good.
    fn spare(&self) -> Option<Line> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let Spare { mut line, mut rest, since } = spare;
        if since.elapsed() > SPARE_FOR {
            return None;
        }
        // Reads what is there: the end of the last answer, or that Ollama has closed it.
        let quiet = &mut Context::from_waker(Waker::noop());
        let is_at_end = line.poll(quiet, |quiet| match &mut rest {
            Some(rest) => Pin::new(rest).poll_frame(quiet).map(|frame| frame.is_none()),
            None => Poll::Pending,
        });
        let is_free = rest.is_none() || is_at_end == Poll::Ready(true);
        (is_free && line.connection.is_some()).then_some(line)
    }
}

/// A request that was not answered.
struct Unsent {
    /// The request, if nothing of it was sent.
    request: Option<Request<Body>>,
    cut: Cut,
}

impl Line {
    async fn over(stream: TcpStream) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection: Some(connection) })
    }

    async fn send(mut self, request: Request<Body>, way: &Direct) -> Result<Response, Unsent> {
        let sent = self.sender.try_send_request(request);
        let answered = {
            let mut sent = pin!(sent);
            poll_fn(|cx| self.poll(cx, |quiet| sent.as_mut().poll(quiet))).await
        };
        match answered {
            Ok(response) => {
                let (head, incoming) = response.into_parts();
                Ok(Response::direct(head, Rest { incoming, line: self, way: way.clone() }))
            }
            Err(mut error) => {
                let request = error.take_message();
                Err(Unsent { request, cut: Cut::by(&error.into_error()) })
            }
        }
    }

    /// Polls what the connection brings, and the connection until it brings something.
    ///
    /// All of that happens in one task, whose parts need not wake each other: only the socket wakes the task. All else
    /// gets a waker that leads nowhere, because a task that wakes itself also wakes a thread to share the work.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut bring: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let quiet = &mut Context::from_waker(Waker::noop());
        if let brought @ Poll::Ready(_) = bring(quiet) {
            return brought;
        }
        self.drive(quiet);
        if let brought @ Poll::Ready(_) = bring(quiet) {
            return brought;
        }
        // There is nothing to read now, and the socket shall wake the task when there is.
        self.drive(cx);
        bring(quiet)
    }

    /// Reads and writes what can be. How a connection ended is told to the request or the answer that was under way.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("is_open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

impl Rest {
    /// Waits for what comes next; none at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the connection broke.
    pub(crate) async fn frame(&mut self) -> Option<hyper::Result<Frame<Bytes>>> {
        let Self { incoming, line, .. } = self;
        poll_fn(|cx| line.poll(cx, |quiet| Pin::new(&mut *incoming).poll_frame(quiet))).await
    }

    /// Keeps the connection for the next call. Nothing but the end of the answer may follow.
    pub(crate) fn spare(self) {
        let Self { incoming, line, way } = self;
        let rest = (!incoming.is_end_stream()).then_some(incoming);
        let spare = Spare { line, rest, since: Instant::now() };
        let last = way.spare.lock().unwrap_or_else(PoisonError::into_inner).replace(spare);
        // Closes its connection, outside of the lock.
        drop(last);
    }
}

/// Where a request goes.
struct Address {
    host: String,
    port: u16,
}

impl Address {
    fn of(request: &reqwest::Request) -> Self {
        let url = request.url();
        // The brackets of an IPv6 address are the URL's.
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { host, port: url.port_or_known_default().unwrap_or(80) }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = match self.host.parse::<IpAddr>() {
            Ok(ip) => TcpStream::connect(SocketAddr::new(ip, self.port)).await?,
            Err(_is_a_name) => TcpStream::connect((self.host.as_str(), self.port)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The request as a server wants to have it, which is named in a header and not in the request line.
fn to_the_origin(request: reqwest::Request) -> Result<Request<Body>, Cut> {
    let mut request = Request::try_from(request).map_err(|error| Cut::by(&error))?;
    let uri = request.uri();
    let host = uri.authority().map(|host| HeaderValue::from_str(host.as_str()));
    let path = uri.path_and_query().cloned();
    if let Some(host) = host.transpose().map_err(|error| Cut::by(&error))? {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const WHOLE: &[u8] =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

    /// A server that does what a test says.
    struct Server(TcpListener);

    impl Server {
        async fn start() -> Self {
            Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
        }

        fn post(&self) -> reqwest::Request {
            let url = format!("http://{}/api/chat?x=1", self.0.local_addr().unwrap());
            reqwest::Request::new(reqwest::Method::POST, url.parse().unwrap())
        }

        async fn accept(&self) -> TcpStream {
            self.0.accept().await.unwrap().0
        }

        /// Whether nobody else wants a connection.
        fn is_left_alone(&self) -> bool {
            use futures_util::FutureExt as _;
            self.0.accept().now_or_never().is_none()
        }
    }

    /// Reads a request without a body.
    async fn asked(connection: &mut TcpStream) -> String {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(connection.read_u8().await.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    async fn answers(connection: &mut TcpStream, answer: &[u8]) -> String {
        let request = asked(connection).await;
        connection.write_all(answer).await.unwrap();
        request
    }

    async fn first_chunk(way: &Direct, request: reqwest::Request) -> (Response, Bytes) {
        let mut response = way.send(request).await.unwrap();
        let chunk = response.chunk().await.unwrap().unwrap();
        (response, chunk)
    }

    /// Waits until the connection that was kept is closed, or there is none.
    async fn until_closed(way: &Direct) {
        poll_fn(|cx| {
            let mut spare = way.spare.lock().unwrap();
            let Some(Spare { line, .. }) = &mut *spare else { return Poll::Ready(()) };
            line.drive(cx);
            if line.connection.is_none() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn way() -> Direct {
        Direct::new(Duration::from_secs(10))
    }

    #[tokio::test]
    async fn a_request_names_its_server_in_a_header_and_its_path_in_the_first_line() {
        let (server, way) = (Server::start().await, way());
        let at = server.0.local_addr().unwrap();
        let serves = async { answers(&mut server.accept().await, WHOLE).await };
        let (request, (_, chunk)) = tokio::join!(serves, first_chunk(&way, server.post()));
        assert!(request.starts_with("POST /api/chat?x=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: {at}\r\n")), "{request}");
        assert_eq!(chunk, "ok");
    }

    #[tokio::test]
    async fn a_connection_whose_answer_is_done_serves_the_next_call() {
        let (server, way) = (Server::start().await, way());
        let serves = async {
            let mut connection = server.accept().await;
            for _ in 0..3 {
                answers(&mut connection, WHOLE).await;
            }
            assert!(server.is_left_alone());
        };
        let calls = async {
            for _ in 0..3 {
                first_chunk(&way, server.post()).await.0.done();
            }
        };
        tokio::join!(serves, calls);
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_meanwhile_costs_no_call() {
        let (server, way) = (Server::start().await, way());
        let serves = async {
            let mut connection = server.accept().await;
            answers(&mut connection, WHOLE).await;
            drop(connection);
            answers(&mut server.accept().await, WHOLE).await;
        };
        let calls = async {
            for _ in 0..2 {
                let (mut response, _) = first_chunk(&way, server.post()).await;
                assert_eq!(response.chunk().await.unwrap(), None);
                response.done();
                until_closed(&way).await;
            }
        };
        tokio::join!(serves, calls);
    }

    #[tokio::test]
    async fn an_answer_that_goes_on_is_cut_off_and_its_connection_serves_nobody() {
        let (server, way) = (Server::start().await, way());
        let serves = async {
            for _ in 0..2 {
                let mut connection = server.accept().await;
                answers(&mut connection, HEAD).await;
                connection.write_all(b"2\r\nok\r\n2\r\nno\r\n").await.unwrap();
                // Until the other side closes it.
                assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0);
            }
        };
        let calls = async {
            drop(first_chunk(&way, server.post()).await);
            // It says that it is done, and is not.
            first_chunk(&way, server.post()).await.0.done();
            assert!(way.spare().is_none());
        };
        tokio::join!(serves, calls);
    }

    #[tokio::test]
    async fn a_connection_is_not_kept_for_long() {
        let (server, way) = (Server::start().await, way());
        let serves = async { answers(&mut server.accept().await, WHOLE).await };
        let call = async { first_chunk(&way, server.post()).await.0.done() };
        tokio::join!(serves, call);
        tokio::time::pause();
        tokio::time::advance(SPARE_FOR + Duration::from_millis(1)).await;
        assert!(way.spare().is_none());
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_was_sent_nothing() {
        let server = Server::start().await;
        let request = server.post();
        drop(server);
        assert!(matches!(way().send(request).await, Err(Undone::Unconnected(_))));
    }
}
