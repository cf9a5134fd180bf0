use serde_json::{Value, json};

use crate::client::{exact, post_json};

const ARTICLE: &str = "Summarise this article:\n\nThe storm reached the coast on Monday. It flooded \
    three villages and cut the railway line. Nobody was hurt.\n\nRepairs will take a week. The \
    minister promised help.";

async fn answer(prompt: &str, schema: &Value) -> String {
    let ollama = exact().await;
    let body = json!({
        "model": "qwen3:4b",
        "messages": [{"role": "user", "content": prompt}],
        "format": schema,
        "stream": false,
    });
    let answer = post_json(&ollama, "/api/chat", &body).await;
    answer["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A small validator of its own: the simulator must not judge itself.
fn violations(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{path}: {what}: {value}"));
        }
    };
    let kind_fits = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    match &schema["type"] {
        Value::String(kind) => check(kind_fits(kind), "type"),
        Value::Array(kinds) => check(kinds.iter().any(|k| kind_fits(k.as_str().unwrap())), "type"),
        _ => {}
    }
    if let Some(choices) = schema["enum"].as_array() {
        check(choices.contains(value), "enum");
    }
    if let Some(constant) = schema.get("const") {
        check(constant == value, "const");
    }
    let bound = |name: &str| schema[name].as_f64();
    if let Some(number) = value.as_f64() {
        check(bound("minimum").is_none_or(|min| number >= min), "minimum");
        check(bound("maximum").is_none_or(|max| number <= max), "maximum");
        check(bound("exclusiveMinimum").is_none_or(|min| number > min), "exclusiveMinimum");
        check(bound("exclusiveMaximum").is_none_or(|max| number < max), "exclusiveMaximum");
    }
    if let Some(text) = value.as_str() {
        let length = text.chars().count() as f64;
        check(bound("minLength").is_none_or(|min| length >= min), "minLength");
        check(bound("maxLength").is_none_or(|max| length <= max), "maxLength");
    }
    if let Some(items) = value.as_array() {
        let length = items.len() as f64;
        check(bound("minItems").is_none_or(|min| length >= min), "minItems");
        check(bound("maxItems").is_none_or(|max| length <= max), "maxItems");
        for (position, item) in items.iter().enumerate() {
            found.extend(violations(&schema["items"], item, &format!("{path}/{position}")));
        }
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(name.as_str().unwrap()) {
                found.push(format!("{path}: {name} is required"));
            }
        }
        for (name, item) in object {
            let property = &schema["properties"][name];
            found.extend(violations(property, item, &format!("{path}/{name}")));
        }
    }
    found
}

#[tokio::test]
async fn a_summary_looks_like_one() {
    let schema = json!({
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "summary": {"type": "string"},
            "key_points": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 3},
        },
        "required": ["title", "summary", "key_points"],
    });
    assert_eq!(
        answer(ARTICLE, &schema).await,
        concat!(
            r#"{"key_points":["The storm reached the coast on Monday.","#,
            r#""It flooded three villages and cut the railway line.","Nobody was hurt."],"#,
            r#""summary":"[simulated] The storm reached the coast on Monday. "#,
            r#"It flooded three villages and cut the railway line.","#,
            r#""title":"[simulated] The storm reached the coast on Monday"}"#
        ),
        "json! sorts the schema's keys, and the answer has the order of the schema"
    );
}

#[tokio::test]
async fn properties_come_in_the_order_of_the_schema() {
    let ollama = exact().await;
    let body = r#"{"model":"qwen3:4b","prompt":"Hi","stream":false,"format":
        {"type":"object","properties":{"zebra":{"const":1},"ape":{"const":2},"mole":{"const":3}}}}"#;
    let url = format!("{}/api/generate", ollama.url());
    let response = crate::client::client().post(url).body(body).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["response"], r#"{"zebra":1,"ape":2,"mole":3}"#);
}

#[tokio::test]
async fn the_choice_is_the_one_that_the_prompt_speaks_of() {
    let schema = json!({"enum": ["network", "out-of-memory", "timeout", "unknown"]});
    for (prompt, expected) in [
        ("java.lang.OutOfMemoryError: no memory left", r#""out-of-memory""#),
        ("the request hit its timeout after 30 s", r#""timeout""#),
        ("NetworkError when fetching", r#""network""#),
        ("", r#""network""#),
    ] {
        assert_eq!(answer(&format!("Classify:\n{prompt} "), &schema).await, expected, "{prompt}");
    }
    let several = json!({"type": "array", "items": schema, "minItems": 2, "maxItems": 2});
    assert_eq!(
        answer("a timeout of the network, timeout", &several).await,
        r#"["timeout","network"]"#
    );
}

#[tokio::test]
async fn every_kind_of_schema_is_followed() {
    let leaf = json!({
        "type": "object",
        "required": ["kind", "more"],
        "properties": {
            "kind": {"type": "string", "enum": ["a", "b"]},
            "ratio": {"type": "number", "minimum": 2, "exclusiveMaximum": 2.5},
            "score": {"type": "number", "exclusiveMinimum": 0.5},
            "count": {"type": "integer", "exclusiveMinimum": 3, "maximum": 4},
            "below": {"type": "integer", "maximum": -7},
            "sure": {"type": "boolean"},
            "nothing": {"type": "null"},
            "maybe": {"type": ["null", "integer"]},
            "short": {"type": "string", "maxLength": 5},
            "long": {"type": "string", "minLength": 400},
            "fixed": {"const": {"a": [1]}},
        },
    });
    let table = [
        leaf.clone(),
        json!({"type": "array", "items": leaf.clone(), "minItems": 9}),
        json!({"type": "array", "items": {"type": "array", "items": leaf, "maxItems": 1}}),
        json!({"type": "array", "maxItems": 0}),
        json!({"type": "array", "items": true, "minItems": 1}),
        json!({"type": "object", "properties": {"no": false, "any": true}, "required": ["any"]}),
        json!({"type": "integer", "minimum": 1e15}),
        json!({}),
    ];
    for schema in table {
        for prompt in [ARTICLE, "Grüße 👋", "?"] {
            let text = answer(prompt, &schema).await;
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(violations(&schema, &value, ""), Vec::<String>::new(), "{text}");
            assert_eq!(text, answer(prompt, &schema).await);
        }
    }
}

#[tokio::test]
async fn references_are_followed_and_recursion_ends() {
    let schema = json!({
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
            },
            "required": ["name", "children"],
        }},
    });
    let value: Value = serde_json::from_str(&answer(ARTICLE, &schema).await).unwrap();
    let tree = &schema["$defs"]["tree"];
    assert_eq!(violations(tree, &value, ""), Vec::<String>::new());
    assert_eq!(violations(tree, &value["children"][0], ""), Vec::<String>::new());
    let hostile =
        json!({"type": "array", "minItems": 4_000_000_000_u64, "items": {"type": "string"}});
    assert!(answer(ARTICLE, &hostile).await.len() < 2 << 20);
}
