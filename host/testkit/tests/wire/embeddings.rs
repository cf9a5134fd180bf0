use serde_json::json;

use crate::client::{exact, parts, post, post_json};

#[tokio::test]
async fn embeddings_are_listed_with_their_figures() {
    let ollama = exact().await;
    let body = json!({"model": "nomic-embed-text", "input": ["red sea", "blue sky"]});
    let (status, _, text) = parts(post(&ollama, "/api/embed", &body).await).await;
    assert_eq!(status, 200);
    assert!(text.starts_with(r#"{"model":"nomic-embed-text","embeddings":[["#), "{text}");
    let tail = r#"]],"total_duration":302400000,"load_duration":300000000,"prompt_eval_count":12}"#;
    assert!(text.ends_with(tail), "{text}");

    let answer = post_json(&ollama, "/api/embed", &body).await;
    let embeddings = answer["embeddings"].as_array().unwrap();
    assert_eq!(embeddings.len(), 2);
    assert_eq!(embeddings[0].as_array().unwrap().len(), 768);
    assert_ne!(embeddings[0], embeddings[1]);

    let short = json!({"model": "nomic-embed-text", "input": "red sea", "dimensions": 64});
    let answer = post_json(&ollama, "/api/embed", &short).await;
    assert_eq!(answer["embeddings"][0].as_array().unwrap().len(), 64);
    assert_eq!(ollama.in_flight_max(), 0, "embeddings are not generation");
}

#[tokio::test]
async fn empty_input_only_loads_and_the_old_route_has_no_figures() {
    let ollama = exact().await;
    let empty = json!({"model": "nomic-embed-text"});
    let body = parts(post(&ollama, "/api/embed", &empty).await).await.2;
    assert_eq!(body, r#"{"model":"nomic-embed-text","embeddings":[]}"#);
    assert_eq!(ollama.loads().len(), 1);
    let old = json!({"model": "nomic-embed-text", "prompt": "red sea"});
    let answer = post_json(&ollama, "/api/embeddings", &old).await;
    assert_eq!(answer.as_object().unwrap().len(), 1);
    assert_eq!(answer["embedding"].as_array().unwrap().len(), 768);
}

#[tokio::test]
async fn openais_embeddings_come_as_floats_or_as_base64() {
    let ollama = exact().await;
    let mut asked = json!({"model": "nomic-embed-text", "input": "red sea", "dimensions": 2});
    let floats = post_json(&ollama, "/v1/embeddings", &asked).await;
    assert_eq!(floats["object"], "list");
    assert_eq!(floats["usage"], json!({"prompt_tokens": 6, "total_tokens": 6}));
    let numbers = floats["data"][0]["embedding"].as_array().unwrap();
    assert_eq!((numbers.len(), &floats["data"][0]["index"]), (2, &json!(0)));

    asked["encoding_format"] = json!("base64");
    let encoded = post_json(&ollama, "/v1/embeddings", &asked).await;
    let text = encoded["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), 12, "two floats are eight bytes");

    asked["encoding_format"] = json!("hex");
    assert_eq!(post(&ollama, "/v1/embeddings", &asked).await.status(), 400);
    let nothing = json!({"model": "nomic-embed-text"});
    let (status, _, body) = parts(post(&ollama, "/v1/embeddings", &nothing).await).await;
    assert_eq!(status, 400);
    assert!(body.starts_with(r#"{"error":{"message":"invalid input","type":"#), "{body}");
}
