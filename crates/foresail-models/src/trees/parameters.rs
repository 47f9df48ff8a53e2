//! How an ensemble of classes is grown, by LightGBM's names.

use serde::{Deserialize, Serialize};

/// How an ensemble is grown, by LightGBM's names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Rounds at most; each grows a tree for every class.
    pub num_iterations: usize,
    /// Leaves of a tree at most.
    pub num_leaves: usize,
    /// Splits from the root to a leaf at most; 0 sets no limit.
    pub max_depth: usize,
    /// Share of each tree's answer that counts.
    pub learning_rate: f64,
    /// Rows of a leaf at least.
    pub min_data_in_leaf: usize,
    /// Sum of the hessians of a leaf at least.
    pub min_sum_hessian_in_leaf: f64,
    /// Added to the hessian of each leaf.
    pub lambda_l2: f64,
    /// Share of the features that each tree may split.
    pub feature_fraction: f64,
    /// Share of the rows that a tree learns from.
    pub bagging_fraction: f64,
    /// Rounds after which those rows are drawn anew; 0 takes all rows always.
    pub bagging_freq: usize,
    /// Rounds without a gain on the rows held out after which it ends; 0 never ends it.
    pub early_stopping_round: usize,
}

impl Parameters {
    /// Those of the published classifier; source: specs of AAPA, `src/models/classifier.py`.
    pub const PUBLISHED: Self = Self {
        num_iterations: 300,
        num_leaves: 31,
        max_depth: 0,
        learning_rate: 0.05,
        min_data_in_leaf: 20,
        min_sum_hessian_in_leaf: 1e-3,
        lambda_l2: 0.0,
        feature_fraction: 0.9,
        bagging_fraction: 0.8,
        bagging_freq: 5,
        early_stopping_round: 50,
    };

    /// Those of its comparison with XGBoost, in this project's terms.
    pub const DEPTH_6: Self = Self {
        num_leaves: 64,
        max_depth: 6,
        learning_rate: 0.1,
        min_data_in_leaf: 1,
        min_sum_hessian_in_leaf: 1.0,
        lambda_l2: 1.0,
        feature_fraction: 0.8,
        bagging_freq: 1,
        ..Self::PUBLISHED
    };

    /// Those of the model that is shipped: as good on generated windows, at a quarter of the size.
    pub const SMALL: Self = Self {
        num_iterations: 120,
        num_leaves: 8,
        learning_rate: 0.1,
        ..Self::PUBLISHED
    };

    /// The first parameter that cannot be, with what it must be.
    ///
    /// # Errors
    /// Its name and range.
    pub fn check(&self) -> Result<(), String> {
        let share = |v: f64| v > 0.0 && v <= 1.0;
        let checks = [
            (self.num_iterations > 0, "num_iterations must be at least 1"),
            (
                (2..=32_768).contains(&self.num_leaves),
                "num_leaves must be 2 to 32768",
            ),
            (
                share(self.learning_rate),
                "learning_rate must be above 0 and at most 1",
            ),
            (
                share(self.feature_fraction),
                "feature_fraction must be above 0 and at most 1",
            ),
            (
                share(self.bagging_fraction),
                "bagging_fraction must be above 0 and at most 1",
            ),
            (
                self.lambda_l2 >= 0.0 && self.lambda_l2.is_finite(),
                "lambda_l2 must not be below 0",
            ),
            (
                self.min_sum_hessian_in_leaf >= 0.0,
                "min_sum_hessian_in_leaf must not be below 0",
            ),
        ];
        match checks.iter().find(|(good, _)| !good) {
            Some((_, why)) => Err((*why).to_owned()),
            None => Ok(()),
        }
    }
}
