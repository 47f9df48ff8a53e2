//! The trained classifier: features, trees, the corrected rules as a prior, calibration.

use std::sync::Arc;

use foresail_core::propose::archetype::Archetype;
use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::features::{self, Features};
use super::labeling::CORRECTED;
use super::saved;
use super::{Classifier, Contribution, Verdict, Window};
use crate::registry::ClassifierEntry;
use crate::trees::{Packed, SoftmaxTrees, softmax};

/// Number of classes.
const CLASSES: usize = Archetype::CLASSES.len();

/// The model that is shipped. It was made by
/// `foresail classify train --generate hard --windows 20000 --output FILE`.
static SHIPPED: &[u8] = include_bytes!("../../assets/boosted-trees.model");

/// The registry's entry.
pub const ENTRY: ClassifierEntry = ClassifierEntry {
    name: "boosted-trees",
    summary: "boosted trees trained on generated windows whose archetype is known",
    build: || Ok(Arc::new(shipped()?)),
};

/// The classifier that is shipped.
///
/// # Errors
/// Never in a program whose tests have passed; the text says what is wrong with the file.
pub fn shipped() -> Result<BoostedTrees, String> {
    BoostedTrees::new(saved::read(SHIPPED).map_err(|e| e.to_string())?)
}

/// What training gives and a file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Names of the features, in the order in which the trees know them.
    #[serde(skip)]
    pub features: Vec<&'static str>,
    /// Whose labels it has learnt: `truth`, a profile's name, or a file.
    #[serde(skip)]
    pub labels: String,
    /// The trees.
    pub trees: SoftmaxTrees,
    /// Weight of the corrected rules' votes beside the trees' probabilities, from 0 to 1.
    pub prior: f64,
    /// The calibration of both together.
    pub calibration: Calibration,
}

/// A model ready to be asked.
#[derive(Clone, Debug)]
pub struct BoostedTrees {
    model: Model,
    /// Place of each feature in the full row.
    places: Vec<usize>,
    packed: Packed,
}

impl Model {
    /// The row that the trees know of a window's features.
    #[must_use]
    pub fn row(features: &Features, places: &[usize]) -> Vec<f64> {
        let row = features.row();
        places.iter().map(|p| row[*p]).collect()
    }

    /// Adds the rules' votes to what the trees say.
    pub fn blend(shares: &mut [f64], features: &Features, prior: f64) {
        if prior > 0.0 {
            let rules = CORRECTED.verdict(features).scores;
            for (share, rule) in shares.iter_mut().zip(rules) {
                *share += prior * (rule - *share);
            }
        }
    }
}

/// Places of features in the full row.
///
/// # Errors
/// The first that is not one of this program's.
pub fn places(names: &[&str]) -> Result<Vec<usize>, String> {
    let place = |name: &&str| {
        let found = features::NAMES.iter().position(|n| n == name);
        found.ok_or_else(|| format!("no feature is called {name}"))
    };
    names.iter().map(place).collect()
}

impl BoostedTrees {
    /// A model made ready.
    ///
    /// # Errors
    /// Where its parts do not fit together.
    pub fn new(model: Model) -> Result<Self, String> {
        let (trees, names) = (&model.trees, &model.features);
        if trees.classes() != CLASSES || trees.features() != names.len() {
            return Err(format!(
                "its trees know {} features and {} classes, {} and {CLASSES} are due",
                trees.features(),
                trees.classes(),
                names.len()
            ));
        }
        if !(0.0..=1.0).contains(&model.prior) || !model.calibration.is_sound(CLASSES) {
            return Err("its prior or its calibration cannot be".to_owned());
        }
        Ok(Self {
            places: places(names)?,
            packed: Packed::new(trees)?,
            model,
        })
    }

    /// What it was made of.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The verdict of a window's features; Idle without a request.
    #[must_use]
    pub fn told(&self, features: &Features) -> Verdict {
        if features.corrected.idle {
            return Verdict {
                archetype: Archetype::Idle,
                scores: [1.0 / CLASSES as f64; CLASSES],
                confidence: 1.0,
            };
        }
        let mut shares = self.packed.scores(&Model::row(features, &self.places));
        softmax(&mut shares);
        Model::blend(&mut shares, features, self.model.prior);
        self.model.calibration.apply(&mut shares);
        let scores: [f64; CLASSES] = std::array::from_fn(|class| shares[class]);
        let top = (0..CLASSES).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let top = top.unwrap_or(0);
        Verdict {
            archetype: Archetype::CLASSES[top],
            scores,
            confidence: scores[top],
        }
    }

    /// What every feature adds to the raw score of the class that was told, the strongest first: exact
    /// Shapley values of the trees, before prior and calibration.
    #[must_use]
    pub fn explained(&self, features: &Features) -> Vec<Contribution> {
        let Some(class) = self.told(features).archetype.place() else {
            return Vec::new();
        };
        let row = Model::row(features, &self.places);
        let (shares, _) = self.model.trees.contributions(&row, class);
        let each = self.model.features.iter().zip(row.iter().zip(shares));
        let mut found: Vec<Contribution> = each
            .map(|(feature, (value, share))| Contribution {
                feature,
                value: Some(*value).filter(|v| !v.is_nan()),
                share,
            })
            .collect();
        found.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
        found
    }

    /// Features with what splitting them gained in training, as shares of all, the most first.
    #[must_use]
    pub fn importance(&self) -> Vec<(&'static str, f64)> {
        let gains = self.model.trees.gains();
        let all: f64 = gains.iter().sum();
        let share = |gain: f64| if all > 0.0 { gain / all } else { 0.0 };
        let names = self.model.features.iter().copied();
        let mut found: Vec<_> = names.zip(gains.into_iter().map(share)).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }
}

impl Classifier for BoostedTrees {
    fn verdict(&self, window: &Window) -> Verdict {
        self.told(&Features::of(window))
    }

    fn contributions(&self, window: &Window) -> Vec<Contribution> {
        self.explained(&Features::of(window))
    }
}
