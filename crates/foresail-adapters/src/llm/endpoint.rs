//! One request to an endpoint, and its reply, within bounds of time and size.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, Url};
use tokio::time::{Instant, timeout_at};

use super::answer::plain;
use super::completion::{Message, Rung, Said, body, read};
use super::failure::{Failure, REPLY_BYTES_MAX};
use crate::access::{Access, AccessError, causes};

/// Characters of a server's own words that are told.
const WORDS_CHARS: usize = 200;

/// Where a model is asked.
#[derive(Debug)]
pub(super) struct Endpoint {
    access: Access,
    url: Url,
    client: Client,
    model: String,
}

impl Endpoint {
    pub(super) fn new(access: Access, model: &str) -> Result<Self, AccessError> {
        let base = access.base()?;
        let url = base
            .join("chat/completions")
            .map_err(|e| AccessError(e.to_string()))?;
        if model.trim().is_empty() {
            return Err(AccessError(
                "the model's name is empty; give --llm-model, such as qwen2.5-coder:3b".to_owned(),
            ));
        }
        let client = access.client(&base)?;
        Ok(Self {
            access,
            url,
            client,
            model: model.to_owned(),
        })
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Asks once; whatever the server does, there is an end at `until`.
    pub(super) async fn ask(
        &self,
        messages: &[Message],
        rung: Rung,
        until: Instant,
    ) -> Option<Result<Said, Failure>> {
        timeout_at(until, self.exchange(messages, rung)).await.ok()
    }

    async fn exchange(&self, messages: &[Message], rung: Rung) -> Result<Said, Failure> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body(&self.model, messages, rung));
        let request = match self.access.authorization()? {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let mut response = request.send().await.map_err(|e| failed(&e))?;
        let status = response.status().as_u16();
        let to = response.headers().get(LOCATION).cloned();
        let bytes = whole(&mut response).await;
        if status == 200 {
            return read(&bytes?);
        }
        // A failure's own words are good to have, and no more than that.
        let text = words(&bytes.unwrap_or_default());
        Err(match status {
            300..=399 => Failure::Redirected {
                to: to.map_or_else(String::new, |t| words(t.as_bytes())),
            },
            401 | 403 | 407 => Failure::Forbidden { status, text },
            429 | 500 | 502..=599 => Failure::Server { status, text },
            _ => Failure::Refused { status, text },
        })
    }
}

/// The reply, up to the most that is read.
async fn whole(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| failed(&e))? {
        if bytes.len() + piece.len() > REPLY_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn failed(error: &reqwest::Error) -> Failure {
    // Without the outermost text: it holds the address.
    let why =
        std::error::Error::source(error).map_or_else(|| "no cause is told".to_owned(), causes);
    Failure::Unreachable { why }
}

/// The begin of a server's words, on one line.
fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = plain(&text);
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").chars().take(WORDS_CHARS).collect()
}
