//! Requests that do not wait for the lane: what is installed, what is loaded, and, where the operator
//! allows it, what changes either.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use percent_encoding::percent_decode_str;
use roughneck_jobs::{
    model::Site,
    ports::gateway::{CallRoute, Form, PassRoute, Passage, Reply, ReplyBody},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    asked,
    envelope::{Edits, Envelope},
    errand::Errand,
    errands::{Head, InTheWay, Told},
    form, lists,
};
use crate::{lane::Shared, resolve, response::Response, stand_in};

/// Largest body that is read here, in bytes. Blobs are not: they pass.
const BODY_BYTES_MAX: usize = 16 << 20;

pub(crate) async fn pass(shared: &Arc<Shared>, passage: Passage) -> Reply {
    let form = passage.route.form();
    let refused = |status, message: &str| form::refusal(form, status, message);
    if passage.route.is_admin() && !shared.config.admin {
        return refused(403, ADMIN_IS_OFF);
    }
    let route = passage.route;
    if changes_models(route) {
        return change(shared, passage).await;
    }
    if let Some(name) = model_of(&passage) {
        if let Err(why) = shared.may_be_shown(&name) {
            return refused(why.status, &why.message);
        }
        if let Some(meant) = resolve::alias(&shared.aliases(), &name).map(str::to_owned) {
            let asked = shared.question(model_of_alias(shared, passage, &name, &meant)).await;
            return asked.unwrap_or_else(|why| refused(why.status, &why.message));
        }
    }
    let answered = match route {
        PassRoute::Version => match shared.inventory.version() {
            Some(version) => return json_reply(&json!({"version": version})),
            None => shared.question(answer(shared, passage)).await,
        },
        PassRoute::Show => match to_show(shared, passage).await {
            Ok(passage) => shared.question(answer(shared, passage)).await,
            Err(why) => Err(why),
        },
        // Gigabytes.
        PassRoute::Blob => {
            forward(shared, passage).await.map(|response| streamed(shared, response))
        }
        PassRoute::Status
        | PassRoute::Recommendations
        | PassRoute::Tags
        | PassRoute::Ps
        | PassRoute::Models
        | PassRoute::Model
        | PassRoute::Pull
        | PassRoute::Push
        | PassRoute::Create
        | PassRoute::Copy
        | PassRoute::Delete => shared.question(answer(shared, passage)).await,
    };
    answered.unwrap_or_else(|why| refused(why.status, &why.message))
}

/// What Ollama says, as clients are to see it.
async fn answer(shared: &Shared, passage: Passage) -> Result<Reply, Stopped> {
    let route = passage.route;
    let response = forward(shared, passage).await?;
    match route {
        PassRoute::Tags => {
            listed(response, |page| lists::installed(page, &shared.aliases(), lists::TAGS)).await
        }
        PassRoute::Models => {
            listed(response, |page| lists::installed(page, &shared.aliases(), lists::MODELS)).await
        }
        PassRoute::Ps => {
            let models = shared.inventory.models().unwrap_or_default();
            listed(response, |page| lists::loaded(page, &models)).await
        }
        PassRoute::Version
        | PassRoute::Status
        | PassRoute::Recommendations
        | PassRoute::Show
        | PassRoute::Model
        | PassRoute::Pull
        | PassRoute::Push
        | PassRoute::Create
        | PassRoute::Copy
        | PassRoute::Delete
        | PassRoute::Blob => Ok(streamed(shared, response)),
    }
}

/// Whether models are others afterwards, or must not become others meanwhile. Blobs are no models yet.
fn changes_models(route: PassRoute) -> bool {
    match route {
        PassRoute::Pull
        | PassRoute::Push
        | PassRoute::Create
        | PassRoute::Copy
        | PassRoute::Delete => true,
        PassRoute::Version
        | PassRoute::Status
        | PassRoute::Recommendations
        | PassRoute::Tags
        | PassRoute::Ps
        | PassRoute::Show
        | PassRoute::Models
        | PassRoute::Model
        | PassRoute::Blob => false,
    }
}

