//! Times by their size, with a bounded relative error.

/// Bits of a value that are kept below its highest one: an error of at most 1/128, 0.8 %.
const BITS: u32 = 6;
const BUCKETS: usize = (64 - BITS as usize) << BITS;

/// Counts of nanosecond values in buckets that grow with the value.
///
/// Quantiles have a relative error of at most 0.8 %; counts, sum and maximum are exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    largest: i64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            count: 0,
            sum: 0,
            largest: 0,
        }
    }
}

#[inline]
fn bucket(nanos: i64) -> usize {
    let value = nanos as u64;
    if value < 1 << BITS {
        return value as usize;
    }
    let top = 63 - value.leading_zeros();
    let sub = (value >> (top - BITS)) as usize & ((1 << BITS) - 1);
    (((top - BITS + 1) as usize) << BITS) + sub
}

/// The largest value of a bucket; of the first ones, which hold one value each, that value.
fn upper(index: usize) -> f64 {
    let (level, sub) = (index >> BITS, index & ((1 << BITS) - 1));
    if level == 0 {
        return sub as f64;
    }
    ((1 << BITS) + sub + 1) as f64 * 2_f64.powi(level as i32 - 1) - 1.0
}

impl Histogram {
    /// Takes in one time; below zero counts as zero.
    #[inline]
    pub fn record(&mut self, nanos: i64) {
        let nanos = if nanos < 0 { 0 } else { nanos };
        self.counts[bucket(nanos)] += 1;
        self.count += 1;
        self.sum += nanos as u128;
        if nanos > self.largest {
            self.largest = nanos;
        }
    }

    /// Takes in zero `times` times.
    pub(crate) fn record_zeros(&mut self, times: u64) {
        self.counts[0] += times;
        self.count += times;
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean in seconds; `None` without a value.
    #[must_use]
    pub fn mean_seconds(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64 / 1e9)
    }

    /// The value in seconds that a share `level` of all does not exceed; `None` without a value.
    #[must_use]
    pub fn quantile_seconds(&self, level: f64) -> Option<f64> {
        let rank = (level * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                let value = upper(index);
                let largest = self.largest as f64;
                return Some(if value < largest { value } else { largest } / 1e9);
            }
        }
        None
    }

    /// Upper bounds in milliseconds with how many values lie at or above the bucket's begin: the
    /// points of the complementary distribution, of the buckets that hold something.
    #[must_use]
    pub fn tail(&self) -> Vec<(f64, f64)> {
        let mut left = self.count;
        let mut points = Vec::new();
        for (index, count) in self.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            left -= count;
            points.push((upper(index) / 1e6, left as f64 / self.count as f64));
        }
        points
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.largest = self.largest.max(other.largest);
    }
}

/// A small histogram for short times: quantiles with an error of at most 6 %.
///
/// Without a value it holds no memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    counts: Vec<u32>,
    count: u32,
}

const RECENT_BITS: u32 = 3;
const RECENT_BUCKETS: usize = (64 - RECENT_BITS as usize) << RECENT_BITS;

impl Recent {
    #[inline]
    pub(crate) fn record(&mut self, nanos: i64) {
        let value = (nanos as u64).max(1 << RECENT_BITS);
        let top = 63 - value.leading_zeros();
        let sub = (value >> (top - RECENT_BITS)) as usize & ((1 << RECENT_BITS) - 1);
        let index = (((top - RECENT_BITS) as usize) << RECENT_BITS) + sub;
        if self.counts.is_empty() {
            self.counts.resize(RECENT_BUCKETS, 0);
        }
        self.counts[index] += 1;
        self.count += 1;
    }

    /// The 95 % quantile in milliseconds; `None` without a value.
    #[must_use]
    pub fn p95_ms(&self) -> Option<f64> {
        let rank = (u64::from(self.count) * 95).div_ceil(100);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if *count > 0 && seen >= rank {
                let (level, sub) = (index >> RECENT_BITS, index & ((1 << RECENT_BITS) - 1));
                let middle = (1 << RECENT_BITS) as f64 + sub as f64 + 0.5;
                return Some(middle * 2_f64.powi(level as i32) / 1e6);
            }
        }
        None
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let mut histogram = Histogram::default();
        for i in 1..=100_000_i64 {
            histogram.record(i * 1000);
        }
        for level in [0.01, 0.5, 0.9, 0.99, 0.999] {
            let want = level * 0.1;
            let got = histogram.quantile_seconds(level).unwrap();
            assert!(
                (got / want - 1.0).abs() < 0.01 + 1e-5,
                "{level}: {got} against {want}"
            );
        }
        assert!((histogram.mean_seconds().unwrap() - 0.050_000_5).abs() < 1e-12);
        assert_eq!(histogram.quantile_seconds(1.0), Some(0.1));
    }

    #[test]
    fn nothing_waited_is_zero_and_not_a_nanosecond() {
        let mut histogram = Histogram::default();
        for nanos in [0, 0, 0, 1, 64, 1 << 40] {
            histogram.record(nanos);
        }
        assert_eq!(histogram.quantile_seconds(0.5), Some(0.0));
        assert_eq!(histogram.tail()[0], (0.0, 0.5));
        assert_eq!(histogram.quantile_seconds(0.6), Some(1e-9));
        assert_eq!(histogram.quantile_seconds(0.8), Some(64e-9));
    }

    #[test]
    fn two_merged_are_as_one() {
        let (mut a, mut b, mut both) = (
            Histogram::default(),
            Histogram::default(),
            Histogram::default(),
        );
        for i in 0..1000 {
            if i % 3 == 0 {
                a.record(i * i);
            } else {
                b.record(i * i);
            }
            both.record(i * i);
        }
        a.merge(&b);
        assert_eq!(a, both);
    }

    #[test]
    fn the_small_one_finds_the_quantile_also_of_parts_that_are_merged() {
        let (mut whole, mut first, mut second) =
            (Recent::default(), Recent::default(), Recent::default());
        assert_eq!(whole.p95_ms(), None);
        for i in 1..=1000_i64 {
            whole.record(i * 1_000_000);
            let part = if i <= 900 { &mut first } else { &mut second };
            part.record(i * 1_000_000);
        }
        let p95 = whole.p95_ms().unwrap();
        assert!((p95 / 950.0 - 1.0).abs() < 0.07, "{p95}");
        let mut merged = Recent::default();
        merged.merge(&first);
        merged.merge(&second);
        merged.merge(&Recent::default());
        assert_eq!(merged, whole);
    }
}
