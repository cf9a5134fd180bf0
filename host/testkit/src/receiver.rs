//! A webhook receiver that remembers what it was sent, can be told to fail, and can go away and come back.

mod signature;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::TimedOut;
use crate::listener::{Body, Handler, Listener};
use crate::lock::locked;

pub use signature::{SignatureError, verify};

/// One request that reached the receiver, whatever it answered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `POST`, from a sender that keeps to the form.
    pub method: Method,
    /// Path and query, as sent.
    pub path: String,
    /// Every header, names in lower case.
    pub headers: HeaderMap,
    /// The body, as sent: this is what is signed.
    pub body: Bytes,
    /// When the whole of it had arrived.
    pub received_at: Instant,
    /// What the receiver answered. Only 2xx means that the sender may stop trying.
    pub answered: StatusCode,
}

/// A webhook receiver on the loopback. Dropping it stops it.
#[derive(Debug)]
pub struct Receiver {
    inbox: Arc<Inbox>,
    listener: Listener<Inbox>,
}

#[derive(Debug)]
struct Inbox {
    deliveries: Mutex<Vec<Delivery>>,
    /// How many there are: what `wait_for` sleeps on.
    count: watch::Sender<usize>,
    status: Mutex<StatusCode>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1 and answers 204 to everything.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let inbox = Arc::new(Inbox {
            deliveries: Mutex::default(),
            count: watch::Sender::new(0),
            status: Mutex::new(StatusCode::NO_CONTENT),
        });
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::start(any_port, Arc::clone(&inbox)).await?;
        Ok(Self { inbox, listener })
    }

    /// Where to send webhooks to: `http://127.0.0.1:<port>/hook`. Any other path is received as well.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.listener.addr())
    }

    /// Everything received so far, in order of arrival, refused or not.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        locked(&self.inbox.deliveries).clone()
    }

    /// Answers with `status` from now on.
    pub fn respond_with(&self, status: StatusCode) {
        *locked(&self.inbox.status) = status;
    }

    /// Waits until `count` deliveries have arrived, and returns all there are.
    ///
    /// # Errors
    /// [`TimedOut`] if fewer arrived before `deadline`.
    pub async fn wait_for(
        &self,
        count: usize,
        deadline: Duration,
    ) -> Result<Vec<Delivery>, TimedOut> {
        let mut seen = self.inbox.count.subscribe();
        let enough = seen.wait_for(|now| *now >= count);
        match tokio::time::timeout(deadline, enough).await {
            Ok(_counted) => Ok(self.deliveries()),
            Err(_elapsed) => Err(TimedOut {
                what: format!(
                    "{count} webhook deliveries, of which {} came",
                    self.deliveries().len()
                ),
                deadline,
            }),
        }
    }

    /// Closes the port and cuts its connections: senders are refused from now on.
    pub async fn stop_listening(&self) {
        self.listener.stop().await;
    }

    /// Listens on the same port again.
    ///
    /// # Errors
    /// When somebody else took the port in the meantime.
    pub async fn listen_again(&self) -> io::Result<()> {
        self.listener.listen_again().await
    }
}

impl Handler for Inbox {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let answered = *locked(&self.status);
        let count = {
            let mut deliveries = locked(&self.deliveries);
            deliveries.push(Delivery {
                method: head.method,
                path: head.uri.to_string(),
                headers: head.headers,
                body,
                received_at: Instant::now(),
                answered,
            });
            deliveries.len()
        };
        self.count.send_replace(count);
        let nothing = Empty::new().map_err(|never: Infallible| match never {});
        let mut response = Response::new(nothing.boxed_unsync());
        *response.status_mut() = answered;
        Ok(response)
    }
}
