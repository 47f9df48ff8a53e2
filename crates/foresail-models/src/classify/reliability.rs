//! How right a classifier is, and whether its confidence comes true.
//!
//! Source of the expected calibration error: Naeini, Cooper & Hauskrecht 2015, with bins of equal width.

use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::units::larger;

use super::Verdict;

/// Bins of a reliability diagram.
pub const BINS: usize = 15;

/// Number of classes.
const CLASSES: usize = Archetype::CLASSES.len();

/// Verdicts of like confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Number of verdicts.
    pub count: u64,
    confidence: f64,
    right: u64,
}

impl Bin {
    /// Mean confidence; `None` without a verdict.
    #[must_use]
    pub fn confidence(&self) -> Option<f64> {
        (self.count > 0).then(|| self.confidence / self.count as f64)
    }

    /// Share that was right; `None` without a verdict.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        (self.count > 0).then(|| self.right as f64 / self.count as f64)
    }
}

/// How one class was told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OfClass {
    /// Share of the verdicts for it that were right; `None` where there was none.
    pub precision: Option<f64>,
    /// Share of its windows that were told; `None` where there was none.
    pub recall: Option<f64>,
    /// Harmonic mean of the two; `None` where one is missing or both are zero.
    pub f1: Option<f64>,
    /// Its windows.
    pub windows: u64,
}

/// Verdicts beside what was true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// Verdicts by truth and by what was said, in the order of the classes; Idle is said last.
    pub confusion: [[u64; CLASSES + 1]; CLASSES],
    /// Verdicts by confidence.
    pub bins: [Bin; BINS],
    loss: f64,
}

impl Judged {
    /// Counts a verdict whose truth is one of the classes; Idle is none and is left out.
    pub fn add(&mut self, verdict: &Verdict, truth: Archetype) {
        let Some(row) = truth.place() else { return };
        let told = verdict.archetype.place().unwrap_or(CLASSES);
        self.confusion[row][told] += 1;
        let place = (verdict.confidence * BINS as f64) as usize;
        let bin = &mut self.bins[place.min(BINS - 1)];
        bin.count += 1;
        bin.confidence += verdict.confidence;
        bin.right += u64::from(told == row);
        self.loss -= larger(verdict.scores[row], 1e-15).ln();
    }

    /// Number of verdicts.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }

    /// Share that was right; `None` without a verdict.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let right: u64 = (0..CLASSES).map(|c| self.confusion[c][c]).sum();
        (self.count() > 0).then(|| right as f64 / self.count() as f64)
    }

    /// Mean confidence; `None` without a verdict.
    #[must_use]
    pub fn confidence(&self) -> Option<f64> {
        let sum: f64 = self.bins.iter().map(|b| b.confidence).sum();
        (self.count() > 0).then(|| sum / self.count() as f64)
    }

    /// Mean log-loss in nats; `None` without a verdict.
    #[must_use]
    pub fn log_loss(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.loss / self.count() as f64)
    }

    /// Expected calibration error: mean distance of confidence and accuracy over the bins, weighted by
    /// their verdicts; `None` without one.
    #[must_use]
    pub fn ece(&self) -> Option<f64> {
        let off = |b: &Bin| (b.confidence - b.right as f64).abs();
        let sum: f64 = self.bins.iter().map(off).sum();
        (self.count() > 0).then(|| sum / self.count() as f64)
    }

    /// How one class was told.
    ///
    /// # Panics
    /// Never for a place of [`Archetype::CLASSES`].
    #[must_use]
    pub fn of_class(&self, class: usize) -> OfClass {
        let right = self.confusion[class][class] as f64;
        let said: u64 = self.confusion.iter().map(|row| row[class]).sum();
        let windows: u64 = self.confusion[class].iter().sum();
        let share = |of: u64| (of > 0).then(|| right / of as f64);
        let (precision, recall) = (share(said), share(windows));
        let both = precision.zip(recall).filter(|(p, r)| p + r > 0.0);
        OfClass {
            precision,
            recall,
            f1: both.map(|(p, r)| 2.0 * p * r / (p + r)),
            windows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(class: usize, confidence: f64) -> Verdict {
        let mut scores = [(1.0 - confidence) / 3.0; CLASSES];
        scores[class] = confidence;
        Verdict {
            archetype: Archetype::CLASSES[class],
            scores,
            confidence,
        }
    }

    #[test]
    fn figures_are_those_of_a_table_by_hand() {
        let mut judged = Judged::default();
        // Of ten verdicts at .8 for class 0, eight are right; two at .6 for class 1 are wrong.
        for truth in [0, 0, 0, 0, 0, 0, 0, 0, 1, 2] {
            judged.add(&verdict(0, 0.8), Archetype::CLASSES[truth]);
        }
        judged.add(&verdict(1, 0.6), Archetype::CLASSES[0]);
        judged.add(&verdict(1, 0.6), Archetype::CLASSES[0]);
        assert!((judged.accuracy().unwrap() - 8.0 / 12.0).abs() < 1e-12);
        assert!((judged.ece().unwrap() - 2.0 * 0.6 / 12.0).abs() < 1e-12);
        let first = judged.of_class(0);
        assert!((first.precision.unwrap() - 0.8).abs() < 1e-12);
        assert!((first.recall.unwrap() - 0.8).abs() < 1e-12);
        assert!((first.f1.unwrap() - 0.8).abs() < 1e-12);
        assert_eq!(judged.of_class(1).precision, Some(0.0));
        assert_eq!(judged.of_class(3).recall, None);
        assert_eq!(judged.of_class(3).precision, None);
    }

    #[test]
    fn nothing_judged_has_no_figures() {
        let none = Judged::default();
        assert_eq!(
            (none.accuracy(), none.ece(), none.log_loss()),
            (None, None, None)
        );
    }
}
