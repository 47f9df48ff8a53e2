//! From what is known to what is recommended: percentile, margin, doubt, minimum, rounding, bounds.

use foresail_core::quantity::time::Span;

use super::aggregate::Aggregate;
use super::elementary::whole_power;

/// The largest amount of anything, in millicores or bytes.
const AMOUNT_MAX: f64 = 1e14;

/// How one resource is recommended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimation {
    /// Share of the weight that the target covers.
    pub target: f64,
    /// Share of the weight that the lower bound covers.
    pub lower: f64,
    /// Share of the weight that the upper bound covers.
    pub upper: f64,
    /// So long a history makes the upper bound twice as large.
    pub confidence_interval: Span,
    /// The least for a pod, in millicores or bytes, before it is shared among its containers.
    pub pod_min: i64,
    /// Rounded up to a multiple of this, in millicores or bytes; 1 leaves it.
    pub round: i64,
}

/// How both resources are recommended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimations {
    /// Share of the usage that is added as a margin.
    pub margin: f64,
    /// CPU, in millicores.
    pub cpu: Estimation,
    /// Memory, in bytes.
    pub memory: Estimation,
}

/// What is recommended for one resource of one container, in millicores or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Less is too little.
    pub lower: i64,
    /// What to ask for.
    pub target: i64,
    /// More is too much.
    pub upper: i64,
    /// The target before it was held within what is allowed.
    pub uncapped: i64,
}

/// Cuts to what an amount can be: 0 to 1e14, fractions off; not a number is 0.
pub(super) fn amount(value: f64) -> i64 {
    if value > AMOUNT_MAX {
        AMOUNT_MAX as i64
    } else {
        value as i64
    }
    .max(0)
}

/// The least CPU for a pod, in millicores.
#[must_use]
pub fn cpu_min(milli: f64) -> i64 {
    amount(milli * 0.001 * 1000.0)
}

/// The least memory for a pod, in bytes, from units of 2^20 (which the flag calls Mb).
#[must_use]
pub fn memory_min(mb: f64) -> i64 {
    amount(mb * 1024.0 * 1024.0)
}

fn with_margin(base: i64, margin: f64) -> i64 {
    base + amount(base as f64 * margin)
}

/// Rounds up to a multiple of `scale`.
fn rounded_up(value: i64, scale: i64) -> i64 {
    if scale <= 1 || value == 0 {
        return value;
    }
    (value as f64 / scale as f64).ceil() as i64 * scale
}

impl Estimation {
    /// The range, of usage at a share, by confidence; `containers` share the pod's minimum.
    fn range(&self, usage: impl Fn(f64) -> i64, confidence: f64, containers: usize) -> Range {
        let fraction = 1.0 / containers.max(1) as f64;
        let least = amount(self.pod_min as f64 * fraction);
        let finish = |value: i64| rounded_up(value.max(least), self.round);
        let doubted = |share: f64, doubt: f64, exponent: i32| {
            let factor = whole_power(1.0 + doubt / confidence, exponent);
            finish(amount(usage(share) as f64 * factor))
        };
        let target = finish(usage(self.target));
        Range {
            // Without history nothing is too little and nothing too much.
            lower: doubted(self.lower, 0.001, -2),
            target,
            upper: doubted(self.upper, 1.0, 1),
            uncapped: target,
        }
    }
}

impl Estimations {
    /// What is recommended for CPU, in millicores.
    #[must_use]
    pub fn cpu(&self, of: &Aggregate, containers: usize) -> Range {
        let usage =
            |share: f64| with_margin(amount(of.cpu.percentile(share) * 1000.0), self.margin);
        let confidence = of.confidence(self.cpu.confidence_interval);
        self.cpu.range(usage, confidence, containers)
    }

    /// What is recommended for memory, in bytes.
    #[must_use]
    pub fn memory(&self, of: &Aggregate, containers: usize) -> Range {
        let usage = |share: f64| with_margin(amount(of.memory.percentile(share)), self.margin);
        let confidence = of.confidence(self.memory.confidence_interval);
        self.memory.range(usage, confidence, containers)
    }
}

impl Range {
    /// Held within what is allowed; a bound of 0 is none.
    #[must_use]
    pub fn capped(self, (min, max): (i64, i64)) -> Self {
        let held = |value: i64| {
            let value = if min > 0 { value.max(min) } else { value };
            if max > 0 { value.min(max) } else { value }
        };
        Self {
            lower: held(self.lower),
            target: held(self.target),
            upper: held(self.upper),
            uncapped: self.uncapped,
        }
    }

    /// `true` where `request` is neither too little nor too much.
    #[must_use]
    pub fn holds(&self, request: i64) -> bool {
        (self.lower..=self.upper).contains(&request)
    }
}
