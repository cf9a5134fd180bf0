//! Keeps web pages of others away from a host that trusts its loopback.
//!
//! A page in the user's own browser can reach `127.0.0.1`. It gives itself away by its `Origin`, or,
//! after DNS rebinding, by a `Host` that is its own name. Programs send no `Origin` and call the host
//! by an address or `localhost`. A missing `Host` is let through in HTTP/1.0, which has none: browsers always send one.
//!
//! It keeps hosts away, too: what one of them sends to its Ollama comes here only if a way leads in a circle,
//! which no request would ever leave.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, Version, header, uri::Authority},
    middleware::Next,
    response::Response,
};
use roughneck_jobs::ports::gateway::is_by_host;

use crate::{App, code::Code, ollama::reply::refused_at, problem::Problem};

/// Refuses requests of foreign pages before any operation sees them.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let checked = named_once(&request)
        .and_then(|()| check(request.uri(), request.headers(), &app.settings.host_names));
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => refused_at(&app, request.uri().path(), problem),
    }
}

/// A request of HTTP/1.1 says once which host it is for: two programs could each believe another of two names.
fn named_once(request: &Request) -> Result<(), Problem> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    match (hosts, request.version()) {
        (1, _) | (0, Version::HTTP_09 | Version::HTTP_10) => Ok(()),
        (hosts, _) => {
            let detail = format!("the request has {hosts} `Host` headers, and must have one");
            Err(Problem::new(Code::MalformedHost, detail))
        }
    }
}

fn check(uri: &Uri, headers: &HeaderMap, names: &[String]) -> Result<(), Problem> {
    let mut hops = headers.get_all(header::VIA).iter().filter_map(|via| via.to_str().ok());
    if hops.any(is_by_host) {
        return Err(calls_itself());
    }
    let host = match (uri.authority(), headers.get(header::HOST)) {
        (Some(authority), _) => Some(authority.as_str().to_owned()),
        (None, Some(host)) => Some(String::from_utf8_lossy(host.as_bytes()).into_owned()),
        (None, None) => None,
    };
    if let Some(host) = &host
        && !is_ours(host, names)
    {
        return Err(foreign_host(host));
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    let same = host.is_some_and(|host| is_same(&origin, &host));
    if same { Ok(()) } else { Err(foreign_origin(&origin)) }
}

/// Whether the host is an address, `localhost`, or a name the operator configured.
fn is_ours(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(&name))
}

/// Whether a page of `origin` is one that this very host served.
fn is_same(origin: &str, host: &str) -> bool {
    let (authority, port) = match origin.split_once("://") {
        Some(("http", authority)) => (authority, ":80"),
        Some(("https", authority)) => (authority, ":443"),
        Some(_) | None => return false,
    };
    let bare = |text: &str| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
    bare(authority) == bare(host)
}

fn calls_itself() -> Problem {
    let detail = "a roughneck host sent this request to its Ollama, but this is a roughneck host; \
         let `url` under [ollama] in roughneck.toml name the address of Ollama itself";
    Problem::new(Code::CallsItself, detail)
}

fn foreign_host(host: &str) -> Problem {
    let host: String = host.chars().take(100).collect();
    Problem::new(
        Code::ForeignHost,
        format!(
            "the request is for `{host}`, which is no name of this host; call it by its address or \
             `localhost`, or add the name to `names` under [server] in roughneck.toml"
        ),
    )
}

