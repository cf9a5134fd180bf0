use reqwest::StatusCode;
use roughneck_jobs::{manifest::HttpWish, ports::runner::Standing};
use roughneck_testkit::receiver::Receiver;

use super::*;
use crate::{
    egress::{LOOKUPS_MAX, LOOKUPS_MAX_PER_OWNER},
    fake::{Silence, TcpAnswer, World, told},
};

fn world(hosts: &[&str]) -> World {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    World::new().wants(|wanted| wanted.http = Some(HttpWish { hosts: hosts.clone() })).grant(
        |grant| {
            grant.http = hosts.clone();
            grant.http_private = true;
        },
    )
}

async fn get(world: &World, url: &str) -> Result<Response, Refusal> {
    let mut session = world.session();
    let request = session.http_request("GET", url).unwrap();
    session.http_send(request).await
}

#[tokio::test]
async fn a_granted_request_reaches_its_host_with_headers_and_body() {
    let receiver = Receiver::start().await.unwrap();
    receiver.respond_with(StatusCode::CREATED);
    let world = world(&["127.0.0.1:*"]);
    let mut session = world.session();
    let mut request = session.http_request("POST", &receiver.url()).unwrap();
    request.header("X-Token", "abc");
    request.body(b"hello".to_vec());
    let response = session.http_send(request).await.unwrap();
    assert_eq!(response.status, 201);
    let seen = receiver.deliveries();
    assert_eq!(
        (&seen[0].body[..], &seen[0].headers["x-token"]),
        (&b"hello"[..], &"abc".parse().unwrap())
    );
}

#[tokio::test]
async fn a_host_must_be_in_the_manifest_and_in_the_grant() {
    let error = told(get(&world(&["*.example.com"]), "http://example.org/").await);
    assert_eq!(error.code, "http-not-granted");
    assert!(
        error.message.contains("the host of `http://example.org`; add it to `http.hosts`"),
        "{error}"
    );
    let narrow = world(&["*"]).grant(|grant| grant.http = vec!["*.example.com".into()]);
    let error = told(get(&narrow, "http://example.org/").await);
    assert!(error.message.contains("add it to `http` under [grants.probe]"), "{error}");
}

#[test]
fn a_grant_for_a_host_is_none_for_its_other_ports() {
    let names = |url: &str| names(&url.parse().unwrap());
    assert_eq!(names("http://a.example/x"), ["a.example:80", "a.example"]);
    assert_eq!(names("https://A.Example./x"), ["a.example:443", "a.example"]);
    assert_eq!(names("https://a.example:8443/x"), ["a.example:8443"]);
}

