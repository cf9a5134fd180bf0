//! HTTP to Ollama: connections, deadlines, and what its refusals mean.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use reqwest::{
    Body, Method, RequestBuilder, Url,
    header::{self, HeaderMap, HeaderValue},
    redirect, retry,
};
use roughneck_jobs::{model::LlmError, ports::gateway::VIA};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    broken::{Broken, clipped},
    config::{BadConfig, Config},
    direct::{self, Direct, Undone},
    response::{Cut, Response},
};

const USER_AGENT: &str = concat!("roughneck/", env!("CARGO_PKG_VERSION"));

/// Enough for the inventory of thousands of models, and for one with its licence and its template.
const BODY_BYTES_MAX: usize = 16 << 20;

/// One Ollama, by its address.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    /// Where work is sent by. None where TLS is wanted, which is reqwest's.
    direct: Option<Direct>,
    /// The address without user and password, for people.
    shown: String,
    question_timeout: Duration,
    first_byte: Duration,
}

impl Client {
    pub(crate) fn new(config: &Config) -> Result<Self, BadConfig> {
        // Whoever comes first installs it for the process; that it was there already is no error.
        let _present = rustls::crypto::ring::default_provider().install_default();
        let url = config.parsed_url()?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            // A connection of its own for every call: dropping the answer then closes it, which is
            // the only way to cancel, and none can have gone stale while a job was running.
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            // `HTTP_PROXY` is meant for the world outside; Ollama is at home.
            .no_proxy()
            .default_headers(HeaderMap::from_iter([(header::VIA, HeaderValue::from_static(VIA))]))
            .user_agent(USER_AGENT);
        if url.scheme() == "http" {
            // A machine without any certificates can still talk to its own Ollama.
            builder = builder.tls_certs_only([]);
        }
        let direct = (url.scheme() == "http").then(|| Direct::new(config.connect_timeout));
        let http = builder.build().map_err(BadConfig::Client)?;
        Ok(Self {
            http,
            shown: without_secrets(&url),
            url,
            direct,
            question_timeout: config.question_timeout,
            first_byte: config.first_byte,
        })
    }

