//! Windows, labels, training and evaluation: agreement with labels beside accuracy on known truth.

use anyhow::{Context, Result, anyhow};
use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::Window;
use foresail_models::classify::calibrate::Method;
use foresail_models::classify::features::{Features, NAMES, published};
use foresail_models::classify::labeling::{CORRECTED, LabelingFunction, PUBLISHED, Profile};
use foresail_models::classify::reliability::Judged;
use foresail_models::classify::train::{Example, Settings, train};
use foresail_models::classify::trained::{BoostedTrees, shipped};
use foresail_models::classify::vote_report::{FunctionReport, VoteReport};
use foresail_models::rng::Seed;
use foresail_models::trees::Parameters;
use foresail_sim::workload::archetype::{Kind, windows};
use rayon::prelude::*;

/// Windows of each class: to learn from, to stop and calibrate by, to judge by.
///
/// The first and last as in the measurement that this repeats.
/// Source: specs/aapa_aquatope.md 3.1 (2,800 to learn from, 1,200 to judge by).
const PER_CLASS: [usize; 3] = [700, 300, 300];

/// How far the seeds of the parts lie apart.
const PARTS_APART: u64 = 1_000_000_007;

/// A classifier, how far it agrees with its own labels, and how far with the truth.
#[derive(Clone, Debug)]
pub(super) struct Learnt {
    /// What it was trained on.
    pub(super) labels: &'static str,
    /// Which features it saw.
    pub(super) features: &'static str,
    /// Against its own labels; `None` where they are the truth.
    pub(super) agreement: Option<Judged>,
    /// Against the truth.
    pub(super) truth: Judged,
    /// Gain of each feature, the largest first.
    pub(super) importance: Vec<(&'static str, f64)>,
}

/// One labelling function on windows of known truth.
#[derive(Clone, Debug)]
pub(super) struct Voter {
    pub(super) profile: &'static str,
    pub(super) function: &'static str,
    pub(super) votes_for: Archetype,
    /// Shares of the windows in percent.
    pub(super) coverage: f64,
    pub(super) overlap: f64,
    pub(super) conflict: f64,
    /// Share of its votes that are right, in percent; `None` without a vote.
    pub(super) accuracy: Option<f64>,
}

/// What the classification part found.
#[derive(Clone, Debug)]
pub(super) struct Classification {
    /// Windows that were judged by.
    pub(super) judged: usize,
    pub(super) voters: Vec<Voter>,
    /// Majority of each profile: name, share right in percent.
    pub(super) majorities: Vec<(&'static str, f64)>,
    pub(super) learnt: Vec<Learnt>,
    /// The model that `aapa` uses.
    pub(super) shipped: Learnt,
}

/// Windows of one part with their truth; those of another seed share none.
fn known(part: usize, seed: Seed) -> Vec<Example> {
    // Parts stand far apart, and the shipped model was made from the seeds below them.
    let seed = Seed(seed.0.wrapping_add(PARTS_APART * (part as u64 + 1)));
    let made = windows(Kind::Hard, PER_CLASS[part], seed);
    let of = |(archetype, window): (Archetype, Window)| (Features::of(&window), archetype);
    made.into_par_iter().map(of).collect()
}

/// The same windows under a profile's labels.
fn labelled(examples: &[Example], profile: &Profile) -> Vec<Example> {
    let of = |(features, _): &Example| (*features, profile.verdict(features).archetype);
    examples.iter().map(of).collect()
}

fn judged(model: &BoostedTrees, examples: &[Example]) -> Judged {
    let mut judged = Judged::default();
    for (features, truth) in examples {
        judged.add(&model.told(features), *truth);
    }
    judged
}

/// Trains on some labels and judges against them and against the truth.
fn learn(
    (labels, profile): (&'static str, Option<&Profile>),
    (features, names): (&'static str, &[&'static str]),
    parts: &[Vec<Example>; 3],
    seed: Seed,
) -> Result<Learnt> {
    let of = |part: usize| match profile {
        Some(profile) => labelled(&parts[part], profile),
        None => parts[part].clone(),
    };
    let settings = Settings {
        parameters: Parameters::PUBLISHED,
        features: names.to_vec(),
        calibration: if profile.is_some() {
            // As published: the softmax is taken for the confidence.
            Method::None
        } else {
            Method::Beta
        },
        prior: 0.0,
        seed,
        labels: labels.to_owned(),
    };
    let outcome = train(&of(0), &of(1), &settings).with_context(|| labels.to_owned())?;
    let model = BoostedTrees::new(outcome.model).map_err(|why| anyhow!("{labels}: {why}"))?;
    Ok(Learnt {
        labels,
        features,
        agreement: profile.map(|_| judged(&model, &of(2))),
        truth: judged(&model, &parts[2]),
        importance: model.importance(),
    })
}

fn voters(profile: &'static Profile, examples: &[Example]) -> Result<(Vec<Voter>, f64)> {
    let mut report = VoteReport::new(profile)?;
    for (features, truth) in examples {
        report.add(features, Some(*truth));
    }
    let voter = |(function, of): (&LabelingFunction, FunctionReport)| Voter {
        profile: profile.name,
        function: function.name,
        votes_for: function.archetype,
        coverage: of.coverage * 100.0,
        overlap: of.overlap * 100.0,
        conflict: of.conflict * 100.0,
        accuracy: of.accuracy.map(|a| a * 100.0),
    };
    let pairs = profile.functions.iter().zip(report.functions());
    let right = report.majority().accuracy.unwrap_or_default();
    Ok((pairs.map(voter).collect(), right * 100.0))
}

/// The whole part; `done` is called after each step.
///
/// # Errors
/// Where nothing can be trained.
pub(super) fn classification(seed: Seed, done: &(dyn Fn(&str) + Sync)) -> Result<Classification> {
    let parts = [0, 1, 2].map(|part| known(part, seed));
    done("windows");
    let mut all = Vec::new();
    let mut majorities = Vec::new();
    for profile in [&PUBLISHED, &CORRECTED] {
        let (found, right) = voters(profile, &parts[2])?;
        all.extend(found);
        majorities.push((profile.name, right));
    }
    done("labels");
    let published = ("AAPA's 37", &NAMES[..published::NAMES.len()]);
    let every = ("and the corrected ones", &NAMES[..]);
    let runs = [
        (("published labels", Some(&PUBLISHED)), published),
        (("corrected labels", Some(&CORRECTED)), every),
        (("known truth", None), published),
        (("known truth", None), every),
    ];
    let learnt: Vec<Result<Learnt>> = runs
        .into_par_iter()
        .map(|(labels, features)| {
            let learnt = learn(labels, features, &parts, seed);
            done(labels.0);
            learnt
        })
        .collect();
    let model = shipped().map_err(|why| anyhow!("the shipped model: {why}"))?;
    Ok(Classification {
        judged: parts[2].len(),
        voters: all,
        majorities,
        learnt: learnt.into_iter().collect::<Result<_>>()?,
        shipped: Learnt {
            labels: "known truth (as shipped)",
            features: "and the corrected ones",
            agreement: None,
            truth: judged(&model, &parts[2]),
            importance: model.importance(),
        },
    })
}
