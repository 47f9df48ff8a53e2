//! One interval of a run: its row in the making, rehearsed and live alike.

use std::collections::VecDeque;

use foresail_adapters::llm::{self, Answered, Question, ROWS_MAX};
use foresail_core::engine::Tick;
use foresail_core::propose::advice::Advice;
use foresail_core::quantity::time::{Span, Timestamp};

use super::Mode;
use super::naive::{Naive, Usage};
use super::pilots::{applied_by, guards, record};
use super::row::{Advised, AppliedBy, Row, Simulated};
use super::rules::{Options, Rules};
use super::told::{Exchange, Told};

/// How far ahead an adviser is asked to look, in seconds.
/// Source: alcocuzzi/etp, autoscaler/config.py.
const HORIZON_SECONDS: u32 = 300;

/// Means over the pods that have samples, and how many pods there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    /// CPU of a pod, in millicores.
    pub cpu: Option<f64>,
    /// Memory of a pod, in MiB.
    pub memory: Option<f64>,
    /// Pods.
    pub pods: u32,
    /// Ready ones.
    pub ready: u32,
}

/// CPU and memory that something requests, in millicores and MiB.
pub type Requests = (Option<f64>, Option<f64>);

/// What is there when an interval begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looked {
    /// When.
    pub now: Timestamp,
    /// Replicas asked for.
    pub current: u32,
    /// Pods and what they use.
    pub means: Means,
    /// What a whole pod requests.
    pub requests: Requests,
    /// What the published collector reads of that: the requests of nginx alone.
    pub nginx: Requests,
    /// Replicas that the HPA reports, and what it asks for.
    pub hpa: (Option<u32>, Option<u32>),
    /// What the exact HPA says.
    pub exact: Option<Simulated>,
}

/// Makes a run's rows, one interval after the other.
#[derive(Debug)]
pub struct Intervals {
    mode: Mode,
    /// The simulator's columns are those of the published simulator.
    naive_shown: bool,
    options: Options,
    naive: Naive,
    past: VecDeque<Past>,
}

/// What is remembered of an interval for later questions.
type Past = (Timestamp, Means, Requests);

/// A row in the making.
#[derive(Clone, Debug)]
pub struct Open {
    /// The row.
    pub row: Row,
    /// What stands beside it.
    pub told: Told,
    wrote: bool,
    /// The baseline of the question that it asks, and the rows shown.
    asked: Option<(u32, usize)>,
}

impl Intervals {
    /// Rows of a mode by its rules.
    #[must_use]
    pub fn new(rules: &Rules, mode: Mode, naive_shown: bool) -> Self {
        let options = rules.options.clone();
        Self {
            mode,
            naive_shown,
            naive: Naive::new(
                (options.min, options.max),
                options.cpu_target,
                options.memory_target,
            ),
            options,
            past: VecDeque::new(),
        }
    }

    /// An interval of which nothing is known.
    #[must_use]
    pub fn unknown(&self, now: Timestamp) -> Open {
        let row = Row {
            at: now,
            mode: self.mode,
            current: None,
            ready: None,
            cpu: None,
            memory: None,
            cpu_request: None,
            memory_request: None,
            pods: None,
            simulated: None,
            hpa_current: None,
            hpa_desired: None,
            advised: None,
            applied: None,
            applied_by: AppliedBy::None,
        };
        let told = Told {
            at: now,
            ..Told::default()
        };
        Open {
            row,
            told,
            wrote: false,
            asked: None,
        }
    }

    /// An interval begins: what is measured, what the HPA says, and the question to ask, where there
    /// is enough to ask about.
    pub fn begin(&mut self, looked: &Looked) -> (Open, Option<Question>) {
        let means = looked.means;
        self.past.push_back((looked.now, means, looked.requests));
        let naive = self.naive_answer(looked);
        // The published simulator divides by what the published collector reads.
        let requests = if self.naive_shown {
            looked.nginx
        } else {
            looked.requests
        };
        let mut open = self.unknown(looked.now);
        open.row = Row {
            current: Some(looked.current),
            ready: Some(means.ready),
            cpu: means.cpu,
            memory: means.memory,
            cpu_request: requests.0,
            memory_request: requests.1,
            pods: Some(means.pods),
            simulated: if self.naive_shown {
                naive
            } else {
                looked.exact
            },
            hpa_current: looked.hpa.0,
            hpa_desired: looked.hpa.1,
            ..open.row
        };
        open.told.exact = looked.exact;
        open.told.naive = naive;
        let raw = looked.exact.and_then(|e| e.raw);
        let raw = raw.filter(|_| self.mode.asks());
        // Without what is measured there is nothing to advise on.
        let question = raw
            .filter(|_| means.cpu.is_some())
            .map(|raw| self.question(looked, raw));
        open.asked = question.as_ref().map(|q| (q.baseline, q.rows.len()));
        (open, question)
    }

