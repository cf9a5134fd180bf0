//! All routes on one screen.

use std::borrow::Cow;
use std::net::IpAddr;

use hyper::header::{CONTENT_ENCODING, HOST, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use serde_json::json;

use super::call::Route as Call;
use super::faults::Fault;
use super::log::Recording;
use super::server::Server;
use super::wire::{Answer, Refusal};
use super::{admin, anthropic, embed, inventory, native, openai, zstd};

const PLAIN: &str = "text/plain";
const PLAIN_UTF8: &str = "text/plain; charset=utf-8";

/// Upstream's body when its queue is full, with both spaces.
const QUEUE_FULL: &str = "server busy, please try again.  maximum pending requests exceeded";
pub(super) const RUNNER_DIED: &str = "llama runner process has terminated: simulated fault";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Root,
    Version,
    Status,
    Recommendations,
    Tags,
    Ps,
    Show,
    Generate,
    Chat,
    Embed,
    Embeddings,
    OpenAiModels,
    OpenAiModel,
    OpenAiChat,
    OpenAiCompletions,
    OpenAiResponses,
    AnthropicMessages,
    Pull,
    Push,
    Create,
    Copy,
    Delete,
    Blob,
    OpenAiEmbeddings,
}

/// What a path leads to.
struct Found {
    route: Route,
    methods: &'static [Method],
    /// Whether it is work for a model, which faults hit; nothing else is ever hit.
    work: bool,
}

const fn quick(route: Route, methods: &'static [Method]) -> Found {
    Found { route, methods, work: false }
}

const fn work(route: Route) -> Found {
    Found { route, methods: POST, work: true }
}

const LOOK: &[Method] = &[Method::GET, Method::HEAD];
const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];
/// An upload does not come this far.
const HEAD: &[Method] = &[Method::HEAD];

fn find(path: &str) -> Option<Found> {
    Some(match path {
        "/" => quick(Route::Root, LOOK),
        "/api/version" => quick(Route::Version, LOOK),
        "/api/status" => quick(Route::Status, GET),
        "/api/experimental/model-recommendations" => quick(Route::Recommendations, GET),
        "/api/tags" => quick(Route::Tags, LOOK),
        "/api/ps" => quick(Route::Ps, GET),
        "/api/show" => quick(Route::Show, POST),
        "/api/generate" => work(Route::Generate),
        "/api/chat" => work(Route::Chat),
        "/api/embed" => work(Route::Embed),
        "/api/embeddings" => work(Route::Embeddings),
        "/api/pull" => quick(Route::Pull, POST),
        "/api/push" => quick(Route::Push, POST),
        "/api/create" => quick(Route::Create, POST),
        "/api/copy" => quick(Route::Copy, POST),
        "/api/delete" => quick(Route::Delete, DELETE),
        "/v1/models" => quick(Route::OpenAiModels, GET),
        "/v1/chat/completions" => work(Route::OpenAiChat),
        "/v1/completions" => work(Route::OpenAiCompletions),
        "/v1/responses" => work(Route::OpenAiResponses),
        "/v1/embeddings" => work(Route::OpenAiEmbeddings),
        MESSAGES => work(Route::AnthropicMessages),
        _ if path.starts_with("/api/blobs/") => quick(Route::Blob, HEAD),
        _ if model_of(path).is_some() => quick(Route::OpenAiModel, GET),
        _ => return None,
    })
}

const MESSAGES: &str = "/v1/messages";

/// An error in the shape of the API that the path belongs to.
fn refused(server: &Server, path: &str, refusal: Refusal) -> Answer {
    if path == MESSAGES {
        anthropic::refused(server, refusal)
    } else if path.starts_with("/v1/") {
        openai::refused(refusal)
    } else {
        refusal.into_native()
    }
}