    /// The address, fit to be shown.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Asks a small question, which does Ollama no harm: whatever goes wrong but a refusal, it is away. A proxy in front of
    /// an Ollama that is down says so by a status.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, LlmError> {
        let request = self.http.get(self.at(path)).timeout(self.question_timeout);
        let response = request.send().await.map_err(|error| self.unavailable(&error))?;
        let accepted = accepted(response.into()).await;
        let mut response = accepted.map_err(|turned| match turned {
            // It is there, and will say the same again.
            Turned { status: 400..500, .. } => turned.into(),
            Turned { status, words } => {
                self.away(&format!("{path} is answered with status {status}: {words}"))
            }
        })?;
        let read = response.read(BODY_BYTES_MAX).await;
        let body = read.map_err(|cut| self.away(&cut.to_string()))?;
        let body = body.ok_or_else(|| self.away(&too_long(&format!("the answer of {path}"))))?;
        serde_json::from_slice(&body)
            .map_err(|error| self.away(&format!("{path} does not answer as Ollama does: {error}")))
    }

    /// Asks for something about a model that needs none of them loaded.
    ///
    /// # Errors
    /// What stands between the host and Ollama, and its refusal.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Bytes, LlmError> {
        let headers = [("content-type", "application/json".to_owned())];
        let asked = async {
            let response = self.pass(method, path, &headers, body.to_string().into()).await?;
            let read = accepted(response).await?.read(BODY_BYTES_MAX).await;
            let body = read.map_err(|cut| LlmError::BrokenOff(cut.to_string()))?;
            body.ok_or_else(|| LlmError::BrokenOff(too_long(&format!("the answer of {path}"))))
        };
        let patience = self.question_timeout;
        let silent = || LlmError::BrokenOff(format!("{path} is not answered within {patience:?}"));
        tokio::time::timeout(patience, asked).await.unwrap_or_else(|_elapsed| Err(silent()))
    }

    /// Sends work, and returns when the answer begins. A refusal has to be there whole by then.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Result<Response, Broken> {
        let request = self.work(path, body, USER_AGENT);
        let answered =
            async { Ok(accepted(self.send(request).await?).await.map_err(LlmError::from)?) };
        within(self.first_byte, answered).await
    }

    /// Sends a client's work as it came, and returns when an answer begins, whatever its status, which has to be
    /// within `patience`.
    pub(crate) async fn forward(
        &self,
        path: &str,
        body: Bytes,
        user_agent: Option<&str>,
        patience: Duration,
    ) -> Result<Response, Broken> {
        let request = self.work(path, body, user_agent.unwrap_or(USER_AGENT));
        within(patience, self.send(request)).await
    }

    /// With all of its headers: those of the client are added by reqwest when it sends itself.
    fn work(&self, path: &str, body: impl Into<Body>, user_agent: &str) -> RequestBuilder {
        self.http
            .post(self.at(path))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, user_agent)
            .header(header::VIA, VIA)
            .body(body)
    }

    /// Sends work, and returns when an answer begins, whatever its status.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Broken> {
        let Some(direct) = &self.direct else {
            let sent = request.send().await;
            return sent.map(Response::from).map_err(|error| self.undone(&error));
        };
        let request = request.build().map_err(|error| self.undone(&error))?;
        direct.send(request).await.map_err(|undone| match undone {
            Undone::Unconnected(error) => self.away(&unconnected(&error)).into(),
            Undone::Cut(cut) => Broken::cut(&cut),
        })
    }

    /// Sends a request that needs no model, and returns when its answer begins. Gigabytes may follow in
    /// both directions, so nothing but the connection has a limit of time.
    pub(crate) async fn pass(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, String)],
        body: Body,
    ) -> Result<Response, LlmError> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| LlmError::Invalid(format!("`{method}` is no method")))?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = self.at(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let mut request = self.http.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let sent = request.body(body).send().await;
        sent.map(Response::from).map_err(|error| self.unavailable(&error))
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Work without an answer. Ollama is away only if no connection was made: work that was on its way
    /// may be what killed it, and must use up an attempt, or it would come back to kill it for ever.
    fn undone(&self, error: &reqwest::Error) -> Broken {
        if error.is_connect() {
            self.unavailable(error).into()
        } else {
            Broken::cut(&Cut::by(error))
        }
    }

    fn unavailable(&self, error: &reqwest::Error) -> LlmError {
        let is_late = error.is_timeout();
        if is_late { self.away(direct::LATE) } else { self.away(&unconnected(error)) }
    }

    fn away(&self, why: &str) -> LlmError {
        LlmError::Unavailable { url: self.shown.clone(), why: clipped(why) }
    }
}

/// What the system says of a process that has as many files open as it may, on Linux as on macOS.
const EMFILE: i32 = 24;

const TOO_MANY_FILES: &str = "this host has as many files open as it may: raise that limit, as `roughneck doctor` \
    tells, or lower `connections-max` under [server]";

/// Why there is no connection. Not always is it Ollama's fault.
fn unconnected(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let system = error.downcast_ref::<io::Error>();
        if system.and_then(io::Error::raw_os_error) == Some(EMFILE) {
            return TOO_MANY_FILES.to_owned();
        }
        cause = error.source();
    }
    Cut::by(error).to_string()
}

/// A refusal.
struct Turned {
    status: u16,
    words: String,
}

impl From<Turned> for LlmError {
    fn from(Turned { status, words }: Turned) -> Self {
        Self::Refused { status, message: words }
    }
}

/// The answer, if it is none that refuses.
async fn accepted(mut response: Response) -> Result<Response, Turned> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let words = match response.read(BODY_BYTES_MAX).await {
        Ok(Some(body)) => words(&body),
        Ok(None) => too_long("its reason"),
        Err(cut) => format!("its reason broke off: {cut}"),
    };
    Err(Turned { status: status.as_u16(), words })
}

/// Work that has no answer within `patience` is given up. In a box at once: many futures hold this one, and would be as large.
fn within(
    patience: Duration,
    answered: impl Future<Output = Result<Response, Broken>>,
) -> impl Future<Output = Result<Response, Broken>> {
    let answered = tokio::time::timeout(patience, Box::pin(answered));
    async move { answered.await.map_err(|_elapsed| Broken::silent(patience))? }
}

/// Of an answer that is not kept.
fn too_long(what: &str) -> String {
    format!("{what} is longer than {} MiB", BODY_BYTES_MAX >> 20)
}

