//! What labelling functions say of many windows: how often, beside whom, against whom, and how often
//! rightly where the truth is known.
//!
//! Windows are counted by pattern of votes and forgotten, so that any number of them fits.

use foresail_core::propose::archetype::Archetype;

use super::features::Features;
use super::label_model::{LabelModel, LabelModelError, Patterns};
use super::labeling::{Label, Profile, Votes};

/// Windows by archetype: [`Archetype::CLASSES`], then Idle.
pub type ByArchetype = [u64; 5];

/// Place of an archetype in [`ByArchetype`].
#[must_use]
pub fn place(archetype: Archetype) -> usize {
    archetype.place().unwrap_or(4)
}

/// Counts of one run over windows.
#[derive(Clone, Debug)]
pub struct VoteReport {
    profile: &'static Profile,
    /// Windows that are not idle, by pattern.
    patterns: Patterns,
    /// The same of known truth: pattern, truth, and how the majority labelled them.
    known: Vec<[ByArchetype; 4]>,
    labels: ByArchetype,
    ties: u64,
    /// Windows on which nobody voted.
    silent: u64,
}

/// One labelling function over all windows that are not idle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FunctionReport {
    /// Share on which it votes.
    pub coverage: f64,
    /// Share on which it and another vote.
    pub overlap: f64,
    /// Share on which it and another vote for different archetypes.
    pub conflict: f64,
    /// Share of its votes that the majority follows; `None` where it never votes.
    pub agreement: Option<f64>,
    /// Share of its votes that are right; `None` where it never votes on a window of known truth.
    pub accuracy: Option<f64>,
}

/// What one way of labelling is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LabelReport {
    /// Windows by label.
    pub labels: ByArchetype,
    /// Share of windows that the majority labels alike.
    pub agreement: f64,
    /// Share of windows of known truth that are labelled rightly; `None` without one.
    pub accuracy: Option<f64>,
    /// The same for each of [`Archetype::CLASSES`].
    pub recall: [Option<f64>; 4],
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

impl VoteReport {
    /// No window yet.
    ///
    /// # Errors
    /// As [`Patterns::of`].
    pub fn new(profile: &'static Profile) -> Result<Self, LabelModelError> {
        Ok(Self {
            profile,
            patterns: Patterns::of(profile)?,
            known: vec![[[0; 5]; 4]; 1 << profile.functions.len()],
            labels: [0; 5],
            ties: 0,
            silent: 0,
        })
    }

    /// Counts a window, and gives its votes and the majority's label.
    pub fn add(&mut self, features: &Features, truth: Option<Archetype>) -> (Votes, Label) {
        let votes = self.profile.votes(features);
        let label = self.profile.majority(votes, features);
        self.labels[place(label.archetype)] += 1;
        self.ties += u64::from(label.tie);
        if self.profile.idle(features) {
            return (votes, label);
        }
        self.silent += u64::from(votes.count() == 0);
        self.patterns.add(votes);
        if let Some(truth) = truth.and_then(Archetype::place) {
            self.known[votes.0 as usize][truth][place(label.archetype)] += 1;
        }
        (votes, label)
    }

    /// How often each pattern of votes came, idle windows left out.
    #[must_use]
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// Windows, those that are idle, those with a tie, and those on which nobody voted.
    #[must_use]
    pub fn counts(&self) -> [u64; 4] {
        let all = self.labels.iter().sum();
        [all, all - self.patterns.rows(), self.ties, self.silent]
    }

    /// Each function of the profile, in its order.
    #[must_use]
    pub fn functions(&self) -> Vec<FunctionReport> {
        let functions = 0..self.profile.functions.len();
        functions.map(|i| self.function(i)).collect()
    }