/// The name in `/v1/models/{model}`. It is one segment, so a name with a slash is an unknown path, as upstream.
fn model_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/v1/models/")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Answers one request, whose body has been read.
pub(super) async fn answer(
    server: &Server,
    head: &Parts,
    body: &[u8],
    recording: &Recording,
) -> Answer {
    if !is_welcome(&head.headers) {
        return Answer::text(403, PLAIN, "");
    }
    let path = head.uri.path();
    let Some(found) = find(path) else {
        return Answer::text(404, PLAIN, "404 page not found");
    };
    if !found.methods.contains(&head.method) {
        return Answer::text(405, PLAIN, "405 method not allowed");
    }
    let struck = if found.work { server.faults.strike() } else { None };
    let done = match struck {
        Some(Fault::Mute) => std::future::pending().await,
        Some(Fault::Refuse) => Err(Refusal::new(503, QUEUE_FULL)),
        Some(Fault::Error) => Err(Refusal::new(500, RUNNER_DIED)),
        Some(Fault::Page(page)) => Ok(Answer::text(page.status, page.r#type, page.body)),
        None => match unpacked(found.route, head, body) {
            Ok(body) => perform(server, found.route, (path, &body), recording).await,
            Err(refusal) => Err(refusal),
        },
    };
    done.unwrap_or_else(|refusal| refused(server, path, refusal))
}

/// The one route whose body may be packed is the one of a client that packs.
fn unpacked<'a>(route: Route, head: &Parts, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
    let packed = head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "zstd");
    if packed && route == Route::OpenAiResponses {
        return zstd::unpacked(body).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(body))
}

async fn perform(
    server: &Server,
    route: Route,
    (path, body): (&str, &[u8]),
    recording: &Recording,
) -> Result<Answer, Refusal> {
    match route {
        Route::Root => Ok(Answer::text(200, PLAIN_UTF8, "Ollama is running")),
        Route::Version => Ok(inventory::version(server)),
        Route::Status => {
            let disabled = server.config.cloud.is_none();
            let source = if disabled { "config" } else { "none" };
            Ok(Answer::json(&json!({"cloud": {"disabled": disabled, "source": source}})))
        }
        Route::Recommendations => Ok(inventory::recommendations(server)),
        Route::Tags => Ok(inventory::tags(server)),
        Route::Ps => Ok(inventory::ps(server)),
        Route::Show if server.faults.mutes_show() => std::future::pending().await,
        Route::Show => inventory::show(server, body),
        Route::Generate => native::call(server, body, recording, Call::Generate).await,
        Route::Chat => native::call(server, body, recording, Call::Chat).await,
        Route::Embed => embed::embed(server, body).await,
        Route::Embeddings => embed::embeddings(server, body).await,
        Route::Pull => admin::pull(server, body, recording).await,
        Route::Push => admin::push(server, body, recording).await,
        Route::Create => admin::create(server, body, recording).await,
        Route::Copy => admin::copy(server, body),
        Route::Delete => admin::delete(server, body),
        Route::Blob => admin::look_for(server, path),
        Route::OpenAiModels => Ok(openai::list(server)),
        Route::OpenAiModel => openai::retrieve(server, model_of(path).unwrap_or_default()),
        Route::OpenAiEmbeddings => openai::embeddings(server, body).await,
        Route::OpenAiChat => openai::chat_completions(server, body, recording).await,
        Route::OpenAiCompletions => openai::completions(server, body, recording).await,
        Route::OpenAiResponses => openai::responses(server, body, recording).await,
        Route::AnthropicMessages => anthropic::messages(server, body, recording).await,
    }
}

/// Whether a request comes from this machine, as far as its head tells.
pub(super) fn is_welcome(headers: &HeaderMap) -> bool {
    local_host(headers) && local_origin(headers)
}

/// On a loopback address Ollama answers a foreign `Host` with a bare 403, against DNS rebinding.
fn local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    host.to_str().is_ok_and(is_local)
}

/// A foreign `Origin` is refused as well. An origin without an address, such as `null`, is foreign.
fn local_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let authority = origin.to_str().ok().and_then(|origin| {
        let (_scheme, authority) = origin.split_once("://")?;
        Some(authority)
    });
    authority.is_some_and(is_local)
}

fn is_local(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let named = ["", "localhost"].contains(&host) || host.ends_with(".localhost");
    named || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_this_machine_is_local() {
        for host in ["localhost", "localhost:11434", "127.0.0.1:80", "[::1]:80", "app.localhost"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["example.org", "192.168.1.2:11434", "localhost.example.org"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
