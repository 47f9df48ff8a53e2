//! One measurement: warm-up requests that count for nothing, then repeats of requests, one
//! configuration at a time.

use std::time::Instant;

use anyhow::Result;
use foresail_adapters::workflow::System;
use foresail_core::propose::advice::Measurement;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::smaller;
use foresail_core::value::cost::Price;
use foresail_core::value::workflow::{Promise, Size, Workflow};
use serde::{Deserialize, Serialize};

/// Requests that a cost is told for.
pub const THOUSAND: f64 = 1000.0;

/// How a plan is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    /// The promise.
    pub promise: Promise,
    /// Requests sent after a change and discarded: containers that start.
    pub warmups: u32,
    /// Times that the promise's level is measured; the median counts.
    pub repeats: u32,
    /// Requests of each repeat.
    pub requests: u32,
    /// A measurement is ended once its level is sure to lie above so many times the promise;
    /// `None` where it never is.
    pub abort_factor: Option<f64>,
    /// How long an answer is waited for.
    pub wait: Span,
    /// What running costs.
    pub price: Price,
}

/// How a measurement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// Whole.
    Whole,
    /// The promise was broken by far; latency is a bound from below.
    Aborted,
    /// No request was answered.
    Unanswered,
    /// There was no money left.
    Spent,
    /// Somebody asked for the end.
    Interrupted,
}

/// What a measurement came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measured {
    /// How it ended.
    pub ended: Ended,
    /// Cost per thousand requests; absent where none was answered.
    pub cost: Option<f64>,
    /// Latency at the level in seconds, the median of the repeats; where it was aborted, what it
    /// is at least.
    pub latency: Option<f64>,
    /// Requests sent, warm-up included.
    pub requests: u64,
    /// Those of them that were not answered in time.
    pub lost: u64,
    /// What all of them cost.
    pub spend: f64,
    /// Seconds that they took, one after another.
    pub seconds: f64,
    /// Share of the measured requests on whose critical path each stage lay, shape `[stages]`.
    pub critical: Vec<f64>,
}

impl Measured {
    /// `true` where it is whole and the promise was kept.
    #[must_use]
    pub fn kept(&self, promise: Promise) -> bool {
        self.ended == Ended::Whole && self.latency.is_some_and(|l| l <= promise.seconds)
    }

    /// What the tuner is told; an aborted measurement broke the constraint by its bound at least.
    #[must_use]
    pub fn told(&self, promise: Promise) -> Measurement {
        Measurement {
            objective: self.cost,
            excess: self.latency.map(|l| l - promise.seconds),
            slo_met: self.ended == Ended::Whole,
        }
    }
}

/// What is allowed of one measurement.
pub struct Allowed<'a> {
    /// What may be spent; `None` without a cap.
    pub spend: Option<f64>,
    /// `true` once somebody asks for the end.
    pub stop: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for Allowed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Allowed")
            .field("spend", &self.spend)
            .finish_non_exhaustive()
    }
}

/// Measures what is in force; `sizes` are those of its plan, shape `[stages]`.
///
/// # Errors
/// Where a request could not be sent.
pub fn measure(
    system: &mut dyn System,
    workflow: &Workflow,
    sizes: &[Size],
    protocol: &Protocol,
    allowed: &Allowed<'_>,
) -> Result<Measured> {
    let mut run = Run {
        workflow,
        sizes,
        protocol,
        spend: 0.0,
        seconds: 0.0,
        sent: 0,
        lost: 0,
        cost: 0.0,
        counted: 0,
        answered: 0,
        on_path: vec![0; sizes.len()],
        levels: Vec::new(),
    };
    let ended = run.all(system, allowed)?;
    Ok(run.measured(ended))
}

/// A measurement while it runs.
struct Run<'a> {
    workflow: &'a Workflow,
    sizes: &'a [Size],
    protocol: &'a Protocol,
    spend: f64,
    seconds: f64,
    sent: u64,
    lost: u64,
    /// Cost of the counted requests.
    cost: f64,
    counted: u64,
    /// Those of them that were answered.
    answered: u64,
    on_path: Vec<u64>,
    /// Latency at the level of each repeat.
    levels: Vec<f64>,
}

