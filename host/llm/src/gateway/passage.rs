//! Requests that do not wait for the lane: what is installed, what is loaded, and, where the operator
//! allows it, what changes either.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use reqwest::Response;
use roughneck_jobs::ports::gateway::{PassRoute, Passage, Reply, ReplyBody};
use serde_json::{Value, json};

use super::{
    asked,
    envelope::{Edits, Envelope},
    form,
};
use crate::{client::root_cause, lane::Shared, resolve};

/// Largest body that is read here, in bytes. Blobs are not: they pass.
const BODY_BYTES_MAX: usize = 16 << 20;

pub(crate) async fn pass(shared: &Arc<Shared>, passage: Passage) -> Reply {
    let form = passage.route.form();
    let refused = |status, message: &str| form::refusal(form, status, message);
    if passage.route.is_admin() && !shared.config.admin {
        return refused(403, ADMIN_IS_OFF);
    }
    let route = passage.route;
    let answer = match route {
        PassRoute::Version => match shared.inventory.version() {
            Some(version) => return json_reply(&json!({"version": version})),
            None => forward(shared, passage).await,
        },
        PassRoute::Show => forward_show(shared, passage).await,
        PassRoute::Status
        | PassRoute::Tags
        | PassRoute::Ps
        | PassRoute::Models
        | PassRoute::Model
        | PassRoute::Pull
        | PassRoute::Push
        | PassRoute::Create
        | PassRoute::Copy
        | PassRoute::Delete
        | PassRoute::Blob => forward(shared, passage).await,
    };
    let response = match answer {
        Ok(response) => response,
        Err(why) => return refused(why.status, &why.message),
    };
    match route {
        PassRoute::Tags => with_aliases(shared, response, "models", "name").await,
        PassRoute::Models => with_aliases(shared, response, "data", "id").await,
        PassRoute::Version
        | PassRoute::Status
        | PassRoute::Ps
        | PassRoute::Show
        | PassRoute::Model => streamed(response),
        PassRoute::Pull
        | PassRoute::Push
        | PassRoute::Create
        | PassRoute::Copy
        | PassRoute::Delete
        | PassRoute::Blob => {
            // Whatever it was, the inventory may be another one now.
            shared.inventory.suspect();
            streamed(response)
        }
    }
}

const ADMIN_IS_OFF: &str = "this host does not let its clients change what is installed in Ollama; \
    set `admin = true` under [ollama] in roughneck.toml, or ask Ollama itself";

/// Why a request did not pass.
struct Stopped {
    status: u16,
    message: String,
}

async fn forward(shared: &Shared, passage: Passage) -> Result<Response, Stopped> {
    let Passage { method, path, headers, body, .. } = passage;
    let sent = shared.client.pass(&method, &path, &headers, reqwest::Body::wrap_stream(body));
    sent.await.map_err(|error| Stopped { status: 503, message: error.to_string() })
}

/// An alias is known to nobody else, so its model is asked for.
async fn forward_show(shared: &Shared, mut passage: Passage) -> Result<Response, Stopped> {
    let bad = |message: String| Stopped { status: 400, message };
    let mut body = BytesMut::new();
    while let Some(chunk) = passage.body.next().await {
        body.extend_from_slice(&chunk.map_err(|error| bad(error.to_string()))?);
        if body.len() > BODY_BYTES_MAX {
            return Err(Stopped { status: 413, message: "the body is too large".to_owned() });
        }
    }
    let envelope = Envelope::read(body.freeze()).map_err(bad)?;
    let mut edits = Edits::default();
    for field in ["model", "name"] {
        let Some(model) = envelope.field::<String>(field).map_err(bad)? else { continue };
        if let Some(meant) = resolve::alias(&shared.config.aliases, &model) {
            envelope.set(&mut edits, field, &asked::json(meant));
        }
    }
    let body = envelope.edited(edits);
    passage.headers.retain(|(name, _)| *name != "content-length");
    passage.body = Box::pin(futures_util::stream::once(async { Ok(body) }));
    forward(shared, passage).await
}

/// A list of models, with an entry for every alias whose model is installed.
async fn with_aliases(shared: &Shared, response: Response, list: &str, name: &str) -> Reply {
    let status = response.status().as_u16();
    let Ok(body) = read(response).await else {
        return form::refusal(
            roughneck_jobs::ports::gateway::Form::Native,
            502,
            "the answer of Ollama broke off",
        );
    };
    let merged = serde_json::from_slice(&body).ok().map(|mut page: Value| {
        if let Some(models) = page.get_mut(list).and_then(Value::as_array_mut) {
            let aliases = &shared.config.aliases;
            let found = aliases.iter().filter_map(|(alias, model)| {
                let named = |entry: &&Value| {
                    let known = entry.get(name).and_then(Value::as_str);
                    known.is_some_and(|known| resolve::is_same(known, model))
                };
                let mut entry = models.iter().find(named)?.clone();
                for field in [name, "model"] {
                    if let Some(value) = entry.get_mut(field) {
                        *value = Value::from(alias.as_str());
                    }
                }
                Some(entry)
            });
            let found: Vec<Value> = found.collect();
            models.extend(found);
        }
        Bytes::from(page.to_string())
    });
    let headers = vec![("content-type", form::JSON.to_owned())];
    Reply { status, headers, body: ReplyBody::Whole(merged.unwrap_or(body)) }
}

async fn read(mut response: Response) -> Result<Bytes, ()> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(drop)? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_BYTES_MAX {
            return Err(());
        }
    }
    Ok(body.freeze())
}

fn streamed(response: Response) -> Reply {
    let status = response.status().as_u16();
    let mut headers = Vec::new();
    for name in ["content-type", "content-length"] {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        headers.extend(value.map(|value| (name, value.to_owned())));
    }
    let body = response
        .bytes_stream()
        .map(|chunk| chunk.map_err(|error| std::io::Error::other(root_cause(&error))));
    Reply { status, headers, body: ReplyBody::Stream(Box::pin(body)) }
}

fn json_reply(value: &Value) -> Reply {
    let headers = vec![("content-type", form::JSON.to_owned())];
    Reply { status: 200, headers, body: ReplyBody::Whole(value.to_string().into()) }
}
