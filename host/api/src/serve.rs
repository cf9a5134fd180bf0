//! Serving a listener until the host stops.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, serve::Listener};
use bytes::Bytes;
use hyper::{
    Request,
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    App,
    connections::{Busy, Connections, Place},
    metrics::Open,
    router,
    router::without_room,
    settled::Settled,
};

/// How long a connection may go without the whole head of a request, and also without any request. Clients that keep
/// connections for later give them up after 90 s at most, and it should be theirs to do: a request that is sent while the host
/// closes is lost.
const HEAD_MAX: Duration = Duration::from_secs(120);

/// How many that found no room are answered at once: so many, or a quarter of those who may find room, because they have files open, too.
/// Whoever comes then waits in the kernel's queue until one of them is gone.
const WITHOUT_ROOM_MAX: usize = 32;

/// How long one of them may take until it has asked. Silent ones would keep those waiting who only want to know how the host is.
const WITHOUT_ROOM_HEAD_MAX: Duration = Duration::from_secs(1);

/// How long it may take in all.
const WITHOUT_ROOM_LIFE_MAX: Duration = Duration::from_secs(5);

/// Serves until `shutdown` completes. Then no connection is accepted any more, event streams end at
/// their next quiet moment, and open requests may end within [`crate::Settings::stop_grace_ms`];
/// what is still open after that is left to the end of the process.
///
/// At most [`crate::Settings::connections_max`] clients are served at once. For the next one, a connection without a request is closed; if
/// there is none, it reads a refusal, unless it asks how the host is.
///
/// Errors of single connections are theirs, and a listener that cannot accept for want of file descriptors tries again.
pub async fn serve(
    mut listener: TcpListener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let grace = Duration::from_millis(app.settings.stop_grace_ms);
    let ending = CancellationToken::new();
    let surface = Arc::new(Surface::new(&app, ending.clone()));
    let clients = TaskTracker::new();
    let accept = async {
        loop {
            let (stream, _) = Listener::accept(&mut listener).await;
            let open = Open::counted(&app.metrics.connections);
            let surface = Arc::clone(&surface);
            if let Some(place) = surface.connections.place() {
                let served = async move { surface.served(stream, place, open).await };
                clients.spawn(Settled::new(served));
            } else if let Ok(turn) = Arc::clone(&surface.turns).acquire_owned().await {
                let served = async move { surface.served_without_room(stream, turn, open).await };
                clients.spawn(Settled::new(served));
            }
        }
    };
    tokio::select! {
        () = shutdown => {}
        never = accept => never,
    }
    drop(listener);
    app.close();
    ending.cancel();
    clients.close();
    if tokio::time::timeout(grace, clients.wait()).await.is_err() {
        tracing::warn!(
            grace_ms = grace.as_millis(),
            "requests were still open when the host stopped"
        );
    }
}

/// What all connections share.
struct Surface {
    routes: TowerToHyperService<Router>,
    without_room: TowerToHyperService<Router>,
    connections: Arc<Connections>,
    /// Of those without room.
    turns: Arc<Semaphore>,
    ending: CancellationToken,
}

impl Surface {
    fn new(app: &Arc<App>, ending: CancellationToken) -> Self {
        let connections_max = app.settings.connections_max;
        let turns = (connections_max / 4).clamp(1, WITHOUT_ROOM_MAX);
        Self {
            routes: TowerToHyperService::new(router(Arc::clone(app))),
            without_room: TowerToHyperService::new(without_room(Arc::clone(app))),
            connections: Connections::new(connections_max, ending.clone()),
            turns: Arc::new(Semaphore::new(turns)),
            ending,
        }
    }

    /// Serves one client until it leaves, or is asked to.
    async fn served(&self, stream: TcpStream, place: Place, _open: Open) {
        send_small_pieces(&stream);
        let answered = service_fn(|request: Request<Incoming>| {
            let busy = place.busy();
            let answer = self.routes.call(request);
            async move { Ok::<_, Infallible>(answer.await?.map(|body| Answer { body, _busy: busy })) }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_MAX)
                .serve_connection(TokioIo::new(stream), answered)
        );
        let served = tokio::select! {
            biased;
            served = connection.as_mut() => served,
            () = place.asked_to_leave() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::trace!(%error, "a connection broke off");
        }
    }

