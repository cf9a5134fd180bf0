//! `GET /api/tags` and its like: requests that do not wait for the lane.

use std::{io, sync::Arc};

use axum::{
    extract::{Request, State},
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use roughneck_jobs::ports::gateway::{PassRoute, Passage};

use super::reply::{refused, response};
use crate::App;

/// Headers that mean something to Ollama.
const HEADERS: [&str; 4] = ["content-type", "content-length", "user-agent", "accept"];

pub(crate) async fn pass(
    route: PassRoute,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let mut headers: Vec<_> = HEADERS
        .into_iter()
        .filter_map(|name| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some((name, value.to_owned()))
        })
        .collect();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = if route == PassRoute::Blob {
        // Gigabytes, which go on as they come.
        body.into_data_stream().map(|chunk| chunk.map_err(io::Error::other)).boxed()
    } else {
        match app.bodies.read(&head.headers, body, app.settings.call_bytes_max).await {
            Ok(whole) => {
                // It may have been packed.
                for (_, length) in headers.iter_mut().filter(|(name, _)| *name == "content-length")
                {
                    *length = whole.len().to_string();
                }
                stream::once(async { Ok(whole) }).boxed()
            }
            Err(problem) => return refused(&app, route.form(), &problem),
        }
    };
    let passage = Passage {
        route,
        method: head.method.as_str().to_owned(),
        path: path.to_owned(),
        headers,
        body,
    };
    response(app.ports.gateway.pass(passage).await)
}
