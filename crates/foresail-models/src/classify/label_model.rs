//! A generative label model: how far each labelling function can be trusted, learnt from how they
//! agree, without a label.
//!
//! A class is drawn, then every function votes or abstains by a probability of its own for that
//! class, independently of the others. Expectation-maximisation over the distinct patterns of votes
//! finds the probabilities: rows are counted once, a round costs a few sums per pattern. Functions
//! that copy each other break the independence and are believed twice: [`LabelModel::dependences`]
//! shows which.
//!
//! Source: Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates", for voters
//! that know one class and abstain.

use foresail_core::propose::archetype::Archetype;
use thiserror::Error;

use super::labeling::{Profile, Votes};

/// The most functions: 65,536 patterns.
pub const FUNCTIONS_MAX: usize = 16;

/// Probability of a vote for the own class, and on another class, before anything is learnt: a
/// function is only assumed to vote rather on its own class.
const START: [f64; 2] = [0.6, 0.1];

/// Probabilities stay this far from 0 and 1, so that no single vote settles a class for ever.
const EDGE: f64 = 1e-4;

/// Why a label model cannot be fitted.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LabelModelError {
    /// No row to learn from.
    #[error("there is no window with demand to learn from")]
    NoRows,
    /// More functions than patterns can be counted of.
    #[error("{0} labelling functions: must be 1 to {FUNCTIONS_MAX}")]
    Functions(usize),
    /// A function of no class.
    #[error("labelling function {0} votes for Idle, which is no class")]
    NoClass(usize),
    /// Shares of the classes that are none.
    #[error("class balance {0:?}: must be above zero and sum to 1")]
    Balance([f64; 4]),
}

/// How often each pattern of votes came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    /// Class of each function, its place in [`Archetype::CLASSES`].
    classes: Vec<usize>,
    /// By pattern.
    counts: Vec<u64>,
}

impl Patterns {
    /// No rows yet, of functions that vote for these archetypes.
    ///
    /// # Errors
    /// [`LabelModelError::Functions`] for none and for too many, [`LabelModelError::NoClass`] where
    /// one votes for Idle.
    pub fn new(archetypes: &[Archetype]) -> Result<Self, LabelModelError> {
        if !(1..=FUNCTIONS_MAX).contains(&archetypes.len()) {
            return Err(LabelModelError::Functions(archetypes.len()));
        }
        let class = |(i, a): (usize, &Archetype)| a.place().ok_or(LabelModelError::NoClass(i));
        let classes = archetypes.iter().enumerate().map(class);
        Ok(Self {
            classes: classes.collect::<Result<_, _>>()?,
            counts: vec![0; 1 << archetypes.len()],
        })
    }

    /// No rows yet, of a profile's functions.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(profile: &Profile) -> Result<Self, LabelModelError> {
        let archetypes: Vec<_> = profile.functions.iter().map(|f| f.archetype).collect();
        Self::new(&archetypes)
    }

    /// Counts one row; bits of functions that do not exist are left out.
    #[inline]
    pub fn add(&mut self, votes: Votes) {
        let place = votes.0 as usize & (self.counts.len() - 1);
        self.counts[place] += 1;
    }

    /// Every pattern that came, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Votes, u64)> + '_ {
        let counted = (0..).map(Votes).zip(self.counts.iter().copied());
        counted.filter(|(_, count)| *count > 0)
    }

    /// Rows counted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// How a label model is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// Share of each of [`Archetype::CLASSES`]; learnt where it is not given.
    pub balance: Option<[f64; 4]>,
    /// The most rounds.
    pub rounds_max: usize,
    /// Ends the fit once no probability moves by more in a round.
    pub tolerance: f64,
}

impl Default for FitOptions {
    /// Balance learnt, at most 1,000 rounds, to 1e-6.
    fn default() -> Self {
        Self {
            balance: None,
            rounds_max: 1000,
            tolerance: 1e-6,
        }
    }
}

/// Two functions that vote together more often, or less, than their classes explain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dependence {
    /// Places of the two.
    pub functions: [usize; 2],
    /// Share of rows on which both vote.
    pub observed: f64,
    /// That share under the model, where they are independent within each class.
    pub expected: f64,
    /// What is beyond it as the correlation within a class: 1 for a copy, 0 for independent ones.
    pub correlation: f64,
    /// The same in standard errors of `rows` rows.
    pub errors: f64,
}