/// Changes what is installed, unless somebody else is at it. Ollama is always asked for its progress where
/// it has any: whoever wants the same a moment later may want to hear of it.
async fn change(shared: &Arc<Shared>, mut passage: Passage) -> Reply {
    let form = passage.route.form();
    let envelope = match read(&mut passage).await {
        Ok(envelope) => envelope,
        Err(why) => return form::refusal(form, why.status, &why.message),
    };
    let Some(errand) = Errand::read(passage.route, &envelope) else {
        let sent = forward(shared, with_body(passage, envelope.bytes().clone())).await;
        return match sent {
            Ok(response) => streamed(shared, response),
            Err(why) => form::refusal(form, why.status, &why.message),
        };
    };
    let has_progress = errand.has_progress();
    let streams = has_progress && envelope.field("stream").ok().flatten().unwrap_or(true);
    let mut edits = Edits::default();
    if has_progress && !streams {
        envelope.set(&mut edits, "stream", "true");
    }
    let passage = with_body(passage, envelope.edited(edits));
    let begin = |told| carry_out(Arc::clone(shared), passage, told);
    let follower = match shared.errands.follow(errand, begin) {
        Ok(follower) => follower,
        Err(InTheWay(doing)) => {
            let message = format!("{doing}; try again when that is over");
            return form::refusal(form, 409, &message);
        }
    };
    let Head { status, headers } = follower.head().await;
    let is_ok = (200..300).contains(&status);
    if is_ok && streams {
        return Reply { status, headers, body: ReplyBody::Stream(follower.stream()) };
    }
    let last = follower.last().await;
    if is_ok && has_progress {
        outcome(&last)
    } else {
        Reply { status, headers, body: ReplyBody::Whole(last) }
    }
}

/// Has Ollama do it, and tells all who follow.
async fn carry_out(shared: Arc<Shared>, passage: Passage, told: Arc<Told>) {
    let form = passage.route.form();
    match forward(&shared, passage).await {
        Ok(response) => told.pass_on(response).await,
        Err(Stopped { status, message }) => {
            told.refuse(form::refusal(form, status, &message));
        }
    }
    // Whatever it was, the inventory may be another one now.
    shared.inventory.suspect();
}

/// What a client is told that wanted to hear of the end only: as upstream, the last line.
fn outcome(last: &Bytes) -> Reply {
    #[derive(Deserialize)]
    struct Line {
        error: String,
    }
    if let Ok(Line { error }) = serde_json::from_slice(last) {
        return form::refusal(Form::Native, 500, &error);
    }
    let headers = vec![("content-type", form::JSON.to_owned())];
    Reply { status: 200, headers, body: ReplyBody::Whole(last.slice_ref(last.trim_ascii_end())) }
}

const ADMIN_IS_OFF: &str = "this host does not let its clients change what is installed in Ollama; \
    set `admin = true` under [ollama] in roughneck.toml, or ask Ollama itself";

/// Why a request did not pass.
pub(super) struct Stopped {
    pub(super) status: u16,
    pub(super) message: String,
}

impl Stopped {
    /// The request makes no sense.
    fn bad(message: String) -> Self {
        Self { status: 400, message }
    }
}

async fn forward(shared: &Shared, passage: Passage) -> Result<Response, Stopped> {
    let Passage { method, path, headers, body, .. } = passage;
    let sent = shared.client.pass(&method, &path, &headers, reqwest::Body::wrap_stream(body));
    sent.await.map_err(|error| Stopped { status: 503, message: error.to_string() })
}

/// A request to be shown a model, as Ollama gets it. An alias is known to nobody else, so its model is asked for. What stands
/// in for a model is there for nobody.
async fn to_show(shared: &Shared, mut passage: Passage) -> Result<Passage, Stopped> {
    let envelope = read(&mut passage).await?;
    let (aliases, mut edits) = (shared.aliases(), Edits::default());
    for field in ["model", "name"] {
        if envelope.repeats(field) {
            return Err(Stopped::bad(asked::NAMED_TWICE.to_owned()));
        }
        let Some(model) = envelope.field::<String>(field).map_err(Stopped::bad)? else { continue };
        shared.may_be_shown(&model)?;
        if let Some(meant) = resolve::alias(&aliases, &model) {
            envelope.set(&mut edits, field, &asked::json(meant));
        } else if stand_in::name::is_one(&model) {
            return Err(Stopped { status: 404, message: format!("model '{model}' not found") });
        }
    }
    Ok(with_body(passage, envelope.edited(edits)))
}

impl Shared {
    /// Whether Ollama may be asked what it knows of a model. Those of the cloud are listed with all that is installed, as
    /// upstream does it even where its cloud is switched off: they are there, and whoever asks one learns what to do. To
    /// look at one is to ask elsewhere, so that upstream refuses it then, and so does this host.
    fn may_be_shown(&self, name: &str) -> Result<(), Stopped> {
        let models = self.inventory.models();
        let wanted = resolve::wanted(&self.config.aliases, name);
        let model = wanted.among(models.as_deref().unwrap_or_default());
        match model.map_or(Site::Here, |model| model.site) {
            Site::Cloud if !self.config.cloud => {
                Err(Stopped { status: 403, message: CLOUD_IS_OFF.to_owned() })
            }
            Site::Here | Site::Cloud => Ok(()),
        }
    }
}

