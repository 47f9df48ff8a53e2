//! What a call to OpenWhisk came to, where it did not succeed.

use serde::Deserialize;

use crate::access::AccessError;

/// Characters of a server's own words that are told.
const WORDS_CHARS: usize = 300;

/// Why a call did not succeed; no text of it holds a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Address, key or certificates cannot be used as they are told.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The server cannot be reached.
    #[error("{what}: OpenWhisk cannot be reached: {why}; check --apihost, and that it runs")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Why.
        why: String,
    },
    /// The request was sent, and no usable answer came: whether it took effect is not known.
    #[error("{what}: no usable answer: {why}; whether it took effect is not known")]
    Unknown {
        /// What was asked.
        what: String,
        /// What came.
        why: String,
    },
    /// Wrong key, or no right (401, 403).
    #[error("{what}: not allowed ({status}): {text}; check the key of --auth-file")]
    Forbidden {
        /// What was asked.
        what: String,
        /// Code of HTTP.
        status: u16,
        /// The server's words.
        text: String,
    },
    /// There is no such thing (404).
    #[error("{what}: not found: {text}")]
    NotFound {
        /// What was asked.
        what: String,
        /// The server's words.
        text: String,
    },
    /// Somebody else changed it, or it is there already (409).
    #[error("{what}: conflict: {text}")]
    Conflict {
        /// What was asked.
        what: String,
        /// The server's words.
        text: String,
    },
    /// The server asks to wait (429, 503), and went on doing so.
    #[error(
        "{what}: the server asks to wait ({status}): {text}; send less, or raise the namespace's limits"
    )]
    Busy {
        /// What was asked.
        what: String,
        /// Code of HTTP.
        status: u16,
        /// The server's words.
        text: String,
    },
    /// The server refuses the content.
    #[error("{what}: refused ({status}): {text}")]
    Refused {
        /// What was asked.
        what: String,
        /// Code of HTTP.
        status: u16,
        /// The server's words.
        text: String,
    },
    /// The server failed.
    #[error("{what}: the server failed ({status}): {text}")]
    Failed {
        /// What was asked.
        what: String,
        /// Code of HTTP.
        status: u16,
        /// The server's words.
        text: String,
    },
    /// The answer is larger than is taken in.
    #[error("{what}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        what: String,
        /// The most that is taken in.
        limit: usize,
    },
    /// The server lacks what only a fork of OpenWhisk has.
    #[error("{what}: this OpenWhisk lacks it: {needs}")]
    NeedsFork {
        /// What was asked.
        what: String,
        /// What is needed.
        needs: &'static str,
    },
}

/// CPU limits of actions.
/// Source: apache/openwhisk, pull request 4648, closed and not merged.
pub const CPU_LIMIT: &str = "a CPU limit of an action needs a build with pull request #4648 \
    (\"Add CPU limit mode to container scheduling\", never merged); without it CPU goes by memory: \
    search memory alone (one value of cpuCores), or run the stages on Kubernetes";

/// Runtimes that are changed while the server runs.
/// Source: apache/openwhisk, pull request 4790, closed and not merged.
pub const RUNTIMES: &str = "pools that change while it runs need a build with pull request #4790 \
    (\"Add administrative interface to invoker and controller to reconfigure runtimes\", never \
    merged); without it stem cells are read once, when an invoker starts";

#[derive(Deserialize)]
struct Words {
    error: String,
}

/// The server's own words, on one line; its `error` where it sends one.
pub(super) fn words(bytes: &[u8]) -> String {
    let text = match serde_json::from_slice::<Words>(bytes) {
        Ok(words) => words.error,
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = shown.collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(WORDS_CHARS).collect();
    if line.is_empty() {
        "it says nothing more".to_owned()
    } else {
        line
    }
}

impl Failure {
    /// The failure that an answer other than a success means.
    pub(super) fn of(what: &str, status: u16, bytes: &[u8]) -> Self {
        let (what, text) = (what.to_owned(), words(bytes));
        match status {
            401 | 403 => Self::Forbidden { what, status, text },
            404 => Self::NotFound { what, text },
            409 => Self::Conflict { what, text },
            429 | 503 => Self::Busy { what, status, text },
            400..=499 => Self::Refused { what, status, text },
            _ => Self::Failed { what, status, text },
        }
    }
}
