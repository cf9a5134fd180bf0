//! From the gateway's answer to HTTP.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use roughneck_jobs::ports::gateway::{CODE, Form, Reply, ReplyBody};

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

/// A problem in the form of a surface: its clients do not read problem+json, so that the code is in a header.
pub(crate) fn refused(app: &App, form: Form, problem: &Problem) -> Response {
    let (status, words) = problem.for_surface();
    let mut response = response(app.ports.gateway.refusal(form, status, words));
    let failed = problem.failed();
    let code = HeaderValue::from_static(failed.code.as_str());
    response.headers_mut().insert(HeaderName::from_static(CODE), code);
    // The surface has one for all of its refusals.
    if let Some(seconds) = problem.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(failed);
    response
}

/// A problem in the form that is expected at a path.
pub(crate) fn refused_at(app: &App, path: &str, problem: Problem) -> Response {
    match Form::at(path) {
        Some(form) => refused(app, form, &problem),
        None => problem.into_response(),
    }
}
