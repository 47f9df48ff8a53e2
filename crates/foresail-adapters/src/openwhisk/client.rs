//! One request to OpenWhisk and its answer, within bounds of time, size and attempts.
//!
//! Only what may be done twice is tried again: reads, and writes of a whole state (`PUT` with
//! `overwrite`). An invocation is sent again only where the server says that it refused it for its
//! rate (429); whatever else happened to it, it may run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use tokio::time::Instant;

use super::failure::Failure;
use super::key::Key;
use crate::access::{Access, AccessError, causes};
use crate::retry::Backoff;

/// The largest answer that is taken in: a list of 200 whole records of 1 MiB.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The longest wait that a server's `Retry-After` is granted.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Takes in what would be sent, where nothing is.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A namespace of OpenWhisk.
#[derive(Clone)]
pub struct OpenWhisk {
    base: Url,
    client: Client,
    key: Key,
    namespace: String,
    timeout: Duration,
    /// How long at most an answer of 429 is waited out.
    patience: Duration,
    dry: Option<Tell>,
}

impl fmt::Debug for OpenWhisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenWhisk")
            .field("base", &self.base.as_str())
            .field("namespace", &self.namespace)
            .field("dry", &self.dry.is_some())
            .finish_non_exhaustive()
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub method: Method,
    pub path: &'a [&'a str],
    pub query: &'a [(&'a str, String)],
    pub body: Option<&'a Value>,
    /// Whose key is shown; the namespace's where absent.
    pub key: Option<&'a Key>,
    /// `true` where doing it twice is the same as once.
    pub repeatable: bool,
    /// How long its answer is waited for; the client's own time where absent.
    pub timeout: Option<Duration>,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'a [&'a str], query: &'a [(&'a str, String)]) -> Self {
        Self {
            method: Method::GET,
            path,
            query,
            body: None,
            key: None,
            repeatable: true,
            timeout: None,
        }
    }

    /// What is asked, for messages; queries hold no secret.
    fn what(&self) -> String {
        format!("{} {}", self.method, self.path.join("/"))
    }
}

/// An answer of any code.
#[derive(Debug)]
pub(super) struct Said {
    pub status: u16,
    pub bytes: Vec<u8>,
    after: Option<Duration>,
}

impl OpenWhisk {
    /// A client for one namespace (`_`: the key's own); nothing is asked yet.
    ///
    /// # Errors
    /// [`AccessError`] where address or certificates cannot be used.
    pub fn new(access: &Access, key: Key, namespace: &str) -> Result<Self, AccessError> {
        let base = access.base()?;
        let is_name = !namespace.is_empty() && !namespace.contains('/');
        if !is_name {
            return Err(AccessError(format!(
                "`{namespace}` is no namespace; write its name, or _ for the key's own"
            )));
        }
        Ok(Self {
            client: access.client(&base)?,
            base,
            key,
            namespace: namespace.to_owned(),
            timeout: access.timeout,
            patience: Duration::from_secs(90),
            dry: None,
        })
    }

    /// The same, which tells what it would write and writes nothing.
    #[must_use]
    pub fn dry(self, tell: Tell) -> Self {
        Self {
            dry: Some(tell),
            ..self
        }
    }

