//! A histogram whose old samples fade: buckets that grow, weights that halve with age.

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

use super::elementary::{exp2, ln, scaled, whole_power};

/// A bucket with less weight than this is empty.
/// Source: vertical-pod-autoscaler 1.8.1, pkg/recommender/model/aggregations_config.go.
const EPSILON: f64 = 0.0001;

/// Half-lives after which the time of reference moves, so that weights do not overflow.
const HALF_LIVES_MAX: i64 = 100;

/// The largest weight of a bucket in a checkpoint.
const CHECKPOINT_WEIGHT_MAX: f64 = 10_000.0;

/// Nanoseconds from the first of January of the year 1 to 1970: half-lives are counted from there.
const YEAR_ONE: i128 = 62_135_596_800 * 1_000_000_000;

/// Where the edges of buckets lie: each is wider than the one before by the same ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buckets {
    first: f64,
    ratio: f64,
    ln_ratio: f64,
    count: usize,
}

impl Buckets {
    /// Buckets from 0 to `most`, the first of width `first`, each wider by 5 %.
    fn new(most: f64, first: f64) -> Self {
        let ratio = 1.0 + 0.05;
        let ln_ratio = ln(ratio);
        let count = (ln(most * (ratio - 1.0) / first + 1.0) / ln_ratio).ceil() as usize + 1;
        Self {
            first,
            ratio,
            ln_ratio,
            count,
        }
    }

    /// Those of CPU in cores: the first of 0.01, up to 1000.
    #[must_use]
    pub fn cpu() -> Self {
        Self::new(1000.0, 0.01)
    }

    /// Those of memory in bytes: the first of 10 MB, up to 1 TB.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(1e12, 1e7)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bucket in which `value` lies; the last for whatever is larger.
    #[must_use]
    pub fn of(&self, value: f64) -> usize {
        if value < self.first {
            return 0;
        }
        let place = ln(value * (self.ratio - 1.0) / self.first + 1.0) / self.ln_ratio;
        (place as usize).min(self.count - 1)
    }

    /// Where a bucket begins.
    #[must_use]
    pub fn start(&self, bucket: usize) -> f64 {
        if bucket == 0 {
            return 0.0;
        }
        let power = whole_power(self.ratio, i32::try_from(bucket).unwrap_or(i32::MAX));
        self.first * (power - 1.0) / (self.ratio - 1.0)
    }
}

/// Weights of buckets; a sample loses half of its weight with each half-life.
///
/// Only ratios of weights count, so a sample weighs 2 to the power of its age at a time of
/// reference, in half-lives, and nothing has to be touched as time goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    buckets: Buckets,
    half_life: Span,
    /// `None` before the first sample: the year 1.
    reference: Option<Timestamp>,
    weights: Vec<f64>,
    total: f64,
    /// The first bucket that is not empty, else the last of all.
    first: usize,
    /// The last bucket that is not empty, else 0.
    last: usize,
}

/// A histogram as data, with nothing lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedHistogram {
    reference: Option<Timestamp>,
    total: f64,
    range: (usize, usize),
    /// Buckets with any weight.
    weights: Vec<(usize, f64)>,
}

/// A histogram in a checkpoint: weights as whole numbers up to 10000.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RoughHistogram {
    pub(super) reference: Option<Timestamp>,
    pub(super) total: f64,
    pub(super) weights: Vec<(usize, u32)>,
}

fn without_residue(value: f64, sub: f64) -> f64 {
    let left = value - sub;
    if left < EPSILON { 0.0 } else { left }
}

/// `at` rounded to whole half-lives since the year 1, halves up.
fn rounded(at: Timestamp, half_life: Span) -> Timestamp {
    let (since, step) = (
        i128::from(at.nanos()) + YEAR_ONE,
        i128::from(half_life.nanos()),
    );
    let over = since.rem_euclid(step);
    let change = if over + over < step {
        -over
    } else {
        step - over
    };
    let nanos = i64::try_from(i128::from(at.nanos()) + change);
    Timestamp::from_nanos(nanos.unwrap_or(i64::MAX))
}

impl Histogram {
    /// An empty one. `half_life` must be above zero.
    #[must_use]
    pub fn new(buckets: Buckets, half_life: Span) -> Self {
        Self {
            weights: vec![0.0; buckets.count],
            total: 0.0,
            first: buckets.count - 1,
            last: 0,
            reference: None,
            buckets,
            half_life,
        }
    }

