//! Optimisation of smooth functions, for the forecasters that are fitted by likelihood.

pub mod lbfgs;