/// Ollama's own words in the body of a refusal, in whichever of its forms, as far as anybody reads them; anything else is
/// shown as far as it is short.
pub(crate) fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Native(String),
        Others { message: String },
    }
    #[derive(Deserialize)]
    struct Refusal {
        error: Words,
    }
    if let Ok(Refusal { error: Words::Native(words) | Words::Others { message: words } }) =
        serde_json::from_slice(body)
    {
        return clipped(&words);
    }
    let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    if text.is_empty() { "it gave no reason".to_owned() } else { text }
}

fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for addresses without a host, which hold no secrets either.
    let _cannot_have_one = shown.set_username("");
    let _cannot_have_one = shown.set_password(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A client of a server that gives this answer to everybody, and keeps their connections.
    async fn client_of(answer: String, change: impl FnOnce(&mut Config)) -> Client {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::new(format!("http://{}", server.local_addr().unwrap()));
        change(&mut config);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut connection, _) = server.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(connection.read_u8().await.unwrap());
                }
                connection.write_all(answer.as_bytes()).await.unwrap();
                kept.push(connection);
            }
        });
        Client::new(&config).unwrap()
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_host_with_too_many_open_files_does_not_say_that_it_is_ollama_s_fault() {
        let full = unconnected(&io::Error::from_raw_os_error(EMFILE));
        assert!(full.starts_with("this host has as many files open as it may"), "{full}");
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens");
        assert_eq!(unconnected(&refused), "nobody listens");
    }

    #[tokio::test]
    async fn a_refusal_that_does_not_end_is_given_up_like_an_ollama_that_is_silent() {
        let patience = Duration::from_millis(100);
        let begun = "HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\n{".to_owned();
        let client = client_of(begun, |config| config.first_byte = patience).await;
        let posted = client.post("/api/generate", "{}");
        let posted = tokio::time::timeout(Duration::from_secs(20), posted).await;
        let broken = posted.expect("it is given up").unwrap_err();
        assert_eq!(broken.error, Broken::silent(patience).error);
    }

    #[tokio::test]
    async fn an_ollama_is_away_whose_proxy_says_so() {
        let client = client_of(answer("502 Bad Gateway", "<h1>Bad Gateway</h1>"), |_| {}).await;
        let why = "/api/tags is answered with status 502: <h1>Bad Gateway</h1>".to_owned();
        let away = LlmError::Unavailable { url: client.shown().to_owned(), why };
        assert_eq!(client.get::<Value>("/api/tags").await, Err(away));
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_said_to_be() {
        let long = "x".repeat(BODY_BYTES_MAX + 1);
        let client = client_of(answer("200 OK", &long), |_| {}).await;
        let words = "the answer of /api/tags is longer than 16 MiB";
        let error = client.get::<Value>("/api/tags").await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        let error = client.ask("POST", "/api/tags", &json!({})).await.unwrap_err();
        assert_eq!(error, LlmError::BrokenOff(words.to_owned()));
        let client = client_of(answer("500 Oh", &long), |_| {}).await;
        let message = "its reason is longer than 16 MiB".to_owned();
        let refused = LlmError::Refused { status: 500, message };
        assert_eq!(client.ask("POST", "/api/show", &json!({})).await, Err(refused));
    }

    #[test]
    fn a_path_is_kept_as_a_prefix_and_secrets_are_never_shown() {
        let client = Client::new(&Config::new("http://me:secret@host:1234/prefix/")).unwrap();
        assert_eq!(client.at("/api/tags").path(), "/prefix/api/tags");
        assert_eq!(client.shown(), "http://host:1234/prefix");
        assert!(Client::new(&Config::new("https://host")).is_ok());
    }

    #[test]
    fn a_refusal_is_told_in_ollama_s_own_words() {
        for (body, said) in [
            (
                r#"{"error":"model requires more system memory"}"#,
                "model requires more system memory",
            ),
            (r#"{"error":{"message":"it is busy","type":"api_error"}}"#, "it is busy"),
            ("404 page not found", "404 page not found"),
            ("", "it gave no reason"),
        ] {
            assert_eq!(words(body.as_bytes()), said);
        }
        let long = json!({"error": "ä".repeat(1 << 20)}).to_string();
        assert_eq!(words(long.as_bytes()), format!("{}…", "ä".repeat(1022)), "2 KiB at most");
    }
}