    /// Adds a sample.
    pub fn add(&mut self, value: f64, weight: f64, at: Timestamp) {
        let weight = weight * self.decay(at);
        let bucket = self.buckets.of(value);
        self.weights[bucket] += weight;
        self.total += weight;
        if self.weights[bucket] >= EPSILON {
            self.first = self.first.min(bucket);
            self.last = self.last.max(bucket);
        }
    }

    /// Takes a sample out that was added with this value, weight and time.
    pub fn subtract(&mut self, value: f64, weight: f64, at: Timestamp) {
        let weight = weight * self.decay(at);
        let bucket = self.buckets.of(value);
        self.total = without_residue(self.total, weight);
        self.weights[bucket] = without_residue(self.weights[bucket], weight);
        self.narrow();
    }

    /// Adds all samples of another of the same form, whose time of reference may move with ours.
    pub fn merge(&mut self, other: &mut Self) {
        // A histogram without a time of reference is older than any.
        match (self.reference, other.reference) {
            (ours, Some(theirs)) if ours.is_none_or(|o| o < theirs) => self.shift(theirs),
            (Some(ours), theirs) if theirs.is_none_or(|t| t < ours) => other.shift(ours),
            _ => {}
        }
        for bucket in other.first..=other.last {
            self.weights[bucket] += other.weights[bucket];
        }
        self.total += other.total;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// The end of the bucket up to which `share` (0 to 1) of the weight lies; 0 where it is empty.
    #[must_use]
    pub fn percentile(&self, share: f64) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let threshold = share * self.total;
        let mut sum = 0.0;
        let mut bucket = self.first;
        while bucket < self.last {
            sum += self.weights[bucket];
            if sum >= threshold {
                break;
            }
            bucket += 1;
        }
        // The last bucket has no end.
        self.buckets.start((bucket + 1).min(self.buckets.count - 1))
    }