impl Run<'_> {
    fn all(&mut self, system: &mut dyn System, allowed: &Allowed<'_>) -> Result<Ended> {
        for _ in 0..self.protocol.warmups {
            if let Some(ended) = self.ends(allowed) {
                return Ok(ended);
            }
            if self.send(system, false)?.is_none() {
                return Ok(Ended::Interrupted);
            }
        }
        for _ in 0..self.protocol.repeats {
            if let Some(ended) = self.repeat(system, allowed)? {
                return Ok(ended);
            }
        }
        Ok(self.how(Ended::Whole))
    }

    /// How it ended, unless no answer ever came.
    fn how(&self, ended: Ended) -> Ended {
        if self.answered > 0 {
            ended
        } else {
            Ended::Unanswered
        }
    }

    fn ends(&self, allowed: &Allowed<'_>) -> Option<Ended> {
        if (allowed.stop)() {
            return Some(Ended::Interrupted);
        }
        let spent = allowed.spend.is_some_and(|most| self.spend >= most);
        spent.then_some(Ended::Spent)
    }

    /// One repeat; why the whole measurement ends, where it does.
    fn repeat(&mut self, system: &mut dyn System, allowed: &Allowed<'_>) -> Result<Option<Ended>> {
        let promise = self.protocol.promise;
        let count = self.protocol.requests as usize;
        let far = self.protocol.abort_factor.map(|f| f * promise.seconds);
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            if let Some(ended) = self.ends(allowed) {
                return Ok(Some(ended));
            }
            let Some(latency) = self.send(system, true)? else {
                return Ok(Some(Ended::Interrupted));
            };
            latencies.push(latency);
            let beyond = latencies.iter().filter(|l| far.is_some_and(|f| **l > f));
            if beyond.count() > promise.may_exceed(count) {
                return Ok(Some(self.abort(&latencies, count)));
            }
        }
        self.levels.extend(promise.latency(&latencies));
        Ok(None)
    }

    /// The level lies at or above the slowest requests but those that may exceed it.
    fn abort(&mut self, latencies: &[f64], count: usize) -> Ended {
        let mut slowest = latencies.to_vec();
        slowest.sort_by(|a, b| b.total_cmp(a));
        let bound = slowest[self.protocol.promise.may_exceed(count)];
        self.levels = vec![bound];
        self.how(Ended::Aborted)
    }

    /// Sends one request and returns its latency; infinite where it was not answered, none where
    /// somebody asked for the end meanwhile.
    fn send(&mut self, system: &mut dyn System, counts: bool) -> Result<Option<f64>> {
        let begin = Instant::now();
        let answer = match system.request(self.protocol.wait) {
            Err(error) if error.stopped => {
                self.cut_short(begin.elapsed().as_secs_f64());
                return Ok(None);
            }
            other => other?,
        };
        let cost = self
            .workflow
            .cost(&answer.seconds, self.sizes, &self.protocol.price);
        self.sent += 1;
        self.spend += cost;
        self.seconds += answer.latency.unwrap_or(self.protocol.wait.seconds());
        if answer.latency.is_none() {
            self.lost += 1;
        }
        // One that failed is not answered; what it ran is no sample of what a request costs.
        if counts && !answer.failed {
            self.counted += 1;
            self.answered += u64::from(answer.latency.is_some());
            self.cost += cost;
            for place in self.workflow.timing(&answer.seconds).critical {
                self.on_path[place] += 1;
            }
        }
        Ok(Some(answer.latency.unwrap_or(f64::INFINITY)))
    }

    /// A request was under way when somebody asked for the end: it is paid for as long as it was waited
    /// for, in a stage that nobody knows.
    fn cut_short(&mut self, seconds: f64) {
        let stages = vec![vec![seconds]; self.sizes.len()];
        let cost = self
            .workflow
            .cost(&stages, self.sizes, &self.protocol.price);
        self.sent += 1;
        self.lost += 1;
        self.spend += cost;
        self.seconds += seconds;
    }

    fn measured(&self, ended: Ended) -> Measured {
        let counted = self.counted as f64;
        let share = |n: &u64| {
            if counted > 0.0 {
                *n as f64 / counted
            } else {
                0.0
            }
        };
        let numbers = ended != Ended::Unanswered && self.counted > 0;
        // One that was never answered took at least as long as was waited.
        let wait = self.protocol.wait.seconds();
        let levels: Vec<f64> = self.levels.iter().map(|l| smaller(*l, wait)).collect();
        Measured {
            ended,
            cost: numbers.then(|| THOUSAND * self.cost / counted),
            latency: median(&levels).filter(|_| numbers),
            requests: self.sent,
            lost: self.lost,
            spend: self.spend,
            seconds: self.seconds,
            critical: self.on_path.iter().map(share).collect(),
        }
    }
}

/// The median; of two in the middle the larger.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