fn foreign_origin(origin: &str) -> Problem {
    let origin: String = origin.chars().take(100).collect();
    Problem::new(
        Code::ForeignOrigin,
        format!(
            "a page of `{origin}` sent this request, and only pages of this host may; \
             let a server send it instead"
        ),
    )
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::ports::gateway::VIA;

    use super::*;
    use crate::testing::{Host, json, text};

    fn code(host: Option<&str>, origin: Option<&str>) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        let mut add = |name, value: Option<&str>| {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        };
        add(header::HOST, host);
        add(header::ORIGIN, origin);
        let uri = Uri::from_static("/jobs");
        let problem = check(&uri, &headers, &["mini.lan".to_owned()]).err()?;
        Some(problem.failed().code.as_str())
    }

    #[test]
    fn the_host_is_known_by_addresses_localhost_and_configured_names_only() {
        for host in [
            "127.0.0.1:7117",
            "[::1]:7117",
            "10.1.2.3",
            "localhost",
            "LOCALHOST:7117",
            "localhost.",
            "ui.localhost:7117",
            "mini.lan:7117",
            "Mini.LAN",
        ] {
            assert_eq!(code(Some(host), None), None, "{host}");
        }
        for host in
            ["evil.example:7117", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b"]
        {
            assert_eq!(code(Some(host), None), Some("foreign-host"), "{host}");
        }
        assert_eq!(code(None, None), None);
    }

    #[test]
    fn only_pages_of_this_very_host_and_port_may_send_requests() {
        for (host, origin) in [
            ("127.0.0.1:7117", "http://127.0.0.1:7117"),
            ("localhost", "http://localhost:80"),
            ("mini.lan", "https://mini.lan"),
            ("mini.lan:443", "https://mini.lan"),
        ] {
            assert_eq!(code(Some(host), Some(origin)), None, "{origin}");
        }
        for (host, origin) in [
            ("127.0.0.1:7117", "http://evil.example"),
            ("127.0.0.1:7117", "http://127.0.0.1:3000"),
            ("127.0.0.1:7117", "http://localhost:7117"),
            ("127.0.0.1:7117", "null"),
            ("127.0.0.1:7117", "file://127.0.0.1:7117"),
            ("localhost", "http://localhost:443"),
        ] {
            assert_eq!(code(Some(host), Some(origin)), Some("foreign-origin"), "{origin}");
        }
        assert_eq!(code(None, Some("http://127.0.0.1")), Some("foreign-origin"));
    }

    #[test]
    fn a_request_names_its_host_once_unless_it_is_of_http_1_0() {
        let code = |version, hosts: &[&str]| {
            let request = Request::get("/jobs").version(version);
            let request = hosts.iter().fold(request, |it, host| it.header("host", *host));
            let refused = named_once(&request.body("".into()).unwrap()).err();
            refused.map(|problem| problem.failed().code.as_str())
        };
        assert_eq!(code(Version::HTTP_11, &["localhost"]), None);
        assert_eq!(code(Version::HTTP_10, &[]), None);
        assert_eq!(code(Version::HTTP_11, &[]), Some("malformed-host"));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert_eq!(code(version, &["localhost", "evil.com"]), Some("malformed-host"));
        }
    }

    #[tokio::test]
    async fn what_a_host_sends_to_its_ollama_goes_in_no_circle() {
        let host = Host::new();
        let call = |via: &'static str| {
            let request = axum::http::Request::get("/api/tags").header("via", "1.0 fred");
            request.header("via", via).body("".into()).unwrap()
        };
        assert_eq!(host.call(call("1.1 proxy.example")).await.status(), 200);
        assert_eq!(host.call(call(VIA)).await.status(), 508);
        assert_eq!(host.fakes.gateway.passed.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_refused_is_told_in_the_form_of_its_surface() {
        let host = Host::new();
        for (path, form) in
            [("/api/chat", "Native"), ("/v1/models", "OpenAi"), ("/v1/messages", "Anthropic")]
        {
            let request = axum::http::Request::post(path).header("host", "evil.example");
            let response = host.call(request.body("".into()).unwrap()).await;
            assert_eq!(response.status(), 403);
            let words = text(response).await;
            assert!(words.starts_with(&format!("{form}: the request is for `evil")), "{words}");
        }
    }

    #[tokio::test]
    async fn a_refused_page_submits_nothing() {
        let host = Host::new();
        let request = axum::http::Request::post("/jobs")
            .header("host", "127.0.0.1:7117")
            .header("origin", "https://evil.example")
            .body(r#"{"kind":"echo"}"#.into())
            .unwrap();
        let response = host.call(request).await;
        assert_eq!(response.status(), 403);
        assert_eq!(json(response).await["code"], "foreign-origin");
        assert!(host.fakes.store.submitted().is_empty());
    }
}
