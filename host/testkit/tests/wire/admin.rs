use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::{exact, get, lines, parts, post, post_json, request};

async fn names(ollama: &roughneck_testkit::ollama::FakeOllama) -> Vec<String> {
    let tags = get(ollama, "/api/tags").await;
    let names = tags["models"].as_array().unwrap().iter();
    names.map(|model| model["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_pull_tells_how_far_it_is_and_installs_the_model() {
    let ollama = exact().await;
    let response = post(&ollama, "/api/pull", &json!({"model": "gemma3"})).await;
    let (status, content_type, body) = parts(response).await;
    assert_eq!((status, content_type.as_str()), (200, "application/x-ndjson"));
    assert!(body.starts_with("{\"status\":\"pulling manifest\"}\n"), "{body}");
    assert!(body.ends_with("{\"status\":\"success\"}\n"), "{body}");
    let lines = lines(&body);
    let statuses: Vec<&str> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert!(statuses[1].starts_with("pulling ") && statuses[1].len() == 20, "{statuses:?}");
    assert_eq!(statuses[6..], ["verifying sha256 digest", "writing manifest", "success"]);
    assert_eq!(lines[1]["completed"], Value::Null);
    assert!(lines[5]["completed"].as_u64().unwrap() <= lines[5]["total"].as_u64().unwrap());
    assert!(lines[5]["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(names(&ollama).await.contains(&"gemma3:latest".to_owned()));
    assert!(!ollama.log()[0].client_left, "who has read the end has not left");
    let hi = json!({"model": "gemma3", "prompt": "Hi", "stream": false});
    assert_eq!(post(&ollama, "/api/generate", &hi).await.status(), 200);
}

#[tokio::test]
async fn what_no_registry_has_fails_after_the_first_line_or_with_a_status() {
    let ollama = exact().await;
    let body = parts(post(&ollama, "/api/pull", &json!({"model": "nobody"})).await).await.2;
    let error = r#"{"error":"pull model manifest: file does not exist"}"#;
    assert_eq!(body, format!("{{\"status\":\"pulling manifest\"}}\n{error}\n"));
    let whole = json!({"model": "nobody", "stream": false});
    let (status, _, body) = parts(post(&ollama, "/api/pull", &whole).await).await;
    assert_eq!((status, body.as_str()), (500, error));
}

#[tokio::test]
async fn a_push_reads_only_what_is_installed() {
    let ollama = exact().await;
    let whole = json!({"model": "qwen3:4b", "stream": false});
    assert_eq!(post_json(&ollama, "/api/push", &whole).await, json!({"status": "success"}));
    let body = parts(post(&ollama, "/api/push", &json!({"model": "m"})).await).await.2;
    assert!(body.contains("couldn't retrieve manifest") && body.contains("error"), "{body}");
}

#[tokio::test]
async fn copies_and_creations_share_the_runner_and_deletions_are_for_good() {
    let ollama = exact().await;
    let copy = json!({"source": "qwen3:4b", "destination": "mine"});
    let response = post(&ollama, "/api/copy", &copy).await;
    assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (200, ""));
    let made =
        json!({"model": "made:1", "from": "qwen3:4b", "system": "Be brief.", "stream": false});
    assert_eq!(post_json(&ollama, "/api/create", &made).await["status"], "success");
    let tags = get(&ollama, "/api/tags").await;
    let digest = |name: &str| {
        let mut models = tags["models"].as_array().unwrap().iter();
        models.find(|it| it["name"] == name).unwrap()["digest"].clone()
    };
    assert_eq!(digest("mine:latest"), digest("qwen3:4b"), "a copy has the same manifest");
    assert_ne!(digest("made:1"), digest("qwen3:4b"));
    for model in ["qwen3:4b", "mine", "made:1"] {
        let hi = json!({"model": model, "prompt": "Hi", "stream": false});
        assert_eq!(post(&ollama, "/api/generate", &hi).await.status(), 200);
    }
    assert_eq!(ollama.loads().len(), 1);

    let gone = json!({"model": "mine"}).to_string();
    let delete = || request(&ollama, Method::DELETE, "/api/delete").body(gone.clone()).send();
    assert_eq!(delete().await.unwrap().status(), 200);
    let (status, _, body) = parts(delete().await.unwrap()).await;
    assert_eq!((status, body.as_str()), (404, r#"{"error":"model 'mine' not found"}"#));
    assert!(!names(&ollama).await.contains(&"mine:latest".to_owned()));
    let (status, _, body) =
        parts(post(&ollama, "/api/copy", &json!({"source": "m", "destination": "n"})).await).await;
    assert_eq!((status, body.as_str()), (404, r#"{"error":"model \"m\" not found"}"#));
}

#[tokio::test]
async fn a_model_that_is_made_with_parameters_has_them_where_a_request_names_none() {
    let ollama = exact().await;
    let made = |model: &str, from: &str, parameters: Value| json!({"model": model, "from": from, "parameters": parameters, "stream": false});
    let roomy = made("roomy", "qwen3:4b", json!({"num_ctx": 8192, "stop": ["begins"]}));
    assert_eq!(post_json(&ollama, "/api/create", &roomy).await["status"], "success");
    let both = made("both", "roomy", json!({"temperature": 0.5}));
    assert_eq!(post_json(&ollama, "/api/create", &both).await["status"], "success");
    let shown = post_json(&ollama, "/api/show", &json!({"model": "both"})).await;
    let modelfile = shown["modelfile"].as_str().unwrap();
    let mut parameters = shown["parameters"].as_str().unwrap().lines();
    for (name, value, quoted) in [
        ("num_ctx", "8192", "8192"),
        ("stop", "begins", "\"begins\""),
        ("temperature", "0.5", "0.5"),
    ] {
        assert!(modelfile.contains(&format!("PARAMETER {name} {value}\n")), "{modelfile}");
        assert_eq!(parameters.next(), Some(format!("{name:<30} {quoted}").as_str()), "{shown}");
    }
    let tags = get(&ollama, "/api/tags").await;
    let digests: std::collections::BTreeSet<&str> = tags["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["digest"].as_str().unwrap())
        .collect();
    assert_eq!(digests.len(), 5, "each has one of its own");

    let hi = json!({"model": "qwen3:4b", "prompt": "Hi", "options": {"num_ctx": 8192}});
    assert!(!post(&ollama, "/api/generate", &hi).await.text().await.unwrap().is_empty());
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let answer =
        post_json(&ollama, "/v1/chat/completions", &json!({"model": "both", "messages": messages}))
            .await;
    assert_eq!(answer["model"], "both");
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(said.ends_with("The prompt "), "it stops where the model says: {said}");
    let embed = json!({"model": "both", "input": "Hi"});
    assert_eq!(post_json(&ollama, "/v1/embeddings", &embed).await["model"], "both");
    assert_eq!(ollama.loads().len(), 1, "{:?}", ollama.loads());
    assert_eq!(get(&ollama, "/api/ps").await["models"][0]["name"], "qwen3:4b");
    let plain = json!({"model": "qwen3:4b", "messages": messages});
    post_json(&ollama, "/v1/chat/completions", &plain).await;
    let contexts: Vec<u64> = ollama.loads().iter().map(|load| load.context_length).collect();
    assert_eq!(contexts, [8192, 4096], "the same weights with another context are loaded anew");
}

#[tokio::test]
async fn blobs_are_weighed_and_models_made_of_them() {
    let ollama = exact().await;
    let weights = "weights ".repeat(100_000);
    let hex: String = Sha256::digest(&weights).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = format!("/api/blobs/sha256:{hex}");
    let head = async || request(&ollama, Method::HEAD, &path).send().await.unwrap().status();
    let upload = async |body: &str| {
        let request = request(&ollama, Method::POST, &path).body(body.to_owned());
        request.send().await.unwrap().status()
    };
    assert_eq!(head().await, 404);
    assert_eq!(upload("other weights").await, 400);
    assert_eq!(upload(&weights).await, 201);
    assert_eq!(head().await, 200);
    assert_eq!(
        ollama.blobs().into_iter().collect::<Vec<_>>(),
        [(format!("sha256:{hex}"), 800_000)]
    );

    let made =
        |digest: &str| json!({"model": "made", "files": {"m.gguf": digest}, "stream": false});
    let of_blob = made(&format!("sha256:{hex}"));
    assert_eq!(post_json(&ollama, "/api/create", &of_blob).await["status"], "success");
    assert_eq!(post(&ollama, "/api/create", &made("sha256:0")).await.status(), 500);
    let neither = json!({"model": "made"});
    assert_eq!(post(&ollama, "/api/create", &neither).await.status(), 400);
    let bad = request(&ollama, Method::HEAD, "/api/blobs/sha256:12").send().await.unwrap();
    assert_eq!(bad.status(), 400);
}