    /// `true` without a sample that still has weight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights[self.first] < EPSILON
    }

    fn decay(&mut self, at: Timestamp) -> f64 {
        let most = self.half_life.nanos().saturating_mul(HALF_LIVES_MAX);
        let too_late = |r: Timestamp| at.nanos() > r.nanos().saturating_add(most);
        let reference = match self.reference {
            Some(reference) if !too_late(reference) => reference,
            _ => {
                self.shift(at);
                self.reference.unwrap_or(at)
            }
        };
        let age = at.nanos().saturating_sub(reference.nanos());
        exp2(age as f64 / self.half_life.nanos() as f64)
    }

    fn shift(&mut self, to: Timestamp) {
        let to = rounded(to, self.half_life);
        let moved = |r: Timestamp| r.nanos().saturating_sub(to.nanos());
        let back = self.reference.map_or(i64::MIN, moved);
        let exponent = (back as f64 / self.half_life.nanos() as f64 + 0.5).floor();
        self.scale(scaled(1.0, exponent as i64));
        self.reference = Some(to);
    }

    fn scale(&mut self, factor: f64) {
        // Buckets outside are empty; their residue is left as it is.
        for bucket in self.first..=self.last {
            self.weights[bucket] *= factor;
        }
        self.total *= factor;
        self.narrow();
    }

    fn narrow(&mut self) {
        while self.weights[self.first] < EPSILON && self.first < self.buckets.count - 1 {
            self.first += 1;
        }
        while self.weights[self.last] < EPSILON && self.last > 0 {
            self.last -= 1;
        }
    }

    /// All of it as data.
    #[must_use]
    pub fn save(&self) -> SavedHistogram {
        let weights = self.weights.iter().copied().enumerate();
        SavedHistogram {
            reference: self.reference,
            total: self.total,
            range: (self.first, self.last),
            weights: weights.filter(|(_, w)| *w > 0.0).collect(),
        }
    }

    /// Takes back what [`Histogram::save`] gave.
    ///
    /// # Errors
    /// What is no histogram of these buckets.
    pub fn restore(&mut self, saved: &SavedHistogram) -> Result<(), String> {
        let count = self.buckets.count;
        let bad = |w: f64| !w.is_finite() || w < 0.0;
        let beyond = |b: usize| b >= count;
        let (first, last) = saved.range;
        if beyond(first) || beyond(last) || saved.weights.iter().any(|(b, _)| beyond(*b)) {
            return Err(format!("a bucket beyond the {count} that there are"));
        }
        if bad(saved.total) || saved.weights.iter().any(|(_, w)| bad(*w)) {
            return Err("a weight that is no weight".to_owned());
        }
        self.weights.fill(0.0);
        for (bucket, weight) in &saved.weights {
            self.weights[*bucket] = *weight;
        }
        self.total = saved.total;
        (self.first, self.last) = saved.range;
        self.reference = saved.reference;
        Ok(())
    }

    /// The form of a checkpoint: each weight over the largest, in ten thousandths.
    pub(super) fn rough(&self) -> RoughHistogram {
        let range = || self.first..=self.last;
        let most = range().map(|b| self.weights[b]).fold(0.0, larger);
        let ratio = CHECKPOINT_WEIGHT_MAX / most;
        let weight = |b: usize| (self.weights[b] * ratio + 0.5).floor() as u32;
        let weights = range().map(|b| (b, weight(b))).filter(|(_, w)| *w > 0);
        RoughHistogram {
            reference: self.reference,
            total: self.total,
            weights: weights.collect(),
        }
    }

    /// Adds what a checkpoint holds, and takes its time of reference.
    ///
    /// # Errors
    /// A bucket that does not exist and a total below zero.
    pub(super) fn load(&mut self, rough: &RoughHistogram) -> Result<(), String> {
        let count = self.buckets.count;
        if rough.total.is_nan() || rough.total < 0.0 {
            return Err(format!("totalWeight {}: must be 0 or more", rough.total));
        }
        if let Some((bucket, _)) = rough.weights.iter().find(|(b, _)| *b >= count) {
            return Err(format!("bucket {bucket}: there are {count}"));
        }
        self.reference = rough.reference;
        let sum: i64 = rough.weights.iter().map(|(_, w)| i64::from(*w)).sum();
        if sum == 0 {
            return Ok(());
        }
        let ratio = rough.total / sum as f64;
        for (bucket, weight) in &rough.weights {
            self.first = self.first.min(*bucket);
            self.last = self.last.max(*bucket);
            self.weights[*bucket] += f64::from(*weight) * ratio;
        }
        self.total += rough.total;
        self.narrow();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_seconds(1_740_960_000 + n * DAY)
    }

    fn memory() -> Histogram {
        Histogram::new(Buckets::memory(), Span::from_seconds(DAY))
    }

    #[test]
    fn edges_of_buckets_follow_the_closed_form_and_cover_the_range() {
        for (buckets, first, most) in [(Buckets::cpu(), 0.01, 1e3), (Buckets::memory(), 1e7, 1e12)]
        {
            assert_eq!(buckets.count(), 176);
            let mut width = first;
            let mut start = 0.0;
            for bucket in 0..buckets.count() {
                let close = (buckets.start(bucket) - start).abs() <= 1e-11 * most;
                assert!(close, "{bucket}: {} is not {start}", buckets.start(bucket));
                assert_eq!(buckets.of(start + width / 2.0), bucket);
                (start, width) = (start + width, width * 1.05);
            }
            assert!(buckets.start(buckets.count() - 1) >= most);
            assert_eq!(buckets.of(f64::MAX), 175);
        }
    }

    #[test]
    fn a_sample_of_yesterday_weighs_half() {
        let mut histogram = memory();
        assert!(histogram.is_empty() && histogram.percentile(0.5) < 1.0);
        histogram.add(5e7, 3.0, day(0));
        histogram.add(9e8, 1.0, day(1));
        // 1.5 against 1: up to 60 % it is the older value.
        assert!(histogram.percentile(0.599) < 6e7);
        assert!(histogram.percentile(0.601) > 8e8);
        histogram.subtract(9e8, 1.0, day(1));
        assert!(histogram.percentile(1.0) < 6e7);
        histogram.add(9e8, 1.0, day(400));
        assert!(
            histogram.percentile(0.0) > 8e8,
            "after 400 half-lives nothing is left"
        );
    }

    #[test]
    fn saved_and_restored_is_the_same_and_nonsense_is_refused() {
        let mut histogram = memory();
        for i in 0..300 {
            histogram.add(1e6 * (i * i % 911) as f64, 0.1, day(i));
        }
        let text = serde_json::to_string(&histogram.save()).unwrap();
        let mut other = memory();
        other
            .restore(&serde_json::from_str(&text).unwrap())
            .unwrap();
        assert_eq!(histogram, other);
        for (from, to) in [("[30,", "[999,"), ("\"total\":", "\"total\":-")] {
            let broken = text.replacen(from, to, 1);
            if broken != text {
                let saved: SavedHistogram = serde_json::from_str(&broken).unwrap();
                assert!(memory().restore(&saved).is_err(), "{broken}");
            }
        }
        let beyond = RoughHistogram {
            reference: None,
            total: 1.0,
            weights: vec![(176, 1)],
        };
        assert!(memory().load(&beyond).unwrap_err().contains("bucket 176"));
    }
}