/// Begins with Ollama's own words.
const CLOUD_IS_OFF: &str = "ollama cloud is disabled: remote model details are unavailable; \
    set `cloud = true` under [ollama] in roughneck.toml, or ask Ollama itself";

/// The name at the end of `/v1/models/{model}`.
fn model_of(passage: &Passage) -> Option<String> {
    let path = passage.path.split('?').next()?;
    Some(decoded(path.strip_prefix("/v1/models/")?))
}

/// A part of a path, as Ollama reads it.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// The model that an alias stands for, under the name of the alias. It is looked for in the list, because Ollama
/// has no path for a model whose name has a slash.
async fn model_of_alias(
    shared: &Shared,
    mut passage: Passage,
    alias: &str,
    meant: &str,
) -> Result<Reply, Stopped> {
    passage.path = PassRoute::Models.path().to_owned();
    let body = list(&mut forward(shared, passage).await?).await?;
    let entry = lists::under_alias(&body, lists::MODELS, (alias, meant)).ok_or_else(|| {
        Stopped { status: 404, message: CallRoute::ChatCompletions.not_found(alias) }
    })?;
    let headers = vec![("content-type", form::JSON.to_owned())];
    Ok(Reply { status: 200, headers, body: ReplyBody::Whole(entry) })
}

/// Reads the body.
async fn read(passage: &mut Passage) -> Result<Envelope, Stopped> {
    let mut body = BytesMut::new();
    while let Some(chunk) = passage.body.next().await {
        body.extend_from_slice(&chunk.map_err(|error| Stopped::bad(error.to_string()))?);
        if body.len() > BODY_BYTES_MAX {
            return Err(Stopped { status: 413, message: "the body is too large".to_owned() });
        }
    }
    Envelope::read(body.freeze()).map_err(Stopped::bad)
}

/// The same request with this body.
fn with_body(mut passage: Passage, body: Bytes) -> Passage {
    passage.headers.retain(|(name, _)| *name != "content-length");
    passage.body = Box::pin(stream::once(async { Ok(body) }));
    passage
}

/// All of what Ollama lists.
async fn list(response: &mut Response) -> Result<Bytes, Stopped> {
    let stopped = |message: String| Stopped { status: 502, message };
    let read = response.read(BODY_BYTES_MAX).await;
    let read = read.map_err(|cut| stopped(format!("the list of models broke off: {cut}")))?;
    read.ok_or_else(|| stopped("the list of models is too long".to_owned()))
}

/// What Ollama lists, as clients are to see it.
async fn listed(
    mut response: Response,
    change: impl FnOnce(&Bytes) -> Option<Bytes>,
) -> Result<Reply, Stopped> {
    let status = response.status().as_u16();
    let body = list(&mut response).await?;
    let changed = change(&body).unwrap_or(body);
    let headers = vec![("content-type", form::JSON.to_owned())];
    Ok(Reply { status, headers, body: ReplyBody::Whole(changed) })
}

/// What Ollama says as it comes. Once it has begun it does not stop for long.
fn streamed(shared: &Shared, response: Response) -> Reply {
    let status = response.status().as_u16();
    let mut headers = Vec::new();
    for name in ["content-type", "content-length"] {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        headers.extend(value.map(|value| (name, value.to_owned())));
    }
    let patience = shared.config.question_timeout;
    let body = stream::try_unfold(response, move |mut response| async move {
        let chunk = tokio::time::timeout(patience, response.chunk()).await?;
        let chunk = chunk.map_err(io::Error::other)?;
        Ok::<_, io::Error>(chunk.map(|chunk| (chunk, response)))
    });
    Reply { status, headers, body: ReplyBody::Stream(Box::pin(body)) }
}

fn json_reply(value: &Value) -> Reply {
    let headers = vec![("content-type", form::JSON.to_owned())];
    Reply { status: 200, headers, body: ReplyBody::Whole(value.to_string().into()) }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn a_name_in_a_path_is_read_as_ollama_reads_it() {
        for (part, name) in [
            ("kimi%2Dk2%3acloud", "kimi-k2:cloud"),
            ("a%b", "a%b"),
            ("a%zz%4", "a%zz%4"),
            ("%c3%a4%ff", "ä\u{fffd}"),
        ] {
            assert_eq!(decoded(part), name);
        }
    }
}
