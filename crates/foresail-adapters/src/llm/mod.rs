//! A language model as an adviser: any endpoint that knows OpenAI's `chat/completions`.
//!
//! A model is asked for one thing: a change of at most two replicas on top of a baseline that was
//! computed without it. Only numbers go out ([`Question`]); what comes back is read with suspicion
//! ([`answer::parse`]), recorded, and enters an engine as advice like any other.
//! [`Adviser`] asks a model, [`Replayed`] answers from a record, [`Recording`] writes one; all are
//! [`Ask`].

mod adviser;
pub mod answer;
mod breaker;
mod completion;
mod endpoint;
mod failure;
mod models;
mod prompt;
mod question;
mod record;

use std::time::Duration;

use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

pub use adviser::{ATTEMPTS_MAX, Adviser};
pub use answer::{Answer, Refusal};
pub use breaker::{Breaker, FAILURES_MAX, QUESTIONS_OPEN};
pub use completion::{Rung, Tokens};
pub use failure::{Failure, REPLY_BYTES_MAX};
pub use models::models;
pub use prompt::{PROMPT_BYTES_MAX, Prompt};
pub use question::{Question, ROWS_MAX, Row};
pub use record::{RecordError, Recording, Replayed, VERSION};

/// The adviser's name in [`Advice::by`].
pub const NAME: &str = "llm";

/// Who can be asked.
pub trait Ask {
    /// Asks one question and waits for the answer, for `deadline` at the longest.
    ///
    /// One question per interval is expected: the circuit breaker counts in questions.
    fn ask(&mut self, question: &Question, deadline: Duration) -> Answered;
}

impl<A: Ask + ?Sized> Ask for Box<A> {
    fn ask(&mut self, question: &Question, deadline: Duration) -> Answered {
        (**self).ask(question, deadline)
    }
}

/// One exchange with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attempt {
    /// How it was asked for JSON.
    pub rung: Rung,
    /// The model's words, cut where they are too long; `None` where none came.
    pub raw: Option<String>,
    /// Why they are no answer; `None` for the one that is.
    pub failure: Option<Failure>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// Tokens of this exchange.
    pub tokens: Tokens,
}

/// What came of one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answered {
    /// The hash of the prompt.
    pub question: String,
    /// The answer; `None` where there is a failure.
    pub answer: Option<Answer>,
    /// Why there is no answer.
    pub failure: Option<Failure>,
    /// The rung of the last exchange; `None` where none was tried.
    pub rung: Option<Rung>,
    /// Every exchange, in its order.
    pub attempts: Vec<Attempt>,
    /// How long all of it took, in milliseconds.
    pub latency_ms: u64,
    /// Tokens of all exchanges.
    pub tokens: Tokens,
}

impl Answered {
    /// No answer, and nothing was tried.
    #[must_use]
    pub fn untried(question: String, failure: Failure) -> Self {
        Self {
            question,
            answer: None,
            failure: Some(failure),
            rung: None,
            attempts: Vec::new(),
            latency_ms: 0,
            tokens: Tokens::default(),
        }
    }

    /// `true` where a schema was asked for and the answer shows that nobody held the model to it.
    #[must_use]
    pub fn schema_ignored(&self) -> bool {
        let asked = matches!(self.rung, Some(Rung::JsonSchema | Rung::JsonObject));
        asked && self.answer.as_ref().is_some_and(|a| !a.schema_applied)
    }

    /// The answer as advice on one target: good from when it was asked for one and a half intervals,
    /// where `interval` is the time between two questions. `None` without an answer.
    #[must_use]
    pub fn advice(&self, target: &TargetId, asked: Timestamp, interval: Span) -> Option<Advice> {
        let answer = self.answer.as_ref()?;
        let life = interval.nanos().saturating_add(interval.nanos() / 2);
        Some(Advice {
            by: NAME.to_owned(),
            at: asked,
            until: asked + Span::from_nanos(life),
            says: Says::Delta(vec![(target.clone(), answer.delta)]),
            confidence_percent: Some(answer.confidence_percent),
            text: answer.reasoning.clone(),
        })
    }
}
