//! Replicas over time, second by second, and how two such curves differ.

use crate::rig::Rig;

/// Replicas that were asked for at each whole second; a second that was not seen is as the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve(Vec<f64>);

impl Curve {
    /// What held at each second of `length` seconds, of values with the times from which they hold.
    ///
    /// The first value holds before its time as well.
    pub fn stepped(points: &[(f64, f64)], length: f64) -> Self {
        let mut next = 0;
        let mut at = |second: f64| {
            while points.get(next + 1).is_some_and(|p| p.0 <= second) {
                next += 1;
            }
            points[next].1
        };
        let seconds = 0..length as usize;
        Self(seconds.map(|s| at(s as f64)).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn values(&self) -> &[f64] {
        &self.0
    }

    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    pub fn most(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// How often the number changes.
    pub fn changes(&self) -> usize {
        self.0.windows(2).filter(|w| differ(w[0], w[1])).count()
    }

    /// Share of seconds whose value the other has at some second at most `slack` seconds away.
    pub fn agreement(&self, other: &Self, slack: f64) -> f64 {
        let slack = slack as usize;
        let near = |(second, value): (usize, &f64)| {
            let from = second.saturating_sub(slack);
            let until = (second + slack + 1).min(other.len());
            other.0[from..until].iter().any(|o| !differ(*o, *value))
        };
        let hits = self.0.iter().enumerate().filter(|v| near(*v)).count();
        hits as f64 / self.0.len() as f64
    }

    /// Mean of the absolute differences, in replicas.
    pub fn mean_difference(&self, other: &Self) -> f64 {
        self.difference_shifted(other, 0).1
    }

    /// Mean of what is missing to the other, in replicas; what is too much counts for nothing.
    pub fn mean_shortfall(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        let missing: f64 = pairs.map(|(mine, other)| (other - mine).max(0.0)).sum();
        missing / self.0.len() as f64
    }

    /// By how many seconds, at most `most`, this curve lags behind the other: the shift at which they
    /// differ least; below 0 it is ahead. Of several as good, their middle.
    pub fn lag_behind(&self, other: &Self, most: i64) -> f64 {
        let all: Vec<_> = (-most..=most)
            .map(|shift| self.difference_shifted(other, shift))
            .collect();
        let least = all.iter().map(|d| d.1).fold(f64::INFINITY, f64::min);
        let best: Vec<_> = all.iter().filter(|d| d.1 <= least + 1e-9).collect();
        best.iter().map(|d| d.0 as f64).sum::<f64>() / best.len() as f64
    }

    /// The shift, and the mean absolute difference to the other that many seconds earlier.
    fn difference_shifted(&self, other: &Self, shift: i64) -> (i64, f64) {
        let pair = |(second, value): (usize, &f64)| {
            let then = usize::try_from(second as i64 - shift).ok()?;
            Some((value - other.0.get(then)?).abs())
        };
        let all: Vec<f64> = self.0.iter().enumerate().filter_map(pair).collect();
        (shift, all.iter().sum::<f64>() / all.len() as f64)
    }
}

/// Whether two counts are not the same.
fn differ(a: f64, b: f64) -> bool {
    (a - b).abs() > 0.5
}

/// A step of height 4 at 20 s and the same 7 s later: they differ by 4 for 7 of 100 s.
pub fn are_compared_as_the_closed_forms_say(_rig: &Rig) {
    let step = |at: f64| Curve::stepped(&[(0.0, 2.0), (at, 6.0)], 100.0);
    let (early, late) = (step(20.0), step(27.0));
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    close(late.mean_difference(&early), 0.28);
    close(late.mean_shortfall(&early), 0.28);
    close(early.mean_shortfall(&late), 0.0);
    close(late.agreement(&early, 0.0), 0.93);
    close(late.agreement(&early, 6.0), 0.99);
    close(late.agreement(&early, 7.0), 1.0);
    close(late.lag_behind(&early, 30), 7.0);
    close(early.lag_behind(&late, 30), -7.0);
    close(early.mean(), 5.2);
    assert_eq!(early.changes(), 1);
    // Another height is no agreement, however long one waits.
    let other = Curve::stepped(&[(0.0, 2.0), (20.0, 7.0)], 100.0);
    close(other.agreement(&early, 50.0), 0.2);
}
