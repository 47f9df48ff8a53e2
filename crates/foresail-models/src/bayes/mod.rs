//! Bayesian optimisation: what is expensive to measure, as a Gaussian process, and where to measure
//! next.
//!
//! Nothing in this module knows of workflows, money or plans: points lie in the unit box, values are
//! standardised by the caller, and more is better. Kernel matrices cost O(n³) to factor; a caller
//! keeps at most [`POINTS_MAX`] points.

pub mod acquisition;
pub mod anomaly;
pub mod constraint;
mod drawn;
mod factor;
pub mod fit;
pub mod gp;
pub mod kernel;
pub mod optimize;
pub mod prior;
pub mod sobol;

/// Points of one process at most: one likelihood of 512 points takes some 50 ms.
pub const POINTS_MAX: usize = 512;
