//! Why a model gave no answer that can be used.

use serde::{Deserialize, Serialize};

use super::answer::Refusal;
use crate::access::AccessError;

/// The largest reply that is read; a model's answer is a hundredth of it.
/// Source: specs/reliability.md, F29.
pub const REPLY_BYTES_MAX: usize = 16 << 10;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Failure {
    /// The access cannot be used as it is given.
    #[error("{why}")]
    Access {
        /// What is wrong, with the mend.
        why: String,
    },
    /// No connection, or a broken one.
    #[error("the model cannot be reached: {why}; check --llm-url and that the server runs")]
    Unreachable {
        /// Every cause in a row.
        why: String,
    },
    /// No whole answer in time.
    #[error("the model gave no whole answer within {within_ms} ms; it is asked again next time")]
    Late {
        /// How long it was waited for.
        within_ms: u64,
    },
    /// The server does not let us in.
    #[error("the model's server answered {status}: {text}; pass --llm-token-file")]
    Forbidden {
        /// The HTTP status.
        status: u16,
        /// Its own words.
        text: String,
    },
    /// The server sends us elsewhere; a token is not carried there.
    #[error("the model's server redirects to {to}; give that address if you trust it")]
    Redirected {
        /// Where to.
        to: String,
    },
    /// The server failed, or has no time.
    #[error("the model's server answered {status}: {text}; it is asked again next time")]
    Server {
        /// The HTTP status.
        status: u16,
        /// Its own words.
        text: String,
    },
    /// The server refused the request.
    #[error(
        "the model's server refused the request with {status}: {text}; check --llm-model and --llm-url"
    )]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its own words.
        text: String,
    },
    /// The reply is larger than any answer.
    #[error("the reply is larger than {REPLY_BYTES_MAX} bytes; the rest was let go")]
    TooLarge,
    /// The reply is no chat completion.
    #[error("the server did not answer as chat/completions does ({why}); check --llm-url")]
    NotCompletion {
        /// What is wrong with it.
        why: String,
    },
    /// The model answered something else than it was asked for.
    #[error("{0}")]
    BadAnswer(Refusal),
    /// The model failed several times in a row and is left alone for a while.
    #[error(
        "the model failed {failures} times in a row and is left alone for {left} more questions"
    )]
    Open {
        /// Failures in a row.
        failures: u32,
        /// Questions until it is tried again.
        left: u32,
    },
    /// The record does not hold the question.
    #[error(
        "question {question}, asked for the {time}. time, is not in the record; it is of another run, or of another version"
    )]
    NotRecorded {
        /// The prompt's hash.
        question: String,
        /// The how manieth time.
        time: u64,
    },
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        Self::Access { why: error.0 }
    }
}

impl Failure {
    /// `true` where a request in a simpler form may be taken: the server did not understand this one.
    #[must_use]
    pub fn is_of_form(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400 | 422 | 501,
                ..
            }
        )
    }
}
