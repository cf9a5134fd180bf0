use std::sync::Arc;

use roughneck_jobs::{delivery::DeliveryState, id::JobId};
use roughneck_testkit::receiver::Receiver;

use super::*;
use crate::{
    egress::{LOOKUPS_MAX, LOOKUPS_MAX_PER_OWNER},
    fake::{Silence, TcpAnswer, install_tls},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB";

fn webhooks(targets: &[(&str, &str)], allow_private: bool) -> Webhooks {
    install_tls();
    webhooks_by(Egress::new().unwrap(), targets, allow_private)
}

fn webhooks_by(egress: Egress, targets: &[(&str, &str)], allow_private: bool) -> Webhooks {
    let secret: Secret = SECRET.parse().unwrap();
    let target = |url: &str| Target {
        url: url.parse().unwrap(),
        secret: Secret::new(vec![7; 32]),
        allow_private: true,
    };
    let targets = targets.iter().map(|(name, url)| ((*name).to_owned(), target(url))).collect();
    Webhooks::new(Config { targets, secret, allow_private }, egress)
}

fn delivery(target: &str) -> Delivery {
    let job: JobId = ID.parse().unwrap();
    Delivery {
        id: ID.parse().unwrap(),
        job,
        target: target.parse().unwrap(),
        event: "job.done".into(),
        body: r#"{"type":"job.done"}"#.into(),
        state: DeliveryState::Pending,
        attempts: 0,
        next_at: Millis(0),
        finished_at: None,
        last_error: None,
    }
}

fn message(result: Result<(), NotDelivered>) -> String {
    match result.unwrap_err() {
        NotDelivered::ForNow { message, .. } => message,
        NotDelivered::ForGood(message) => panic!("for good: {message}"),
    }
}

#[tokio::test]
async fn a_webhook_arrives_signed_in_the_standard_form() {
    let receiver = Receiver::start().await.unwrap();
    let webhooks = webhooks(&[], true);
    webhooks.send(&delivery(&receiver.url()), Millis(1_614_265_330_999)).await.unwrap();
    let seen = receiver.deliveries();
    let header = |name: &str| seen[0].headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("webhook-id"), ID);
    assert_eq!(header("webhook-timestamp"), "1614265330");
    let secret: Secret = SECRET.parse().unwrap();
    let expected = secret.sign(ID, 1_614_265_330, r#"{"type":"job.done"}"#);
    assert_eq!(header("webhook-signature"), expected);
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("roughneck/"));
    assert_eq!(&seen[0].body[..], br#"{"type":"job.done"}"#);
}

#[tokio::test]
async fn a_named_target_has_its_own_url_and_secret() {
    let receiver = Receiver::start().await.unwrap();
    let webhooks = webhooks(&[("cms", &receiver.url())], false);
    webhooks.send(&delivery("cms"), Millis(1000)).await.unwrap();
    let expected = Secret::new(vec![7; 32]).sign(ID, 1, r#"{"type":"job.done"}"#);
    assert_eq!(receiver.deliveries()[0].headers["webhook-signature"], expected.as_str());
}

#[tokio::test]
async fn an_unknown_target_waits_for_the_operator() {
    let error = message(webhooks(&[], true).send(&delivery("pager"), Millis(0)).await);
    assert!(error.contains("add [callbacks.targets.pager]"), "{error}");
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let receiver = Receiver::start().await.unwrap();
    let webhooks = webhooks(&[], false);
    let local = receiver.url().replace("127.0.0.1", "localhost");
    for url in [receiver.url(), local] {
        let error = message(webhooks.send(&delivery(&url), Millis(0)).await);
        assert!(error.contains("`allow-private = true`"), "{error}");
    }
    assert!(receiver.deliveries().is_empty());
}

#[tokio::test]
async fn the_answer_decides() {
    let receiver = Receiver::start().await.unwrap();
    let webhooks = webhooks(&[], true);
    let send = || async { webhooks.send(&delivery(&receiver.url()), Millis(0)).await };
    receiver.respond_with(StatusCode::ACCEPTED);
    assert_eq!(send().await, Ok(()));
    receiver.respond_with(StatusCode::GONE);
    assert!(matches!(send().await, Err(NotDelivered::ForGood(_))));
    for status in [StatusCode::FOUND, StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY] {
        receiver.respond_with(status);
        let error = message(send().await);
        assert!(error.contains(status.as_str()), "{error}");
        assert_eq!(error.contains("redirects are not followed"), status.is_redirection());
    }
}

#[tokio::test]
async fn a_receiver_may_ask_to_wait_but_not_for_ever() {
    for (asked, expected) in [("7", Some(7_000)), ("99999999", Some(3_600_000)), ("soon", None)] {
        let head = format!(
            "HTTP/1.1 503 Busy\r\nretry-after: {asked}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let server = TcpAnswer::start(&head, 0).await;
        let error =
            webhooks(&[], true).send(&delivery(&server.url()), Millis(0)).await.unwrap_err();
        let NotDelivered::ForNow { retry_after_ms, .. } = error else { panic!("{error}") };
        assert_eq!(retry_after_ms, expected);
    }
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end() {
    let server = TcpAnswer::start("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", 64 << 20).await;
    assert_eq!(webhooks(&[], true).send(&delivery(&server.url()), Millis(0)).await, Ok(()));
}

#[tokio::test]
async fn a_receiver_that_speaks_something_else_was_reached() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    for (head, why) in
        [("220 mail.example ready\r\n", "invalid HTTP version"), (&long, "too large")]
    {
        let server = TcpAnswer::start(head, 0).await;
        let error = message(webhooks(&[], true).send(&delivery(&server.url()), Millis(0)).await);
        assert!(error.contains("was reached, and gave no answer in HTTP: "), "{error}");
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn errors_carry_neither_credentials_nor_paths() {
    let receiver = Receiver::start().await.unwrap();
    receiver.stop_listening().await;
    let url = receiver.url().replace("http://", "http://user:hunter2@");
    let webhooks = webhooks(&[("cms", &format!("{url}?k=s3cret"))], true);
    let error = message(webhooks.send(&delivery("cms"), Millis(0)).await);
    for secret in ["hunter2", "s3cret", "/hook", SECRET] {
        assert!(!error.contains(secret), "{error}");
    }
    assert!(error.contains("cannot be reached"), "{error}");
}

#[test]
fn what_is_shown_of_a_configuration_has_neither_urls_nor_secrets() {
    let shown = format!("{:?}", webhooks(&[("cms", "https://hooks.example/T00/s3cret")], true));
    assert!(shown.contains("cms") && shown.contains("allow_private: true"), "{shown}");
    for secret in ["hooks.example", "s3cret", "Mf", "Secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_receiver_whose_name_server_is_silent_keeps_no_other_waiting() {
    let receiver = Receiver::start().await.unwrap();
    let lively = receiver.url().replace("127.0.0.1", "lively.example");
    let mut silence = Silence::new();
    let webhooks = Arc::new(webhooks_by(silence.egress(), &[], true));
    for _ in 0..=LOOKUPS_MAX {
        let webhooks = Arc::clone(&webhooks);
        let delivery = delivery("http://silent.example/");
        tokio::spawn(async move { webhooks.send(&delivery, Millis(0)).await });
    }
    silence.begun(LOOKUPS_MAX_PER_OWNER).await;
    webhooks.send(&delivery(&lively), Millis(0)).await.unwrap();
    assert!(!silence.has_more());
}
