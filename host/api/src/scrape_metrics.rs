//! `GET /metrics`: OpenMetrics, from atomics only, so that a scrape can block no work.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::encoding::text::encode;

use crate::{App, code::Code, problem::Problem};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn scrape_metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut text = String::new();
    // Writing to a string cannot fail; only a metric that refuses to be encoded could.
    encode(&mut text, &app.registry)
        .map_err(|_| Problem::new(Code::Internal, "a metric could not be encoded"))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, text};

    #[tokio::test]
    async fn requests_are_counted_by_route_and_class_from_zero() {
        let host = Host::new();
        for path in ["/jobs/x", "/jobs/y", "/nowhere", "/healthz"] {
            host.get(path).await;
        }
        let response = host.get("/metrics").await;
        assert!(
            response.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("application/openmetrics-text")
        );
        let metrics = text(response).await;
        for line in [
            r#"roughneck_http_requests_total{route="/jobs/{id}",status="4xx"} 2"#,
            r#"roughneck_http_requests_total{route="none",status="4xx"} 1"#,
            r#"roughneck_http_requests_total{route="/healthz",status="2xx"} 1"#,
            r#"roughneck_http_requests_total{route="/jobs",status="5xx"} 0"#,
            r#"roughneck_http_request_duration_seconds_count{route="/jobs/{id}"} 2"#,
            "roughneck_http_event_streams 0",
            "# EOF",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
        }
    }
}
