//! Weak supervision: rules that each know one archetype, and the majority of their votes.
//!
//! A labelling function is one row of its profile's table. `published` is AAPA's own, with its
//! thresholds, its order of ties and its fallback; `corrected` asks the corrected features and knows
//! Idle. Published rules take entropy in bits for a share and a short lag for a period, so that
//! ramps, noise and idle windows are called periodic: see `docs/aapa.md`.

use std::sync::Arc;

use foresail_core::propose::archetype::Archetype::{self, Idle, Periodic, Ramp, Spike, Stationary};

use super::features::Features;
use super::{Classifier, Contribution, Verdict, Window};
use crate::registry::{ClassifierBuilt, ClassifierEntry};

/// A rule that votes for one archetype or abstains.
#[derive(Debug)]
pub struct LabelingFunction {
    /// Its name, as the source has it.
    pub name: &'static str,
    /// What it votes for.
    pub archetype: Archetype,
    /// Whether it does; a comparison with a feature without a value is false.
    pub votes: fn(&Features) -> bool,
}

/// Which functions of a profile voted: bit `i` is that of function `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Votes(pub u32);

impl Votes {
    /// Whether this function voted.
    #[must_use]
    pub fn has(self, function: usize) -> bool {
        self.0 >> function & 1 == 1
    }

    /// Functions that voted.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}

/// What the votes came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// The archetype.
    pub archetype: Archetype,
    /// Share of the votes cast that it has; the profile's own figure where none was cast.
    pub confidence: f64,
    /// Another archetype had as many votes.
    pub tie: bool,
    /// Votes for each of [`Archetype::CLASSES`].
    pub votes: [u32; 4],
}

/// A set of labelling functions with the rules of their majority.
#[derive(Debug)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub summary: &'static str,
    /// Its functions, in their order.
    pub functions: &'static [LabelingFunction],
    /// Of archetypes with as many votes the first here wins.
    ties: [Archetype; 4],
    /// Whether a window without a request is Idle before any vote.
    knows_idle: bool,
    /// The archetype where nobody voted, and its confidence.
    fallback: fn(&Features) -> (Archetype, f64),
}

/// A feature of the published set by its name.
macro_rules! published {
    ($features:expr, $name:literal) => {{
        const PLACE: usize = place($name);
        $features.published[PLACE]
    }};
}

