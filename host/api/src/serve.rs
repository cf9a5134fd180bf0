//! Serving a listener until the host stops.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

use crate::{App, router, settled::Settled};

/// How long a connection may go without the whole head of a request, and also without any request. Clients that keep
/// connections for later give them up after 90 s at most, and it should be theirs to do: a request that is sent while the host
/// closes is lost.
const HEAD_MAX: Duration = Duration::from_secs(120);

/// Serves until `shutdown` completes. Then no connection is accepted any more, event streams end at
/// their next quiet moment, and open requests may end within [`crate::Settings::stop_grace_ms`];
/// what is still open after that is left to the end of the process.
///
/// Errors of single connections are theirs, and a listener that cannot accept for want of file descriptors tries again.
pub async fn serve(
    mut listener: TcpListener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let grace = Duration::from_millis(app.settings.stop_grace_ms);
    let routes = TowerToHyperService::new(router(Arc::clone(&app)));
    let open = GracefulShutdown::new();
    let accept = async {
        loop {
            let (stream, _) = Listener::accept(&mut listener).await;
            tokio::spawn(Settled::new(connection(stream, routes.clone(), open.watcher())));
        }
    };
    tokio::select! {
        () = shutdown => {}
        never = accept => never,
    }
    drop(listener);
    app.close();
    if tokio::time::timeout(grace, open.shutdown()).await.is_err() {
        tracing::warn!(
            grace_ms = grace.as_millis(),
            "requests were still open when the host stopped"
        );
    }
}

/// Serves one client until it leaves.
async fn connection(stream: TcpStream, routes: TowerToHyperService<Router>, watcher: Watcher) {
    // A token must leave when it is there. Held back until the last one is acknowledged, as Nagle has it, it is late by
    // the 40 ms that a receiver may take for that.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection sends small pieces late");
    }
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), routes);
    if let Err(error) = watcher.watch(served).await {
        tracing::trace!(%error, "a connection broke off");
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
    use crate::testing::{Host, a_job};

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