/// A correlation within classes above which two functions are told of. Own choice: the hundredfold of
/// what chance gives at 70,000 rows, and a fifth of a copy.
pub const DEPENDENT: f64 = 0.2;

impl Dependence {
    /// `true` where the two cannot be taken for independent.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.correlation.abs() > DEPENDENT && self.errors.abs() > 5.0
    }
}

/// A fitted label model.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelModel {
    /// Probability that each function votes, by class.
    pub rates: Vec<[f64; 4]>,
    /// Share of each class.
    pub balance: [f64; 4],
    /// Rounds of the fit.
    pub rounds: usize,
    /// Probability of each class by pattern.
    posteriors: Vec<[f64; 4]>,
    /// Class of each function.
    classes: Vec<usize>,
}

impl LabelModel {
    /// Fits to patterns; the same patterns give the same model.
    ///
    /// # Errors
    /// [`LabelModelError::NoRows`], and [`LabelModelError::Balance`] for a given balance that is none.
    pub fn fit(patterns: &Patterns, options: &FitOptions) -> Result<Self, LabelModelError> {
        if patterns.rows() == 0 {
            return Err(LabelModelError::NoRows);
        }
        let balance = options.balance.unwrap_or([0.25; 4]);
        let sum: f64 = balance.iter().sum();
        if !(balance.iter().all(|b| *b > 0.0) && (sum - 1.0).abs() < 1e-9) {
            return Err(LabelModelError::Balance(balance));
        }
        let start = |class: &usize| std::array::from_fn(|c| START[usize::from(c != *class)]);
        let mut model = Self {
            rates: patterns.classes.iter().map(start).collect(),
            balance,
            rounds: 0,
            posteriors: vec![[0.0; 4]; patterns.counts.len()],
            classes: patterns.classes.clone(),
        };
        let mut sums = vec![[0.0; 4]; patterns.counts.len()];
        while model.rounds < options.rounds_max {
            model.rounds += 1;
            model.expect();
            let moved = model.maximise(patterns, &mut sums, options.balance.is_none());
            if moved <= options.tolerance {
                break;
            }
        }
        model.expect();
        model.posteriors.iter_mut().for_each(normalise);
        Ok(model)
    }

    /// Joint probability of every pattern and class, not normalised.
    ///
    /// A pattern is the one without its lowest vote times the odds of that vote: a product each.
    fn expect(&mut self) {
        let mut first = self.balance;
        for rate in &self.rates {
            for c in 0..4 {
                first[c] *= 1.0 - rate[c];
            }
        }
        let odds: Vec<[f64; 4]> = self
            .rates
            .iter()
            .map(|r| r.map(|p| p / (1.0 - p)))
            .collect();
        self.posteriors[0] = first;
        for pattern in 1..self.posteriors.len() {
            let without = self.posteriors[pattern & (pattern - 1)];
            let vote = odds[pattern.trailing_zeros() as usize];
            self.posteriors[pattern] = std::array::from_fn(|c| without[c] * vote[c]);
        }
    }

    /// New probabilities from the rows' classes; what moved most.
    fn maximise(&mut self, patterns: &Patterns, sums: &mut [[f64; 4]], learn: bool) -> f64 {
        let mut total = [0.0; 4];
        for ((sum, joint), count) in sums.iter_mut().zip(&self.posteriors).zip(&patterns.counts) {
            let all = (joint[0] + joint[1]) + (joint[2] + joint[3]);
            let weight = *count as f64 / all;
            for (c, total) in total.iter_mut().enumerate() {
                sum[c] = joint[c] * weight;
                *total += sum[c];
            }
        }
        let mut moved = 0.0;
        let mut put = |place: &mut f64, value: f64| {
            let off = (*place - value).abs();
            if off > moved {
                moved = off;
            }
            *place = value;
        };
        // The upper half of the patterns has the highest function's vote; without it the two halves
        // are one, and so on down.
        let mut rest = sums;
        for rate in self.rates.iter_mut().rev() {
            let (lower, upper) = rest.split_at_mut(rest.len() / 2);
            let mut votes = [0.0; 4];
            for (low, up) in lower.iter_mut().zip(&*upper) {
                for c in 0..4 {
                    votes[c] += up[c];
                    low[c] += up[c];
                }
            }
            for c in 0..4 {
                // One vote and one abstention more than seen: no probability from nothing.
                let share = (votes[c] + 1.0) / (total[c] + 2.0);
                put(&mut rate[c], share.clamp(EDGE, 1.0 - EDGE));
            }
            rest = lower;
        }
        if learn {
            let rows: f64 = total.iter().sum();
            for (share, total) in self.balance.iter_mut().zip(total) {
                put(share, (total + 1.0) / (rows + 4.0));
            }
        }
        moved
    }

