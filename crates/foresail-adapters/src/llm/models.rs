//! Which models an endpoint has.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::failure::Failure;
use crate::access::{Access, causes};

/// The largest list that is read; a hosted endpoint has hundreds.
const LIST_BYTES_MAX: usize = 4 << 20;

/// The longest that is waited for it.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    data: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// The names of an endpoint's models, as `GET models` lists them; empty where it has none.
///
/// # Errors
/// [`Failure`] where it does not answer, refuses, or answers something else than such a list.
pub async fn models(mut access: Access) -> Result<Vec<String>, Failure> {
    access.timeout = PATIENCE;
    let base = access.base()?;
    let client = access.client(&base)?;
    let url = base
        .join("models")
        .map_err(|e| Failure::Access { why: e.to_string() })?;
    let mut request = client.get(url);
    if let Some(value) = access.authorization()? {
        request = request.header(AUTHORIZATION, value);
    }
    let unreachable = |error: reqwest::Error| Failure::Unreachable {
        why: std::error::Error::source(&error).map_or_else(|| error.to_string(), causes),
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + piece.len() > LIST_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    let text = || {
        let text = String::from_utf8_lossy(&bytes);
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").chars().take(200).collect::<String>()
    };
    match status {
        200 => {
            let list: List =
                serde_json::from_slice(&bytes).map_err(|e| Failure::NotCompletion {
                    why: format!("no list of models: {e}"),
                })?;
            let named = list.data.into_iter().flatten().map(|m| m.id);
            Ok(named.collect())
        }
        401 | 403 | 407 => Err(Failure::Forbidden {
            status,
            text: text(),
        }),
        429 | 500.. => Err(Failure::Server {
            status,
            text: text(),
        }),
        _ => Err(Failure::Refused {
            status,
            text: text(),
        }),
    }
}
