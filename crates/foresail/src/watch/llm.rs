//! A language model beside a watch: asked on a thread of its own, heard at the next sync.
//!
//! A sync never waits for the model: a question goes out after a sync, and the answer comes in as
//! advice before a later one, where it is still good.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use foresail_adapters::access::{Access, Token};
use foresail_adapters::llm::{Adviser, Answered, Ask, Question, Recording, Row};
use foresail_core::explain::Explanation;
use foresail_core::history::TargetHistory;
use foresail_core::observe::Metric;
use foresail_core::propose::advice::Advice;
use foresail_core::quantity::time::{Span, Timestamp};

use super::observe::Seen;
use super::score::Pods;
use super::shadow::Orders;
use crate::config::{Environment, Strings};

/// The variable that may hold the token.
const TOKEN_VARIABLE: &str = "FORESAIL_LLM_BEARER_TOKEN";

/// How far ahead the model shall look, in seconds; as `llm` scores its answers.
/// Source: foresail_models::propose::llm, knob `horizonSeconds`.
const HORIZON_SECONDS: u32 = 300;

/// Rows of past minutes that are told beside the newest look.
const MINUTES: usize = 9;

/// A language model that is asked beside the watch.
#[derive(Args, Clone, Debug, Default)]
pub struct LlmArgs {
    /// Ask a language model for advice: an endpoint such as http://127.0.0.1:11434/v1
    #[arg(long, value_name = "URL", requires = "llm_model")]
    pub llm_url: Option<String>,
    /// The model's name there, such as qwen2.5-coder:3b
    #[arg(long, value_name = "NAME", requires = "llm_url")]
    pub llm_model: Option<String>,
    /// File with the bearer token for the model
    #[arg(long, value_name = "FILE", requires = "llm_url")]
    pub llm_token_file: Option<PathBuf>,
    /// Allow http to a model on another machine
    #[arg(long, requires = "llm_url")]
    pub llm_plain_http: bool,
    /// Time between two questions; an answer may take half of it [default: 60s]
    #[arg(long, value_name = "TIME", requires = "llm_url")]
    pub llm_interval: Option<Span>,
    /// Record questions and answers
    #[arg(long, value_name = "FILE", requires = "llm_url")]
    pub llm_record: Option<PathBuf>,
}

impl LlmArgs {
    /// `true` where a model is asked.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.llm_url.is_some()
    }

    /// The adviser that the flags name; `None` without any.
    ///
    /// # Errors
    /// Where the address, the model's name or the interval cannot be used.
    pub fn adviser(&self) -> Result<Option<(Adviser, Span)>> {
        let (Some(url), Some(model)) = (&self.llm_url, &self.llm_model) else {
            return Ok(None);
        };
        let interval = self.llm_interval.unwrap_or(Span::from_seconds(60));
        ensure!(
            interval >= Span::from_seconds(1),
            "--llm-interval {interval}: must be 1s or more"
        );
        let mut access = Access::to_model(url);
        access.plain_http = self.llm_plain_http;
        access.token = match (&self.llm_token_file, Environment.get(TOKEN_VARIABLE)) {
            (Some(path), _) => Token::File(path.clone()),
            (None, Some(token)) => Token::Text(token),
            (None, None) => Token::None,
        };
        Ok(Some((Adviser::new(access, model)?, interval)))
    }
}

/// A question on its way, and when it was asked.
type Asked = (Timestamp, Question);

/// The model's thread, seen from the loop.
#[derive(Debug)]
pub struct Beside {
    interval: Span,
    questions: SyncSender<Asked>,
    answers: Receiver<(Timestamp, Answered)>,
    thread: JoinHandle<std::io::Result<()>>,
    is_recorded: bool,
    /// When the last question was asked, and whether its answer is still to come.
    last: Option<(Timestamp, bool)>,
    /// What was told of the model last.
    told: String,
}

