//! Counts every request, and logs the failed ones: once, here.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use crate::{App, metrics::Route, problem::Failed};

/// Wraps everything else.
pub(crate) async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let route = response.extensions().get::<Route>().copied().unwrap_or(Route::None);
    let status = response.status().as_u16();
    app.metrics.answered(route, status, began.elapsed().as_secs_f64());
    if let Some(Failed { code, detail, cause }) = response.extensions().get::<Failed>() {
        let code = code.as_str();
        match cause {
            Some(cause) => {
                tracing::error!(%method, path, status, code, cause, "{method} {path} failed: {cause}");
            }
            None => {
                tracing::info!(%method, path, status, code, "{method} {path} refused: {detail}");
            }
        }
    }
    response
}