#[tokio::test]
async fn private_addresses_are_refused_unless_granted() {
    let world = world(&["*"]).grant(|grant| grant.http_private = false);
    for url in ["http://127.0.0.1:9/", "http://localhost:9/", "http://[::ffff:10.0.0.1]/"] {
        let error = told(get(&world, url).await);
        assert_eq!(error.code, "private-address", "{url}: {error}");
        assert!(error.message.contains("`http-private = true` under [grants.probe]"), "{error}");
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_when_they_are_sent() {
    let world = world(&["*"]);
    let table: [(&str, &str, &str); 5] = [
        ("BREW", "http://a.example/", "is not a method"),
        ("GET", "a.example", "the URL is not one"),
        ("GET", "ftp://a.example/", "must start with http://"),
        ("GET", "http://u:p@a.example/", "set the `authorization` header"),
        ("GET", &format!("http://a.example/{}", "x".repeat(URL_BYTES_MAX)), "at most 8192 bytes"),
    ];
    for (method, url, sentence) in table {
        let mut session = world.session();
        let request = session.http_request(method, url).unwrap();
        let error = told(session.http_send(request).await);
        assert_eq!(error.code, "invalid-request");
        assert!(error.message.contains(sentence), "{error}");
    }
}

#[tokio::test]
async fn headers_of_the_host_bad_headers_and_too_many_are_refused() {
    let world = world(&["*"]);
    let table = [
        ("Host", "internal", "the host sets it"),
        ("transfer-encoding", "chunked", "the host sets it"),
        ("bad name", "x", "its name is not one"),
        ("x-a", "line\r\nbreak", "control characters"),
    ];
    for (name, value, sentence) in table {
        let mut session = world.session();
        let mut request = session.http_request("GET", "http://a.example/").unwrap();
        request.header(name, value);
        let error = told(session.http_send(request).await);
        assert!(error.message.contains(sentence), "{error}");
    }
    let mut session = world.session();
    let mut request = session.http_request("GET", "http://a.example/").unwrap();
    for n in 0..=HEADERS_MAX {
        request.header(&format!("x-{n}"), "1");
    }
    assert!(told(session.http_send(request).await).message.contains("at most 64 headers"));
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_before_it_is_sent() {
    let world = world(&["*"]);
    let mut session = world.session();
    let mut request = session.http_request("PUT", "http://a.example/").unwrap();
    request.body(vec![0; REQUEST_BYTES_MAX]);
    assert_eq!(told(session.http_send(request).await).code, "request-too-large");
}

#[tokio::test]
async fn a_body_that_is_set_again_takes_the_place_of_the_former_one() {
    let receiver = Receiver::start().await.unwrap();
    let world = world(&["*"]);
    let mut session = world.session();
    let mut request = session.http_request("PUT", &receiver.url()).unwrap();
    request.body(vec![0; REQUEST_BYTES_MAX / 2 + 1]);
    request.body(vec![0; REQUEST_BYTES_MAX / 2 + 1]);
    assert!(session.http_send(request).await.is_ok());
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let server = TcpAnswer::start(
        "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n",
        0,
    )
    .await;
    let response = get(&world(&["*"]), &server.url()).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(response.headers.contains(&("location".into(), "http://10.0.0.1/".into())));
}

#[tokio::test]
async fn a_response_past_the_limit_is_refused_whether_announced_or_not() {
    let announced =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", RESPONSE_BYTES_MAX + 1);
    for head in [announced.as_str(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"] {
        let server = TcpAnswer::start(head, RESPONSE_BYTES_MAX + 1).await;
        let error = told(get(&world(&["*"]), &server.url()).await);
        assert_eq!((error.code.as_str(), error.retryable), ("response-too-large", false));
    }
}

#[tokio::test]
async fn a_host_that_does_not_listen_is_a_retryable_error_without_the_query() {
    let receiver = Receiver::start().await.unwrap();
    receiver.stop_listening().await;
    let url = format!("{}?token=s3cret", receiver.url());
    let error = told(get(&world(&["*"]), &url).await);
    assert_eq!((error.code.as_str(), error.retryable), ("unreachable", true));
    assert!(!error.message.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_timeout_is_clamped_to_what_is_left_of_the_run() {
    let server = TcpAnswer::silent().await;
    let world = world(&["*"]);
    let mut session = world.session();
    world.clock.advance_ms(crate::fake::TIMEOUT_MS - 20);
    let mut request = session.http_request("GET", &server.url()).unwrap();
    request.timeout_ms(u32::MAX);
    let error = told(session.http_send(request).await);
    assert_eq!((error.code.as_str(), error.retryable), ("http-timeout", true));
}

#[tokio::test]
async fn a_run_that_lost_its_job_sends_nothing() {
    let receiver = Receiver::start().await.unwrap();
    let world = world(&["*"]);
    world.supervisor.stand(Standing::Fenced);
    assert_eq!(told(get(&world, &receiver.url()).await).code, "fenced");
    assert!(receiver.deliveries().is_empty());
}

#[tokio::test]
async fn a_plugin_that_asks_for_silent_names_keeps_no_other_waiting() {
    let receiver = Receiver::start().await.unwrap();
    let lively = receiver.url().replace("127.0.0.1", "lively.example");
    let mut silence = Silence::new();
    let egress = silence.egress();
    let greedy = world(&["*"]).plugin("greedy", &egress);
    for _ in 0..=LOOKUPS_MAX {
        let mut session = greedy.session();
        let request = session.http_request("GET", "http://silent.example/").unwrap();
        tokio::spawn(async move { session.http_send(request).await });
    }
    silence.begun(LOOKUPS_MAX_PER_OWNER).await;
    let modest = world(&["*:*"]).plugin("modest", &egress);
    assert_eq!(get(&modest, &lively).await.unwrap().status, 204);
    assert!(!silence.has_more(), "a plugin looks up more names than its share");
}
