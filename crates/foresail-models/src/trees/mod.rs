//! Gradient-boosted trees over binned features, grown leaf by leaf.
//!
//! Why our own: docs/decisions/0011-own-trees.md. Bit-deterministic: quantiles by one thread and sums
//! in the order of the rows, softmax by sums of whole numbers, which have no order.
//! Sources: Ke et al. 2017, LightGBM (histograms, leaf-wise growth); Friedman 2001, greedy function
//! approximation (leaf values by the loss itself).

pub mod bins;
mod draw;
mod grow;
pub mod lightgbm;
mod loss;
mod packed;
mod parameters;
mod quantile;
mod shap;
mod softmax;
mod tree;

pub use self::loss::ROWS_MAX;
pub use self::packed::Packed;
pub use self::parameters::Parameters;
pub use self::quantile::{Growth, QuantileTrees, Rows};
pub use self::softmax::{LabelledRows, SoftmaxTrees, Trained, softmax};
pub use self::tree::{Leaf, Missing, Split, Tree};