    fn function(&self, function: usize) -> FunctionReport {
        let own = self.profile.functions[function].archetype;
        let class = own.place().unwrap_or(0);
        let rows = self.patterns.rows();
        let (mut votes, mut overlap, mut conflict, mut followed) = (0, 0, 0, 0);
        let (mut known, mut right) = (0, 0);
        for (pattern, count) in self.patterns.iter().filter(|p| p.0.has(function)) {
            votes += count;
            overlap += if pattern.count() > 1 { count } else { 0 };
            let own_votes = self.profile.tally(pattern)[class];
            conflict += if pattern.count() > own_votes {
                count
            } else {
                0
            };
            let majority = self.profile.majority_of(pattern).map(|l| l.archetype);
            followed += if majority == Some(own) { count } else { 0 };
            let truths = self.known[pattern.0 as usize].map(|labels| labels.iter().sum::<u64>());
            known += truths.iter().sum::<u64>();
            right += truths[class];
        }
        FunctionReport {
            coverage: share(votes, rows).unwrap_or(0.0),
            overlap: share(overlap, rows).unwrap_or(0.0),
            conflict: share(conflict, rows).unwrap_or(0.0),
            agreement: share(followed, votes),
            accuracy: share(right, known),
        }
    }

    /// The majority's labels; they agree with themselves.
    #[must_use]
    pub fn majority(&self) -> LabelReport {
        let mut confusion = [[0; 5]; 4];
        for known in &self.known {
            for (sum, labels) in confusion.iter_mut().zip(known) {
                for (sum, count) in sum.iter_mut().zip(labels) {
                    *sum += count;
                }
            }
        }
        report(self.labels, 1.0, &confusion)
    }

    /// A label model's labels; idle windows stay Idle.
    #[must_use]
    pub fn generative(&self, model: &LabelModel) -> LabelReport {
        let (mut labels, mut confusion, mut alike) = ([0; 5], [[0; 5]; 4], 0);
        labels[4] = self.labels[4];
        for (pattern, count) in self.patterns.iter() {
            let (archetype, _) = model.label(pattern);
            labels[place(archetype)] += count;
            let majority = self.profile.majority_of(pattern).map(|l| l.archetype);
            // Where nobody voted the majority's label is its fallback's, which is no agreement.
            alike += if majority == Some(archetype) {
                count
            } else {
                0
            };
            for (sum, known) in confusion.iter_mut().zip(&self.known[pattern.0 as usize]) {
                sum[place(archetype)] += known.iter().sum::<u64>();
            }
        }
        let agreement = share(alike, self.patterns.rows()).unwrap_or(0.0);
        report(labels, agreement, &confusion)
    }
}

/// Of truths by label.
fn report(labels: ByArchetype, agreement: f64, confusion: &[ByArchetype; 4]) -> LabelReport {
    let of_class = |class: usize| confusion[class].iter().sum::<u64>();
    let right: u64 = (0..4).map(|class| confusion[class][class]).sum();
    LabelReport {
        labels,
        agreement,
        accuracy: share(right, (0..4).map(of_class).sum()),
        recall: std::array::from_fn(|class| share(confusion[class][class], of_class(class))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::labeling::CORRECTED;

    #[test]
    fn shares_are_those_counted_by_hand() {
        let mut report = VoteReport::new(&CORRECTED).unwrap();
        // Three windows: a constant one (both stationary functions), a line (both ramp functions),
        // and none.
        let line: Vec<f64> = (0..60).map(|i| 10.0 + 2.0 * f64::from(i)).collect();
        let (flat, line) = (Features::of(&[7.0; 60]), Features::of(&line));
        report.add(&flat, Some(Archetype::Stationary));
        report.add(&line, Some(Archetype::Stationary));
        report.add(&Features::of(&[0.0; 60]), None);
        assert_eq!(report.counts(), [3, 1, 0, 0]);
        let functions = report.functions();
        let (ramp, flat) = (functions[5], functions[7]);
        assert_eq!(
            (ramp.coverage, ramp.overlap, ramp.conflict),
            (0.5, 0.5, 0.0)
        );
        assert_eq!((ramp.accuracy, ramp.agreement), (Some(0.0), Some(1.0)));
        assert_eq!(flat.accuracy, Some(1.0));
        assert_eq!(functions[0].accuracy, None);
        let majority = report.majority();
        assert_eq!(majority.labels, [0, 0, 1, 1, 1]);
        assert_eq!(majority.accuracy, Some(0.5));
        assert_eq!(majority.recall, [None, None, None, Some(0.5)]);
    }
}