    fn naive_answer(&mut self, looked: &Looked) -> Option<Simulated> {
        let usage = Usage {
            cpu: looked.means.cpu?,
            memory: looked.means.memory?,
            cpu_request: looked.nginx.0?,
            memory_request: looked.nginx.1?,
        };
        Some(self.naive.answer(looked.now, looked.current, usage))
    }

    fn question(&mut self, looked: &Looked, raw: u32) -> Question {
        let options = &self.options;
        let now = looked.now;
        let oldest = now - options.history;
        self.past.retain(|(at, ..)| *at > oldest);
        while self.past.len() > ROWS_MAX {
            self.past.pop_front();
        }
        let shown = |past: &Past| row(now, past);
        Question {
            current: looked.current,
            ready: looked.means.ready,
            min: options.min,
            max: options.max,
            baseline: raw.clamp(options.min, options.max),
            horizon_seconds: HORIZON_SECONDS,
            cpu_target_percent: Some(options.cpu_target),
            memory_target_percent: Some(options.memory_target),
            requests_target: None,
            rows: self.past.iter().map(shown).collect(),
        }
    }

    /// How long an answer may take.
    #[must_use]
    pub fn deadline(&self) -> Span {
        Span::from_nanos(self.options.interval.nanos() / 2)
    }

    /// Takes an answer into the row that asked for it; what came in time is advice.
    pub fn answered(&self, open: &mut Open, answered: &Answered, latency: Span) -> Option<Advice> {
        let options = &self.options;
        let (baseline, rows) = open.asked.take()?;
        let late = answered.answer.is_some() && latency > self.deadline();
        open.told.asked = Some(exchange(answered, (baseline, latency, late), rows));
        let answer = answered.answer.as_ref().filter(|_| !late)?;
        let recommended = i64::from(baseline) + i64::from(answer.delta);
        let recommended = recommended.clamp(options.min.into(), options.max.into());
        open.row.advised = Some(Advised {
            recommended: u32::try_from(recommended).unwrap_or(baseline),
            confidence: f64::from(answer.confidence_percent) / 100.0,
            reasoning: answer.reasoning.clone(),
        });
        let target = foresail_core::propose::plan::TargetId::new(&options.deployment);
        answered.advice(&target, open.row.at, options.interval)
    }
}

impl Open {
    /// `true` while its question has no answer.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.asked.is_some()
    }

    /// A question that nobody answers within the interval.
    pub fn give_up(&mut self, why: &str) {
        if let Some((baseline, rows)) = self.asked.take() {
            self.told.asked = Some(Exchange {
                baseline,
                rows,
                failure: Some(why.to_owned()),
                ..Exchange::default()
            });
        }
    }

    /// A turn of the loop is over: who decided, and which guards stepped in.
    pub fn turned(&mut self, turn: Option<&Tick>, wrote: bool) {
        let mode = self.row.mode;
        // Who wrote last is named; without a write, who decided last.
        if wrote || !self.wrote {
            self.row.applied_by = match (mode, self.told.naive) {
                // Without metrics it has nothing to go by.
                (Mode::NaiveHpa, None) => AppliedBy::None,
                _ => applied_by(mode, turn, wrote),
            };
        }
        self.wrote |= wrote;
        self.told.turns += 1;
        self.told.writes += u64::from(wrote);
        self.told.guards.extend(guards(mode, turn));
        if matches!(mode, Mode::AiScaler | Mode::Comparison) {
            self.told.record = record(turn).or(self.told.record);
        }
    }
}

fn row(now: Timestamp, (at, means, requests): &Past) -> llm::Row {
    llm::Row {
        age_seconds: u32::try_from((now - *at).whole_seconds()).unwrap_or(0),
        cpu_milli: means.cpu,
        memory_mib: means.memory,
        cpu_request_milli: requests.0,
        memory_request_mib: requests.1,
        requests_per_second: None,
        pods: Some(means.pods),
    }
}

fn exchange(
    answered: &Answered,
    (baseline, latency, late): (u32, Span, bool),
    rows: usize,
) -> Exchange {
    let answer = answered.answer.as_ref();
    let failure = answered.failure.as_ref().map(ToString::to_string);
    let too_late = || format!("the answer came after {latency} and was let go");
    Exchange {
        question: answered.question.clone(),
        baseline,
        delta: answer.map(|a| a.delta),
        said_percent: answer.map(|a| a.confidence_percent),
        limited: answer.is_some_and(|a| a.limited),
        schema_ignored: answered.schema_ignored(),
        rows,
        attempts: answered.attempts.len(),
        latency_ms: u64::try_from(latency.nanos() / 1_000_000).unwrap_or(0),
        late,
        tokens: (answered.tokens.prompt, answered.tokens.completion),
        failure: failure.or_else(|| late.then(too_late)),
    }
}
