//! Ollama's surface in front of fakes.

use axum::{body::Body, http::Request, response::Response};
use roughneck_jobs::{
    class::{CLIENT, IO, OLLAMA},
    delivery::Target,
    job::Job,
    ports::gateway::PassRoute,
    priority::Priority,
    state::State,
};

use crate::testing::{Host, a_job, json, text};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

fn host() -> Host {
    let host = Host::new();
    host.fakes.catalog.serve_calls();
    host
}

async fn chat(host: &Host, headers: &[(&str, &str)], body: &str) -> Response {
    let mut request = Request::post("/api/chat");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    host.call(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_call_is_a_job_with_a_client_that_waits() {
    let host = host();
    let headers = [("user-agent", "ollama-python/1"), ("x-openwebui-user-id", "u7")];
    let response = chat(&host, &headers, CHAT).await;
    assert_eq!(response.status(), 200);
    let attended = host.fakes.control.attended().remove(0);
    let job = &attended.job;
    assert_eq!(response.headers()["x-roughneck-job-id"], job.id.to_string().as_str());
    assert_eq!((job.kind.as_str(), job.class.0.as_str()), ("ollama.call", CLIENT));
    assert_eq!((job.priority, job.input.as_str()), (Priority::HIGH, r#"{"path":"/api/chat"}"#));
    assert!(attended.said().outcome.is_some());
    let call = host.fakes.gateway.calls.lock().unwrap().remove(0);
    assert_eq!(call.user_agent.as_deref(), Some("ollama-python/1"));
    assert_eq!(call.caller.as_deref(), Some("u7"));
    assert_eq!(text(response).await, CHAT, "byte for byte");
}

#[tokio::test]
async fn a_client_may_ask_for_a_priority() {
    let host = host();
    for (asked, priority) in [("urgent", Priority::URGENT), ("0", Priority::BULK)] {
        assert_eq!(chat(&host, &[("x-roughneck-priority", asked)], CHAT).await.status(), 200);
        assert_eq!(host.fakes.control.attended().last().unwrap().job.priority, priority);
    }
    let refused = chat(&host, &[("x-roughneck-priority", "asap")], CHAT).await;
    assert_eq!(refused.status(), 422);
    let sentence = text(refused).await;
    assert!(sentence.starts_with("Native: the header `x-roughneck-priority`"), "{sentence}");
}

#[tokio::test]
async fn what_is_refused_is_no_job_and_is_told_in_the_form_of_the_surface() {
    let host = host();
    assert_eq!(chat(&host, &[], r#"{"model":"nope"}"#).await.status(), 404);
    host.fakes.control.stop();
    let refused = host.send("POST", "/v1/messages", CHAT).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "5", "as the sentence says");
    assert!(text(refused).await.starts_with("Anthropic: the host stops"));
    assert!(host.fakes.control.attended().is_empty());
}

#[tokio::test]
async fn a_client_that_comes_back_later_gets_a_durable_job() {
    let host = host();
    let response = chat(&host, &[("prefer", "wait=1, respond-async")], CHAT).await;
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    let job = host.fakes.store.submitted().remove(0);
    assert_eq!(response.headers()["location"], format!("/jobs/{}", job.id).as_str());
    assert_eq!((job.kind.as_str(), job.class.0.as_str()), ("ollama.call", OLLAMA));
    assert_eq!(job.input, format!(r#"{{"path":"/api/chat","body":{CHAT}}}"#));
    let named = [("prefer", "respond-async"), ("x-roughneck-caller", "alice")];
    assert_eq!(chat(&host, &named, CHAT).await.status(), 202);
    let job = host.fakes.store.submitted().remove(1);
    assert_eq!(job.input, format!(r#"{{"path":"/api/chat","caller":"alice","body":{CHAT}}}"#));
    assert_eq!(job.caller, Some("alice".parse().unwrap()));
    assert!(host.fakes.control.attended().is_empty());
    let wrong = chat(&host, &[("prefer", "respond-async")], "{}").await;
    assert_eq!(
        (wrong.status().as_u16(), text(wrong).await),
        (400, "Native: model is required".into())
    );
    let later = axum::http::Request::post("/v1/embeddings").header("prefer", "respond-async");
    let wrong = host.call(later.body("{}".into()).unwrap()).await;
    assert_eq!(
        (wrong.status().as_u16(), text(wrong).await),
        (404, "OpenAi: model '' not found".into())
    );
    host.fakes.llm.forget_models();
    let unknown = chat(&host, &[("prefer", "respond-async")], CHAT).await;
    assert_eq!(
        (unknown.status().as_u16(), text(unknown).await),
        (404, "Native: model 'm' not found".into())
    );
    let foreman = host.send("POST", "/jobs", CHAT).await;
    assert_eq!(foreman.status(), 422, "this is a route of ours");
    assert_eq!(json(foreman).await["code"], "model-not-installed");
}

#[tokio::test]
async fn a_name_that_no_model_can_have_is_refused_when_its_job_is_submitted() {
    let host = host();
    let call = r#"{"model":"a b","messages":[{"role":"user","content":"hi"}]}"#;
    let refused = chat(&host, &[("prefer", "respond-async")], call).await;
    assert_eq!(
        (refused.status().as_u16(), text(refused).await),
        (400, "Native: invalid model name".into())
    );
    let refused = host.send("POST", "/jobs", call).await;
    assert_eq!(refused.status(), 422, "this is a route of ours");
    let problem = json(refused).await;
    assert_eq!(problem["code"], "invalid-submission");
    assert_eq!(problem["detail"], "`a b`: invalid model name");
    assert!(host.fakes.store.submitted().is_empty());
}

#[tokio::test]
async fn a_job_of_a_model_elsewhere_takes_no_slot_of_the_gpu_and_is_none_where_nothing_may_leave() {
    let host = host();
    let call = r#"{"model":"kimi:cloud","messages":[{"role":"user","content":"hi"}]}"#;
    let later = [("prefer", "respond-async")];
    assert_eq!(chat(&host, &later, call).await.status(), 202);
    assert_eq!(host.send("POST", "/jobs", call).await.status(), 202);
    let of_kind =
        format!(r#"{{"kind":"ollama.call","input":{{"path":"/api/chat","body":{call}}}}}"#);
    assert_eq!(host.send("POST", "/jobs", of_kind.clone()).await.status(), 202);
    let jobs = host.fakes.store.submitted();
    assert_eq!(jobs.iter().map(|job| job.class.0.as_str()).collect::<Vec<_>>(), [IO; 3]);
    assert!(jobs.iter().all(|job| job.model.as_deref() == Some("kimi:cloud")));

    host.fakes.llm.stay_here();
    let refused = chat(&host, &later, call).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["x-roughneck-code"], "cloud-disabled");
    let words = text(refused).await;
    assert!(words.starts_with("Native: ollama cloud is disabled: "), "{words}");
    assert!(words.contains("`cloud = true` under [ollama]"), "{words}");
    for body in [call, &of_kind] {
        let refused = host.send("POST", "/jobs", body.to_owned()).await;
        assert_eq!(refused.status(), 403);
        assert_eq!(json(refused).await["code"], "cloud-disabled");
    }
    let flow = format!(r#"{{"jobs":[{}]}}"#, of_kind.replacen('{', r#"{"name":"far","#, 1));
    let refused = host.send("POST", "/flows", flow).await;
    assert_eq!(refused.status(), 403);
    let problem = json(refused).await;
    assert_eq!((&problem["code"], &problem["job"]), (&"cloud-disabled".into(), &"far".into()));
    assert_eq!(host.fakes.store.submitted().len(), 3);
}

#[tokio::test]
async fn a_job_that_would_have_ollama_search_the_web_is_refused_when_it_is_submitted() {
    let host = host();
    let call = r#"{"model":"m","input":"hi","tools":[{"type":"web_search"}]}"#;
    let later = Request::post("/v1/responses").header("prefer", "respond-async");
    let refused = host.call(later.body(Body::from(call)).unwrap()).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["x-roughneck-code"], "cloud-disabled");
    assert_eq!(text(refused).await, "OpenAi: ollama cloud is disabled: web search");
    let of_kind =
        format!(r#"{{"kind":"ollama.call","input":{{"path":"/v1/responses","body":{call}}}}}"#);
    let flow = format!(r#"{{"jobs":[{}]}}"#, of_kind.replacen('{', r#"{"name":"far","#, 1));
    for (path, body) in [("/jobs", &of_kind), ("/flows", &flow)] {
        let refused = host.send("POST", path, body.to_owned()).await;
        assert_eq!(refused.status(), 403, "{path}");
        let problem = json(refused).await;
        assert_eq!(problem["code"], "cloud-disabled");
        assert!(problem["detail"].as_str().unwrap().contains("web search"), "{problem}");
    }
    assert!(host.fakes.store.submitted().is_empty());
    // Another kind may call its fields as it likes.
    let other = r#"{"kind":"echo","input":{"path":"/v1/responses","body":{"x":"web_search"}}}"#;
    assert_eq!(host.send("POST", "/jobs", other).await.status(), 202);
}

#[tokio::test]
async fn scripts_of_foreman_find_their_own_shape() {
    let host = host();
    let body = r#"{"model":"m","prompt":"hi","state_webhook_url":"http://hooks.example:9/hook"}"#;
    let response = host.send("POST", "/jobs", body).await;
    assert_eq!(response.status(), 202);
    let job = host.fakes.store.submitted().remove(0);
    assert_eq!(json(response).await["job_id"], job.id.to_string().as_str());
    assert_eq!(job.callback, Some(Target::Url("http://hooks.example:9/hook".to_owned())));
    assert_eq!(job.input, format!(r#"{{"path":"/api/generate","body":{body}}}"#));
}

#[tokio::test]
async fn a_key_of_the_submitter_s_makes_one_job_of_a_call_that_is_sent_twice() {
    let foreman = r#"{"model":"m","prompt":"hi"}"#;
    for (path, body) in [("/api/chat", CHAT), ("/jobs", foreman)] {
        let host = host();
        let send = async |body: &str| {
            let request = Request::post(path).header("prefer", "respond-async");
            let request = request.header("idempotency-key", "order-7");
            host.call(request.body(Body::from(body.to_owned())).unwrap()).await
        };
        assert_eq!(send(body).await.status(), 202);
        let job = host.fakes.store.submitted().remove(0);
        assert_eq!(job.idempotency_key.as_deref(), Some("order-7"));
        let stands = Job { kind: job.kind, input: job.input, state: State::Done, ..a_job() };
        host.fakes.store.put_keyed("order-7", stands);
        // Whatever else has changed since.
        host.fakes.control.stop();
        let repeated = send(body).await;
        assert_eq!(repeated.status(), 200, "{path}");
        assert_eq!(repeated.headers()["location"], format!("/jobs/{}", a_job().id).as_str());
        let answer = json(repeated).await;
        assert_eq!(answer["state"], "done");
        let other = send(&body.replace("hi", "ho")).await;
        assert_eq!(other.status(), 422, "{path}");
        assert!(text(other).await.contains("was submitted with this `Idempotency-Key`"));
        assert_eq!(host.fakes.store.submitted().len(), 1);
    }
}

#[tokio::test]
async fn a_host_that_stops_takes_no_call_in_any_shape() {
    let host = host();
    host.fakes.control.stop();
    let foreman = r#"{"model":"m","prompt":"hi"}"#;
    assert_eq!(host.send("POST", "/jobs", foreman).await.status(), 503);
    assert_eq!(chat(&host, &[("prefer", "respond-async")], CHAT).await.status(), 503);
    assert!(host.fakes.store.submitted().is_empty());
}

#[tokio::test]
async fn what_needs_no_model_passes_with_its_query() {
    let host = host();
    for (method, path, route) in [
        ("GET", "/api/tags?x=1", PassRoute::Tags),
        ("HEAD", "/api/version", PassRoute::Version),
        ("GET", "/api/experimental/model-recommendations", PassRoute::Recommendations),
        ("GET", "/v1/models/qwen3:4b", PassRoute::Model),
        ("DELETE", "/api/delete", PassRoute::Delete),
        ("HEAD", "/api/blobs/sha256:1", PassRoute::Blob),
    ] {
        assert_eq!(host.send(method, path, "").await.status(), 200, "{path}");
        let passed = host.fakes.gateway.passed.lock().unwrap().pop().unwrap();
        assert_eq!(passed, (route, method.to_owned(), path.to_owned()));
    }
}

#[tokio::test]
async fn nothing_else_of_ollama_is_reachable() {
    let host = host();
    for (method, path, status, form) in [
        ("GET", "/debug/pprof/", 404, "{"),
        ("GET", "/api/nothing", 404, "Native: there is nothing at"),
        ("GET", "/v1/files", 404, "OpenAi: there is nothing at"),
        ("POST", "/v1/messages/count_tokens", 404, "Anthropic: there is nothing at"),
        ("GET", "/api/chat", 405, "Native: `/api/chat` does not take GET"),
        ("GET", "/v1/chat/completions", 405, "OpenAi: "),
        ("POST", "/api/me", 403, "Native: this acts in the name of the operator's account"),
        ("POST", "/api/signout", 403, "Native: "),
        ("DELETE", "/api/user/keys/7", 403, "Native: "),
        ("POST", "/api/experimental/web_search", 403, "Native: "),
        ("POST", "/v1/audio/transcriptions", 501, "OpenAi: this host does not transcribe"),
    ] {
        let refused = host.send(method, path, "").await;
        assert_eq!(refused.status(), status, "{path}");
        let words = text(refused).await;
        assert!(words.starts_with(form), "{path}: {words}");
    }
    assert!(host.fakes.gateway.passed.lock().unwrap().is_empty());
    assert_eq!(text(host.get("/").await).await, "Ollama is running");
}

#[tokio::test]
async fn a_call_that_is_too_large_is_told_so_by_its_surface() {
    let host = host();
    let body = " ".repeat(host.app.settings.call_bytes_max + 1);
    for path in ["/api/chat", "/api/show"] {
        let refused = host.send("POST", path, body.clone()).await;
        assert_eq!(refused.status(), 413, "{path}");
        assert!(text(refused).await.starts_with("Native: the body is larger"), "{path}");
    }
    assert!(host.fakes.gateway.passed.lock().unwrap().is_empty());
}
