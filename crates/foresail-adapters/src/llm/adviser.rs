//! Asking a model: attempts, the ladder of forms, the breaker.

use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use super::answer::{self, Answer, Refusal};
use super::breaker::Breaker;
use super::completion::{Message, Rung, Tokens};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::prompt::Prompt;
use super::question::Question;
use super::{Answered, Ask, Attempt};
use crate::access::{Access, AccessError};

/// Answers that a model may give to one question until one can be used.
/// Source: alcocuzzi/etp, autoscaler/ollama_predictor.py.
pub const ATTEMPTS_MAX: usize = 3;

/// Bytes of a model's words that are kept and shown to it again.
const RAW_BYTES_MAX: usize = 2 << 10;

/// Asks one model at one endpoint.
#[derive(Debug)]
pub struct Adviser {
    asking: Asking,
    runtime: Option<Runtime>,
}

/// The part that waits.
#[derive(Debug)]
struct Asking {
    endpoint: Endpoint,
    /// The rung that worked last, or the top.
    rung: Rung,
    breaker: Breaker,
}

impl Adviser {
    /// An adviser that asks `model`; nothing is asked yet.
    ///
    /// # Errors
    /// [`AccessError`] where address, certificates or the model's name cannot be used.
    pub fn new(access: Access, model: &str) -> Result<Self, AccessError> {
        let endpoint = Endpoint::new(access, model)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| AccessError(format!("the client for the model cannot be used: {e}")))?;
        Ok(Self {
            asking: Asking {
                endpoint,
                rung: Rung::JsonSchema,
                breaker: Breaker::default(),
            },
            runtime: Some(runtime),
        })
    }

    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        self.asking.endpoint.model()
    }

    /// The rung that the next question begins with.
    #[must_use]
    pub const fn rung(&self) -> Rung {
        self.asking.rung
    }

    /// The breaker as it stands.
    #[must_use]
    pub const fn breaker(&self) -> &Breaker {
        &self.asking.breaker
    }

    /// As [`Ask::ask`], for callers that wait by themselves.
    pub async fn ask_async(&mut self, question: &Question, deadline: Duration) -> Answered {
        self.asking.ask(question, deadline).await
    }
}

impl Ask for Adviser {
    fn ask(&mut self, question: &Question, deadline: Duration) -> Answered {
        let Self { asking, runtime } = self;
        let Some(runtime) = runtime else {
            let why = "the client for the model is shut down".to_owned();
            return Answered::untried(question_hash(question), Failure::Access { why });
        };
        if Handle::try_current().is_err() {
            return runtime.block_on(asking.ask(question, deadline));
        }
        // A runtime must not wait within another one; a thread of its own may.
        let asked = std::thread::scope(|scope| {
            let wait = || runtime.block_on(asking.ask(question, deadline));
            scope.spawn(wait).join()
        });
        asked.unwrap_or_else(|_| {
            let why = "the client for the model broke down".to_owned();
            Answered::untried(question_hash(question), Failure::Access { why })
        })
    }
}

impl Drop for Adviser {
    fn drop(&mut self) {
        // A name that is still being looked up must hold nobody back.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn question_hash(question: &Question) -> String {
    Prompt::of(question).hash().as_str().to_owned()
}

impl Asking {
    async fn ask(&mut self, question: &Question, deadline: Duration) -> Answered {
        let prompt = Prompt::of(question);
        let hash = prompt.hash().as_str().to_owned();
        if let Err((failures, left)) = self.breaker.admit() {
            return Answered::untried(hash, Failure::Open { failures, left });
        }
        let begun = Instant::now();
        let mut attempts = Vec::new();
        let told = self.attempts(&prompt, begun, deadline, &mut attempts).await;
        self.breaker.tell(told.is_ok());
        let (answer, failure) = match told {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure)),
        };
        let tokens = attempts
            .iter()
            .fold(Tokens::default(), |sum, a| sum.and(a.tokens));
        Answered {
            question: hash,
            answer,
            failure,
            rung: attempts.last().map(|a| a.rung),
            attempts,
            latency_ms: milliseconds(begun.elapsed()),
            tokens,
        }
    }

    /// Exchanges until one can be used, none is left, or the time is over.
    async fn attempts(
        &mut self,
        prompt: &Prompt,
        begun: Instant,
        deadline: Duration,
        attempts: &mut Vec<Attempt>,
    ) -> Result<Answer, Failure> {
        let mut messages = Message::first(prompt);
        let mut rung = self.rung;
        let mut answers = 0;
        loop {
            let asked = Instant::now();
            let told = self.endpoint.ask(&messages, rung, begun + deadline).await;
            let told = told.unwrap_or_else(|| {
                Err(Failure::Late {
                    within_ms: milliseconds(deadline),
                })
            });
            let (raw, tokens, read) = match told {
                Ok(said) => {
                    let read = said.whole().and_then(answer::parse);
                    (
                        Some(cut(&said.text)),
                        said.tokens,
                        read.map_err(Failure::BadAnswer),
                    )
                }
                Err(failure) => (None, Tokens::default(), Err(failure)),
            };
            attempts.push(Attempt {
                rung,
                raw: raw.clone(),
                failure: read.as_ref().err().cloned(),
                latency_ms: milliseconds(asked.elapsed()),
                tokens,
            });
            match (read, rung.below()) {
                (Ok(answer), _) => {
                    self.rung = rung;
                    return Ok(answer);
                }
                (Err(failure), Some(below)) if failure.is_of_form() => rung = below,
                (Err(Failure::BadAnswer(refusal)), _) => {
                    answers += 1;
                    if answers >= ATTEMPTS_MAX {
                        return Err(Failure::BadAnswer(refusal));
                    }
                    messages.extend(correction(raw.as_deref(), &refusal));
                }
                (Err(failure), below) => {
                    if below.is_none() && failure.is_of_form() {
                        // Not the form, then: the next question begins at the top again.
                        self.rung = Rung::JsonSchema;
                    }
                    return Err(failure);
                }
            }
        }
    }
}

fn correction(raw: Option<&str>, refusal: &Refusal) -> [Message; 2] {
    Message::correction(raw.unwrap_or(""), refusal)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A text cut to what is kept, at a character's edge.
fn cut(text: &str) -> String {
    let mut end = text.len().min(RAW_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