    /// Answers one request of a client for which there was no room, unless room can be made.
    async fn served_without_room(&self, stream: TcpStream, turn: OwnedSemaphorePermit, open: Open) {
        if let Some(place) = self.connections.make_room().await {
            drop(turn);
            return self.served(stream, place, open).await;
        }
        send_small_pieces(&stream);
        let answered = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .header_read_timeout(WITHOUT_ROOM_HEAD_MAX)
            .serve_connection(TokioIo::new(stream), self.without_room.clone());
        // Nothing that is cut off here was promised to anybody.
        tokio::select! {
            answered = tokio::time::timeout(WITHOUT_ROOM_LIFE_MAX, answered) => match answered {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::trace!(%error, "a connection without room broke off"),
                Err(_elapsed) => tracing::trace!("a connection without room took too long"),
            },
            () = self.ending.cancelled() => {}
        }
    }
}

/// A token must leave when it is there. Held back until the last one is acknowledged, as Nagle has it, it is late by
/// the 40 ms that a receiver may take for that.
fn send_small_pieces(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection sends small pieces late");
    }
}

/// The body of an answer. Until it is over, its connection does not rest.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Instant};

    use roughneck_jobs::state::State;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::oneshot,
        task::JoinHandle,
    };

    use super::*;
    use crate::{
        Settings,
        testing::{Host, a_job},
    };

    const DEADLINE: Duration = Duration::from_secs(10);

    struct Served {
        at: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    async fn served(host: &Host) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, Arc::clone(&host.app), shutdown));
        Served { at, stop, task }
    }

    async fn read_until(socket: &mut TcpStream, needle: &str) -> String {
        let mut read = Vec::new();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&read).contains(needle) {
            let n = tokio::time::timeout(DEADLINE, socket.read(&mut piece)).await.unwrap().unwrap();
            assert_ne!(n, 0, "closed before {needle}: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&piece[..n]);
        }
        String::from_utf8(read).unwrap()
    }

    async fn follower(host: &Host, at: SocketAddr) -> TcpStream {
        let job = a_job();
        host.fakes.store.put(job.clone());
        host.fakes.store.advance(job.id, State::Queued, 0);
        let mut socket = TcpStream::connect(at).await.unwrap();
        let request = format!("GET /jobs/{}/events HTTP/1.1\r\nhost: {at}\r\n\r\n", job.id);
        socket.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut socket, "\"queued\"").await;
        socket
    }

    #[tokio::test]
    async fn a_stop_ends_event_streams_at_once_and_accepts_nobody_any_more() {
        let host = Host::new();
        let Served { at, stop, task } = served(&host).await;
        let mut socket = follower(&host, at).await;
        stop.send(()).unwrap();
        tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
        // The last chunk of a chunked body: the stream was ended, not cut off.
        read_until(&mut socket, "0\r\n\r\n").await;
        assert!(TcpStream::connect(at).await.is_err());
    }

    #[tokio::test]
    async fn a_request_that_never_ends_holds_the_stop_up_for_the_grace_time_only() {
        let host = Host::new();
        let Served { at, stop, task } = served(&host).await;
        let mut socket = TcpStream::connect(at).await.unwrap();
        let half = format!(
            "POST /jobs HTTP/1.1\r\nhost: {at}\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
        );
        socket.write_all(half.as_bytes()).await.unwrap();
        // The handler has begun to read the body.
        read_until(&mut socket, "100 Continue").await;
        let began = Instant::now();
        stop.send(()).unwrap();
        tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(host.app.settings.stop_grace_ms));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_ends_its_event_stream() {
        let host = Host::new();
        let Served { at, stop: _stop, .. } = served(&host).await;
        let socket = follower(&host, at).await;
        assert_eq!(host.app.metrics.streams.get(), 1);
        drop(socket);
        let gone = async {
            while host.app.metrics.streams.get() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, gone).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_whole_head_is_left() {
        let host = Host::new();
        let Served { at, stop: _stop, .. } = served(&host).await;
        for begun in ["", "GET /healthz HTTP/1.1\r\nhost: "] {
            let mut socket = TcpStream::connect(at).await.unwrap();
            socket.write_all(begun.as_bytes()).await.unwrap();
            let began = tokio::time::Instant::now();
            // The clock stands until all others wait, and jumps to the next limit then.
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(began.elapsed() >= HEAD_MAX, "{answer}");
        }
    }

    /// A host that serves so many clients at once.
    fn host_of(connections_max: usize) -> Host {
        Host::with(Settings { connections_max, ..Settings::default() })
    }

    async fn connected(at: SocketAddr) -> TcpStream {
        TcpStream::connect(at).await.unwrap()
    }

    async fn ask(socket: &mut TcpStream, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
    }

    /// All that the host says until it closes.
    async fn rest(socket: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = socket.read_to_string(&mut text);
        tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
        text
    }

    #[tokio::test]
    async fn whoever_finds_no_room_reads_when_to_come_back_and_the_operator_how_the_host_is() {
        let host = host_of(1);
        let Served { at, stop: _stop, .. } = served(&host).await;
        let _follower = follower(&host, at).await;
        for (path, expected) in [
            ("/jobs", "HTTP/1.1 503"),
            ("/api/chat", "HTTP/1.1 503"),
            ("/healthz", "HTTP/1.1 200"),
            ("/readyz", "HTTP/1.1 200"),
            ("/metrics", "HTTP/1.1 200"),
        ] {
            let mut socket = connected(at).await;
            ask(&mut socket, path).await;
            let answer = rest(&mut socket).await;
            assert!(answer.starts_with(expected), "{path}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{path}: {answer}");
            if expected.ends_with("503") {
                assert!(answer.contains("too-many-connections"), "{path}: {answer}");
                assert!(answer.contains("retry-after: 5\r\n"), "{path}: {answer}");
            }
            if path == "/metrics" {
                for line in [
                    "roughneck_http_connections 2",
                    "roughneck_http_connections_limit 1",
                    "roughneck_http_refused_connections_total 2",
                ] {
                    assert!(answer.lines().any(|found| found == line), "{line}: {answer}");
                }
            }
        }
    }

    #[tokio::test]
    async fn whoever_finds_no_room_for_a_large_body_reads_why_and_no_reset() {
        let host = host_of(1);
        let Served { at, stop: _stop, .. } = served(&host).await;
        let _follower = follower(&host, at).await;
        let mut socket = connected(at).await;
        let body = "x".repeat(4 << 20);
        let head = format!(
            "POST /api/chat HTTP/1.1\r\nhost: {at}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
        assert!(rest(&mut socket).await.starts_with("HTTP/1.1 503"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_makes_room_for_the_next_client() {
        let host = host_of(2);
        let Served { at, stop: _stop, .. } = served(&host).await;
        let _follower = follower(&host, at).await;
        let mut first = connected(at).await;
        ask(&mut first, "/help").await;
        read_until(&mut first, "\r\n\r\n").await;
        tokio::time::advance(Duration::from_secs(2)).await;
        let mut second = connected(at).await;
        ask(&mut second, "/aliases").await;
        let answer = read_until(&mut second, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // It ends without an answer that nobody asked for.
        rest(&mut first).await;
        // Whoever follows a job is not asked to leave, however long nothing happens.
        tokio::time::advance(Duration::from_secs(2)).await;
        let mut third = connected(at).await;
        ask(&mut third, "/aliases").await;
        read_until(&mut third, "HTTP/1.1 200").await;
        assert_eq!(rest(&mut second).await.find("HTTP/1.1"), None);
        assert_eq!(host.app.metrics.streams.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn those_without_room_are_few_at_once_and_soon_gone() {
        let host = host_of(1);
        let Served { at, stop: _stop, .. } = served(&host).await;
        let _follower = follower(&host, at).await;
        let silent = [connected(at).await, connected(at).await, connected(at).await];
        let mut last = connected(at).await;
        ask(&mut last, "/healthz").await;
        let began = tokio::time::Instant::now();
        // Who has room, who is answered without it, and who was accepted and waits to be.
        let most = 3;
        let most_open = async {
            loop {
                assert!(host.app.metrics.connections.get() <= most);
                tokio::time::advance(Duration::from_millis(100)).await;
            }
        };
        let answer = tokio::select! {
            answer = rest(&mut last) => answer,
            never = most_open => never,
        };
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let waited = began.elapsed();
        let expected = WITHOUT_ROOM_HEAD_MAX * u32::try_from(silent.len()).unwrap();
        assert!(waited >= expected, "{waited:?}");
    }

    #[tokio::test]
    async fn a_stop_closes_connections_that_rest() {
        let host = Host::new();
        let Served { at, stop, task } = served(&host).await;
        let mut socket = connected(at).await;
        ask(&mut socket, "/help").await;
        read_until(&mut socket, "\r\n\r\n").await;
        stop.send(()).unwrap();
        rest(&mut socket).await;
        tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_sends_too_much_reads_why() {
        let host = Host::new();
        let Served { at, stop: _stop, .. } = served(&host).await;
        let mut socket = TcpStream::connect(at).await.unwrap();
        let body = " ".repeat(host.app.settings.body_bytes_max + 1);
        let head =
            format!("POST /jobs HTTP/1.1\r\nhost: {at}\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
        let answer = read_until(&mut socket, "body-too-large").await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}