/// Place of a published feature; a wrong name does not compile.
const fn place(name: &str) -> usize {
    let (names, mut i) = (&super::features::published::NAMES, 0);
    loop {
        if same(names[i].as_bytes(), name.as_bytes()) {
            return i;
        }
        i += 1;
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

const fn function(
    name: &'static str,
    archetype: Archetype,
    votes: fn(&Features) -> bool,
) -> LabelingFunction {
    LabelingFunction {
        name,
        archetype,
        votes,
    }
}

/// AAPA's rules as they were published.
/// Source: specs of AAPA, section 1.3 (GuilinDev/aapa-simulator:src/models/labeling.py).
pub static PUBLISHED: Profile = Profile {
    name: "published",
    summary: "AAPA's ten rules on its 37 features, as published",
    functions: &[
        function("spike_by_kurtosis", Spike, |f| {
            published!(f, "kurtosis") > 10.0
        }),
        function("spike_by_peak_ratio", Spike, |f| {
            published!(f, "max_to_median_ratio") > 20.0 && published!(f, "median") > 0.0
        }),
        function("spike_by_sudden_activity", Spike, |f| {
            published!(f, "active_ratio") < 0.3
                && published!(f, "max") > 10.0 * published!(f, "mean")
        }),
        function("periodic_by_spectral_entropy", Periodic, |f| {
            published!(f, "spectral_entropy") < 0.5
        }),
        function("periodic_by_autocorrelation", Periodic, |f| {
            published!(f, "autocorr_lag_5") > 0.7
                || published!(f, "autocorr_lag_10") > 0.7
                || published!(f, "autocorr_lag_30") > 0.6
        }),
        function("periodic_by_regular_peaks", Periodic, |f| {
            (2.0..=12.0).contains(&published!(f, "peaks_per_hour"))
        }),
        function("ramp_by_trend", Ramp, |f| {
            let mean = published!(f, "mean") + 1e-6;
            published!(f, "linear_trend_slope").abs() / mean > 0.02
        }),
        function("ramp_by_consistent_change", Ramp, |f| {
            let deviation = published!(f, "std_change");
            deviation > 0.0 && published!(f, "mean_change").abs() / deviation > 0.8
        }),
        function("stationary_by_low_variance", Stationary, |f| {
            let cv = published!(f, "cv");
            cv > 0.1
                && cv < 1.0
                && published!(f, "linear_trend_slope").abs() < 0.01
                && published!(f, "kurtosis") < 3.0
        }),
        function("stationary_by_high_entropy", Stationary, |f| {
            published!(f, "spectral_entropy") > 0.8
                && published!(f, "autocorr_lag_10") < 0.3
                && published!(f, "active_ratio") > 0.5
        }),
    ],
    // The first vote in list order wins, and the functions stand in this order.
    ties: [Spike, Periodic, Ramp, Stationary],
    knows_idle: false,
    fallback: |f| {
        let archetype = if published!(f, "kurtosis") > 5.0 {
            Spike
        } else if published!(f, "autocorr_lag_10") > 0.5 {
            Periodic
        } else if published!(f, "linear_trend_slope").abs() > 0.05 {
            Ramp
        } else {
            Stationary
        };
        (archetype, 0.3)
    },
};

/// A largest count so far above the median is a burst, and no wave or trend.
const BURST: f64 = 6.0;

/// The rules of this project.
/// Source: specs of AAPA, section 3.2 (profile "foresail-lf/2"; own design).
pub static CORRECTED: Profile = Profile {
    name: "corrected",
    summary: "nine rules on features of the detrended window, with Idle",
    functions: &[
        function("spike_kurt_z", Spike, |f| {
            f.corrected.kurtosis > 8.0 && f.corrected.peak_z > BURST
        }),
        function("spike_top_share", Spike, |f| {
            f.corrected.top_share > 0.3 && f.corrected.peak_z > BURST
        }),
        function("spike_sparse", Spike, |f| {
            f.corrected.active_ratio < 0.3 && f.corrected.max_over_mean > 10.0
        }),
        function("periodic_acf", Periodic, |f| f.corrected.acf_peak > 0.5),
        function("periodic_line", Periodic, |f| {
            f.corrected.spec_entropy_norm < 0.5
                && f.corrected.spec_dom > 0.3
                && f.corrected.peak_z <= BURST
        }),
        function("ramp_r2", Ramp, |f| {
            f.corrected.r2 > 0.5 && f.corrected.rel_rise > 0.5
        }),
        function("ramp_thirds", Ramp, |f| {
            f.corrected.thirds.abs() > 0.4
                && f.corrected.acf_peak < 0.5
                && f.corrected.peak_z <= BURST
        }),
        function("stationary_flat_or_nostructure", Stationary, |f| {
            let c = &f.corrected;
            c.flat || (c.r2 < 0.25 && c.kurtosis < 3.0 && c.acf_peak < 0.35)
        }),
        function("stationary_white", Stationary, |f| {
            f.corrected.spec_entropy_norm > 0.8
                && f.corrected.rel_rise < 0.3
                && f.corrected.peak_z <= BURST
        }),
    ],
    // The safest first: too much capacity costs less than too little.
    ties: [Spike, Ramp, Periodic, Stationary],
    knows_idle: true,
    fallback: |_| (Stationary, 0.25),
};

/// Every profile.
pub static PROFILES: [&Profile; 2] = [&CORRECTED, &PUBLISHED];

/// The names of every profile.
#[must_use]
pub fn profile_names() -> Vec<&'static str> {
    PROFILES.iter().map(|p| p.name).collect()
}

impl Profile {
    /// Which functions vote on these features; none on an idle window where Idle is known.
    #[must_use]
    pub fn votes(&self, features: &Features) -> Votes {
        if self.idle(features) {
            return Votes(0);
        }
        let bit = |(i, f): (usize, &LabelingFunction)| u32::from((f.votes)(features)) << i;
        Votes(self.functions.iter().enumerate().map(bit).sum())
    }

    /// `true` where the window is Idle to this profile.
    #[must_use]
    pub fn idle(&self, features: &Features) -> bool {
        self.knows_idle && features.corrected.idle
    }

    /// Votes for each of [`Archetype::CLASSES`].
    #[must_use]
    pub fn tally(&self, votes: Votes) -> [u32; 4] {
        let mut tally = [0; 4];
        for (i, function) in self.functions.iter().enumerate() {
            if let (true, Some(class)) = (votes.has(i), function.archetype.place()) {
                tally[class] += 1;
            }
        }
        tally
    }

    /// The archetype with the most votes; those that abstain do not count.
    #[must_use]
    pub fn majority(&self, votes: Votes, features: &Features) -> Label {
        let label = |(archetype, confidence)| Label {
            archetype,
            confidence,
            tie: false,
            votes: [0; 4],
        };
        if self.idle(features) {
            return label((Idle, 1.0));
        }
        let fallback = || label((self.fallback)(features));
        self.majority_of(votes).unwrap_or_else(fallback)
    }

    /// The archetype with the most votes; `None` where nobody voted.
    #[must_use]
    pub fn majority_of(&self, votes: Votes) -> Option<Label> {
        let tally = self.tally(votes);
        let most = tally.into_iter().max().filter(|most| *most > 0)?;
        let has_most =
            |archetype: &&Archetype| archetype.place().is_some_and(|class| tally[class] == most);
        Some(Label {
            archetype: self.ties.iter().find(has_most).copied()?,
            confidence: f64::from(most) / f64::from(votes.count()),
            tie: tally.iter().filter(|votes| **votes == most).count() > 1,
            votes: tally,
        })
    }

    /// The majority as a verdict: the share of the votes cast is the score; where nobody voted, what
    /// the fallback leaves is spread evenly over the others.
    #[must_use]
    pub fn verdict(&self, features: &Features) -> Verdict {
        let votes = self.votes(features);
        let label = self.majority(votes, features);
        let cast = f64::from(votes.count());
        let scores = match label.archetype.place() {
            None => [0.25; 4],
            Some(_) if cast > 0.0 => label.votes.map(|v| f64::from(v) / cast),
            Some(class) => {
                let mut scores = [(1.0 - label.confidence) / 3.0; 4];
                scores[class] = label.confidence;
                scores
            }
        };
        Verdict {
            archetype: label.archetype,
            scores,
            confidence: label.confidence,
        }
    }
}

/// The majority of a profile's rules as a classifier.
#[derive(Debug)]
struct Rules(&'static Profile);

/// The corrected rules.
pub const RULES: ClassifierEntry = ClassifierEntry {
    name: "rules",
    summary: "majority of the corrected labelling functions",
    build: || built(&CORRECTED),
};

/// The published rules.
pub const RULES_PUBLISHED: ClassifierEntry = ClassifierEntry {
    name: "rules-published",
    summary: "majority of AAPA's labelling functions, as published",
    build: || built(&PUBLISHED),
};

fn built(profile: &'static Profile) -> ClassifierBuilt {
    Ok(Arc::new(Rules(profile)))
}

impl Classifier for Rules {
    fn verdict(&self, window: &Window) -> Verdict {
        self.0.verdict(&Features::of(window))
    }

    /// The functions that voted for the archetype, each with its share of the votes.
    fn contributions(&self, window: &Window) -> Vec<Contribution> {
        let features = Features::of(window);
        let votes = self.0.votes(&features);
        let label = self.0.majority(votes, &features);
        let spoke =
            |(i, f): &(usize, &LabelingFunction)| votes.has(*i) && f.archetype == label.archetype;
        let functions = self.0.functions.iter().enumerate().filter(spoke);
        let contribution = |(_, f): (usize, &LabelingFunction)| Contribution {
            feature: f.name,
            value: None,
            share: 1.0 / f64::from(votes.count()),
        };
        functions.map(contribution).collect()
    }
}
