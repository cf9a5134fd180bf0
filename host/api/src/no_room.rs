//! The answer to whoever comes while as many are connected as may be.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use futures_util::StreamExt;

use crate::{App, ollama::reply::refused_at, problem::Problem};

/// How long is read of a body that nobody wants.
const DISCARD_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn no_room(State(app): State<Arc<App>>, request: Request) -> Response {
    app.metrics.refused_connections.inc();
    let (head, body) = request.into_parts();
    discard(&head.headers, body).await;
    let problem = Problem::too_many_connections(app.settings.connections_max);
    refused_at(&app, head.uri.path(), problem)
}

/// Reads what is sent, and keeps nothing of it: who still sends while the connection closes would see a reset instead of the answer.
async fn discard(headers: &HeaderMap, body: Body) {
    // Whoever asks first has sent nothing yet.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut chunks = body.into_data_stream();
    let read = async { while let Some(Ok(_)) = chunks.next().await {} };
    // Sent too slowly, it is not worth the place.
    let _ = tokio::time::timeout(DISCARD_MAX, read).await;
}