    /// The same, which waits for so long at most where the server limits its rate.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `true` where nothing is written.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.dry.is_some()
    }

    /// Tells of a write that is not made; `true` where this client writes nothing.
    pub(super) fn only_tells(&self, call: &Call<'_>) -> bool {
        let Some(tell) = &self.dry else { return false };
        let query: Vec<String> = call.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let body = call.body.map(Value::to_string).unwrap_or_default();
        tell(&format!(
            "would send {}{mark}{} {body}",
            call.what(),
            query.join("&")
        ));
        true
    }

    fn url(&self, call: &Call<'_>) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(call.path);
            }
            Err(()) => {
                let text = "the address of OpenWhisk cannot have a path; write https://HOST";
                return Err(AccessError(text.to_owned()).into());
            }
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        Ok(url)
    }

    /// Asks until there is an answer that is no reason to ask again.
    pub(super) async fn ask(&self, call: &Call<'_>) -> Result<Said, Failure> {
        let (mut delays, begin) = (Backoff::default(), Instant::now());
        let mut next = Duration::from_secs(1);
        loop {
            let said = self.once(call).await;
            let delay = match &said {
                // The rate is counted by the minute: short delays do not get around it.
                Ok(said) if said.status == 429 => {
                    let delay = said.after.unwrap_or(next).min(WAIT_MAX);
                    next = next.saturating_mul(2);
                    Some(delay).filter(|d| begin.elapsed() + *d <= self.patience)
                }
                Ok(said) if call.repeatable && is_passing(said.status) => {
                    delays.next().map(|d| said.after.unwrap_or(d).min(WAIT_MAX))
                }
                Err(Failure::Unreachable { .. }) => delays.next(),
                Err(Failure::Unknown { .. }) if call.repeatable => delays.next(),
                _ => None,
            };
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return said,
            }
        }
    }

    /// The answer's body where the call succeeded.
    pub(super) async fn succeed(&self, call: &Call<'_>) -> Result<Vec<u8>, Failure> {
        let said = self.ask(call).await?;
        match said.status {
            200..=299 => Ok(said.bytes),
            status => Err(Failure::of(&call.what(), status, &said.bytes)),
        }
    }

    /// The answer where the call succeeded and is JSON.
    pub(super) async fn json(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let bytes = self.succeed(call).await?;
        Self::parse(call, &bytes)
    }

    pub(super) fn parse(call: &Call<'_>, bytes: &[u8]) -> Result<Value, Failure> {
        serde_json::from_slice(bytes).map_err(|e| Failure::Unknown {
            what: call.what(),
            why: format!("it is no JSON ({e}); does --apihost name OpenWhisk itself?"),
        })
    }

    /// What an answer other than a success means.
    pub(super) fn failure(call: &Call<'_>, said: &Said) -> Failure {
        Failure::of(&call.what(), said.status, &said.bytes)
    }

    /// What a fork alone can do.
    pub(super) fn needs(call: &Call<'_>, needs: &'static str) -> Failure {
        let what = call.what();
        Failure::NeedsFork { what, needs }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Said, Failure> {
        let (user, password) = call.key.unwrap_or(&self.key).parts();
        let request = self
            .client
            .request(call.method.clone(), self.url(call)?)
            .timeout(call.timeout.unwrap_or(self.timeout))
            .basic_auth(user, Some(password));
        let request = match call.body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string()),
            None => request,
        };
        let mut response = request.send().await.map_err(|e| failed(call, &e))?;
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()?.trim().parse().ok());
        Ok(Said {
            status: response.status().as_u16(),
            after: after.map(Duration::from_secs),
            bytes: whole(call, &mut response).await?,
        })
    }
}

/// `true` for an answer that another attempt may not get: timed out, overloaded, failed.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 500 | 502 | 503 | 504)
}

async fn whole(call: &Call<'_>, response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| failed(call, &e))? {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            let (what, limit) = (call.what(), ANSWER_BYTES_MAX);
            return Err(Failure::TooLarge { what, limit });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Without the outermost text: it holds the address. What was never sent took no effect.
fn failed(call: &Call<'_>, error: &reqwest::Error) -> Failure {
    let what = call.what();
    if error.is_timeout() && !error.is_connect() {
        let why = "none in time".to_owned();
        return Failure::Unknown { what, why };
    }
    let why =
        std::error::Error::source(error).map_or_else(|| "no cause is told".to_owned(), causes);
    if error.is_connect() {
        Failure::Unreachable { what, why }
    } else {
        Failure::Unknown { what, why }
    }
}