    /// Probability of each of [`Archetype::CLASSES`] given votes; they sum to 1.
    #[must_use]
    pub fn probabilities(&self, votes: Votes) -> [f64; 4] {
        self.posteriors[votes.0 as usize & (self.posteriors.len() - 1)]
    }

    /// The most likely archetype given votes, and its probability; of equals the first.
    #[must_use]
    pub fn label(&self, votes: Votes) -> (Archetype, f64) {
        let probabilities = self.probabilities(votes);
        let mut best = 0;
        for c in 1..4 {
            if probabilities[c] > probabilities[best] {
                best = c;
            }
        }
        (Archetype::CLASSES[best], probabilities[best])
    }

    /// Probability that a function is right where it votes.
    #[must_use]
    pub fn accuracy(&self, function: usize) -> f64 {
        let joint = |c: usize| self.balance[c] * self.rates[function][c];
        let all: f64 = (0..4).map(joint).sum();
        joint(self.classes[function]) / all
    }

    /// Every two functions: how often they vote together beside what the model expects, the most
    /// dependent first.
    #[must_use]
    pub fn dependences(&self, patterns: &Patterns) -> Vec<Dependence> {
        let (rows, m) = (patterns.rows() as f64, self.rates.len());
        let (shares, rates) = self.as_seen(patterns);
        let seen = |bits: usize| {
            let has = |p: &(usize, &u64)| p.0 & bits == bits;
            let counted = patterns.counts.iter().enumerate().filter(has);
            counted.map(|(_, n)| *n).sum::<u64>() as f64 / rows
        };
        let within = |i: usize| {
            let of = |c: usize| shares[c] * rates[i][c] * (1.0 - rates[i][c]);
            (0..4).map(of).sum::<f64>()
        };
        let pairs = (0..m).flat_map(|i| (i + 1..m).map(move |j| (i, j)));
        let mut all: Vec<Dependence> = pairs
            .map(|(i, j)| {
                let joint = |c: usize| shares[c] * rates[i][c] * rates[j][c];
                let expected: f64 = (0..4).map(joint).sum();
                let observed = seen(1 << i | 1 << j);
                let spread = (within(i) * within(j)).sqrt();
                let beyond = observed - expected;
                let correlation = if spread > 0.0 { beyond / spread } else { 0.0 };
                Dependence {
                    functions: [i, j],
                    observed,
                    expected,
                    correlation,
                    errors: correlation * rows.sqrt(),
                }
            })
            .collect();
        all.sort_by(|a, b| b.correlation.abs().total_cmp(&a.correlation.abs()));
        all
    }

    /// Share of each class, and how often each function votes within it, over these rows: what the
    /// model's own figures are but for their edges.
    fn as_seen(&self, patterns: &Patterns) -> ([f64; 4], Vec<[f64; 4]>) {
        let (mut total, mut votes) = ([0.0; 4], vec![[0.0; 4]; self.rates.len()]);
        let seen = patterns.counts.iter().zip(&self.posteriors);
        for (pattern, (count, posterior)) in seen.enumerate() {
            for c in 0..4 {
                let weight = *count as f64 * posterior[c];
                total[c] += weight;
                for (i, votes) in votes.iter_mut().enumerate() {
                    votes[c] += weight * (pattern >> i & 1) as f64;
                }
            }
        }
        for votes in &mut votes {
            for c in 0..4 {
                votes[c] /= if total[c] > 0.0 { total[c] } else { 1.0 };
            }
        }
        let rows = patterns.rows() as f64;
        (total.map(|t| t / rows), votes)
    }
}

fn normalise(probabilities: &mut [f64; 4]) {
    let sum: f64 = probabilities.iter().sum();
    for p in probabilities {
        *p /= sum;
    }
}
