//! From the gateway's answer to HTTP.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use roughneck_jobs::ports::gateway::{Form, Reply, ReplyBody};

use crate::{App, problem::Problem};

pub(crate) fn response(reply: Reply) -> Response {
    let Reply { status, headers, body } = reply;
    let body = match body {
        ReplyBody::Whole(bytes) => Body::from(bytes),
        ReplyBody::Stream(stream) => Body::from_stream(stream),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// A problem in the form of a surface: its clients do not read problem+json.
pub(crate) fn refused(app: &App, form: Form, problem: &Problem) -> Response {
    let failed = problem.failed();
    let status = failed.code.status().as_u16();
    let mut response = response(app.ports.gateway.refusal(form, status, &failed.detail));
    response.extensions_mut().insert(failed);
    response
}
