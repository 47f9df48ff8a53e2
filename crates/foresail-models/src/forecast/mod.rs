//! Forecasts of demand, one file per forecaster, and what is known of their errors.

pub mod linear_trend;
pub mod seasonal_naive;
pub mod track;
