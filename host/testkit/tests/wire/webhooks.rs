use std::time::Duration;

use reqwest::StatusCode;
use roughneck_testkit::receiver::{Receiver, SignatureError, verify};

use crate::client::{DEADLINE, client};

async fn send(url: &str, body: &'static str) -> Result<StatusCode, reqwest::Error> {
    let response = client().post(url).header("webhook-id", body).body(body).send().await?;
    Ok(response.status())
}

#[tokio::test]
async fn deliveries_are_kept_in_order_with_what_was_answered() {
    let receiver = Receiver::start().await.unwrap();
    assert_eq!(send(&receiver.url(), "first").await.unwrap(), StatusCode::NO_CONTENT);
    receiver.respond_with(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(send(&receiver.url(), "second").await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    let deliveries = receiver.wait_for(2, DEADLINE).await.unwrap();
    let seen: Vec<(&[u8], u16)> = deliveries
        .iter()
        .map(|delivery| (delivery.body.as_ref(), delivery.answered.as_u16()))
        .collect();
    assert_eq!(seen, [(b"first".as_slice(), 204), (b"second".as_slice(), 503)]);
    assert_eq!(deliveries[0].path, "/hook");
    assert_eq!(deliveries[0].headers["webhook-id"], "first");
    assert!(deliveries[0].received_at <= deliveries[1].received_at);
    assert_eq!(
        verify("whsec_", &deliveries[0].headers, &deliveries[0].body),
        Err(SignatureError::Header("webhook-timestamp"))
    );
}

#[tokio::test]
async fn waiting_wakes_when_the_delivery_comes_and_gives_up_when_it_does_not() {
    let receiver = Receiver::start().await.unwrap();
    let url = receiver.url();
    let (waited, sent) = tokio::join!(receiver.wait_for(1, DEADLINE), send(&url, "late"));
    assert_eq!((waited.unwrap().len(), sent.unwrap()), (1, StatusCode::NO_CONTENT));
    let error = receiver.wait_for(2, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.what, "2 webhook deliveries, of which 1 came");
}

#[tokio::test]
async fn a_receiver_goes_down_and_comes_back_on_the_same_port() {
    let receiver = Receiver::start().await.unwrap();
    let url = receiver.url();
    receiver.stop_listening().await;
    assert!(send(&url, "lost").await.unwrap_err().is_connect());
    receiver.listen_again().await.unwrap();
    assert_eq!(send(&url, "kept").await.unwrap(), StatusCode::NO_CONTENT);
    assert_eq!(receiver.deliveries().len(), 1);
    assert_eq!(receiver.url(), url);
}