impl Beside {
    /// Begins to listen; with `record` every question and answer is written there.
    ///
    /// # Errors
    /// Where the record cannot be begun.
    pub fn begin(
        adviser: Adviser,
        interval: Span,
        record: Option<Box<dyn std::io::Write + Send>>,
    ) -> Result<Self> {
        let model = adviser.model().to_owned();
        let is_recorded = record.is_some();
        let recording = match record {
            Some(out) => Ok(Recording::new(adviser, &model, out)
                .context("the record of the model's answers cannot be written")?),
            None => Err(adviser),
        };
        // One question at a time is on its way, so that neither side ever waits to send.
        let (questions, asked) = sync_channel::<Asked>(1);
        let (answered, answers) = sync_channel(1);
        let deadline = Duration::from_nanos(interval.nanos().unsigned_abs() / 2);
        let thread = std::thread::spawn(move || {
            let answer = |asking: &mut dyn Ask| {
                for (at, question) in asked {
                    if answered
                        .send((at, asking.ask(&question, deadline)))
                        .is_err()
                    {
                        break;
                    }
                }
            };
            match recording {
                Ok(mut recording) => {
                    answer(&mut recording);
                    recording.finish()
                }
                Err(mut adviser) => {
                    answer(&mut adviser);
                    Ok(())
                }
            }
        });
        Ok(Self {
            interval,
            questions,
            answers,
            thread,
            is_recorded,
            last: None,
            told: String::new(),
        })
    }

    /// Asks, where it is time and no answer is awaited.
    pub fn offer(&mut self, question: impl FnOnce() -> Question, now: Timestamp) {
        let is_due = match self.last {
            None => true,
            Some((at, waits)) => !waits && now - at >= self.interval,
        };
        if is_due && self.questions.try_send((now, question())).is_ok() {
            self.last = Some((now, true));
        }
    }

    /// The advice that has come in since, where there is any; never waits.
    pub fn heard(&mut self, orders: &Orders) -> Option<Advice> {
        let (asked, answered) = match self.answers.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
        };
        self.last = Some((asked, false));
        self.tell(&answered);
        answered.advice(&orders.target(), asked, self.interval)
    }

    /// Tells of the model what was not told of it last.
    fn tell(&mut self, answered: &Answered) {
        use foresail_adapters::llm::Failure;
        let told = match &answered.failure {
            // Told when it opened; the questions left are no news.
            Some(Failure::Open { .. }) if self.told.contains("left alone") => return,
            Some(failure) => failure.to_string(),
            None if answered.schema_ignored() => {
                "the endpoint does not hold the model to the schema: its answer stood in a fence or among words".to_owned()
            }
            None => String::new(),
        };
        if told != self.told {
            if told.is_empty() {
                eprintln!("note: the model answers again");
            } else {
                eprintln!("warning: {told}");
            }
            self.told = told;
        }
    }

    /// Ends; a record waits for the answer that is on its way.
    ///
    /// # Errors
    /// Where the record could not be written.
    pub fn end(self) -> Result<()> {
        drop(self.questions);
        drop(self.answers);
        if !self.is_recorded {
            return Ok(());
        }
        match self.thread.join() {
            Ok(written) => {
                Ok(written.context("the record of the model's answers cannot be written")?)
            }
            Err(_) => bail!("the thread that asks the model broke down"),
        }
    }
}

/// What the model is asked after a sync: numbers of this look and of the minutes before.
#[must_use]
pub fn question(
    orders: &Orders,
    told: &Explanation,
    seen: &Seen,
    pods: Pods,
    history: Option<&TargetHistory>,
) -> Question {
    let age =
        |at: Timestamp| u32::try_from((told.at - at).whole_seconds().max(0)).unwrap_or(u32::MAX);
    let newest = seen.demand.map(|(value, at)| Row {
        age_seconds: age(at),
        requests_per_second: Some(value),
        pods: Some(pods.ready),
        ..Row::default()
    });
    let minutes = history.map(|h| h.points(Metric::Demand));
    let before = |at: Timestamp| seen.demand.is_none_or(|(_, newest)| at < newest);
    let points = minutes.into_iter().flatten().filter(|p| before(p.at));
    let mut rows: Vec<Row> = points
        .rev()
        .take(MINUTES)
        .map(|p| Row {
            age_seconds: age(p.at),
            requests_per_second: Some(p.value),
            ..Row::default()
        })
        .collect();
    rows.reverse();
    rows.extend(newest);
    let baseline = told.reactive.map_or(pods.paid, |r| r.get());
    Question {
        current: pods.paid,
        ready: pods.ready,
        min: orders.bounds.0,
        max: orders.bounds.1,
        baseline,
        horizon_seconds: HORIZON_SECONDS,
        requests_target: Some(orders.target_value),
        rows,
        ..Question::default()
    }
}
